#include "tests/bench/trace_reader.h"

#include <catch2/catch.hpp>
#include <memory>

namespace larder::bench {
namespace {

constexpr TraceLimits kLimits{.value_bytes_default = 11, .value_bytes_max = 5000};

// A trace of this text, read in chunks of three.
class TraceText {
 public:
  explicit TraceText(const std::string& text)
      : file_(std::tmpfile(), std::fclose), reader_(file_.get(), kLimits) {
    REQUIRE(std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size());
    std::rewind(file_.get());
  }

  // All records, as "key:size ..."; then the trouble if there was any.
  std::string ReadAll() {
    std::string all;
    std::vector<TraceRecord> records;
    for (;;) {
      const std::string trouble = reader_.Read(records, 3);
      if (!trouble.empty()) return all + trouble;
      if (records.empty()) return all;
      for (const TraceRecord& record : records) {
        all += std::to_string(record.key) + ":" + std::to_string(record.value_bytes) + " ";
      }
    }
  }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  TraceReader reader_;
};

TEST_CASE("a trace has keys with sizes, or the default size", "[bench][trace]") {
  CHECK(TraceText("1\n2,70\n18446744073709551615\n0,0\n").ReadAll() ==
        "1:11 2:70 18446744073709551615:11 0:0 ");
}

TEST_CASE("sizes above the limit are cut to it", "[bench][trace]") {
  CHECK(TraceText("1,5000\n2,5001\n3,99999999999\n").ReadAll() == "1:5000 2:5000 3:5000 ");
}

TEST_CASE("a last line without its line end counts", "[bench][trace]") {
  CHECK(TraceText("1\n2").ReadAll() == "1:11 2:11 ");
}

TEST_CASE("empty lines, comments and CRLF are understood", "[bench][trace]") {
  CHECK(TraceText("# key,size\r\n1\r\n\r\n\n2,3\r\n").ReadAll() == "1:11 2:3 ");
}

TEST_CASE("a line that is no request is named by its number", "[bench][trace]") {
  const std::string line = GENERATE("x", "-1", "1,", "1,x", "1 2", "1,2,3", "18446744073709551616");
  CAPTURE(line);
  CHECK(TraceText("7\n\n" + line + "\n").ReadAll().find("line 3") != std::string::npos);
}

TEST_CASE("a trace longer than the reader's block reads whole", "[bench][trace]") {
  std::string text;
  std::string expected;
  for (int i = 0; i < 100'000; ++i) {
    text += std::to_string(i) + ",7\n";
    expected += std::to_string(i) + ":7 ";
  }
  CHECK(TraceText(text).ReadAll() == expected);
}

}  // namespace
}  // namespace larder::bench
