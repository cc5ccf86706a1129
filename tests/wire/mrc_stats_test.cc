#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>

#include "server/config/config.h"
#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

// Requests reach the estimate at the background's next turn, which a step of the clock ends.
class MrcTest : protected WireTest {
 protected:
  std::map<std::string, std::string> Mrc() {
    server.AdvanceClock(1);
    return client.Stats("mrc");
  }
};

TEST_CASE_METHOD(MrcTest, "stats mrc has a curve of eight sizes", "[wire][stats][mrc]") {
  const auto rows = Mrc();
  CHECK(rows.size() == 7 + 8 * 3);
  CHECK(rows.at("mrc:100:limit_maxbytes") == "67108864");
  CHECK(rows.at("mrc:25:limit_maxbytes") == "16777216");
  CHECK(rows.at("mrc:400:limit_maxbytes") == "268435456");
  CHECK(rows.at("mrc:400:miss_ratio") == "0.0000");
  CHECK(rows.at("sample_rate") == "1.000000");
  CHECK(rows.at("references") == "0");
  CHECK(rows.at("advice") == "there were too few reads to say");
}

TEST_CASE_METHOD(MrcTest, "gets of all protocols are seen, hits and misses", "[wire][stats][mrc]") {
  // Reads are noted before the batch that they came in, so what they find has to be there.
  client.Send("set c 0 0 1\r\ny\r\nset a 0 0 1\r\nx\r\n").Expect("STORED\r\nSTORED\r\n");
  client.Send("get a\r\nget b\r\n").Expect("VALUE a 0 1\r\nx\r\nEND\r\nEND\r\n");
  client.Send("mg a v\r\nmg b v\r\n").Expect("VA 1\r\nx\r\nEN\r\n");
  client.Send("gat 100 a\r\ntouch a 50\r\ntouch b 50\r\n")
      .Expect("VALUE a 0 1\r\nx\r\nEND\r\nTOUCHED\r\nNOT_FOUND\r\n");
  Client binary = server.Connect();
  // get c, get b.
  binary.Send(
      std::string_view("\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01"
                       "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                       "c",
                       25));
  CHECK(binary.ReceiveBytes(24 + 4 + 1).substr(6, 2) == std::string_view("\x00\x00", 2));
  binary.Send(
      std::string_view("\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01"
                       "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                       "b",
                       25));
  CHECK(binary.ReceiveBytes(24).substr(6, 2) == std::string_view("\x00\x01", 2));
  const auto rows = Mrc();
  CHECK(rows.at("references") == "9");
  CHECK(rows.at("sampled_references") == "9");
  CHECK(rows.at("sampled_keys") == "2");
  CHECK(rows.at("mrc:100:items") == "2");
  CHECK(rows.at("mrc:100:miss_ratio") == "0.4444");
}

TEST_CASE("the advice says what twice and half of the memory would do", "[wire][stats][mrc]") {
  TestServer server([](server::Config& config) {
    config.memory_bytes = std::uint64_t{2} << 20;
    config.threads = 1;
  });
  Client client = server.Connect();
  // A loop over some 3 MB: it fits into 4 MB, and all of it misses in 1 MB.
  const std::string value(900, 'v');
  for (int round = 0; round < 8; ++round) {
    for (int first = 0; first < 3000; first += 100) {
      for (int key = first; key < first + 100; ++key) {
        client.Send(fmt::format("get k{}\r\n", key));
        if (client.ReceiveUntil("END\r\n") != "END\r\n") continue;
        client.Send(fmt::format("set k{} 0 0 900\r\n{}\r\n", key, value)).Expect("STORED\r\n");
      }
      server.AdvanceClock(1);
    }
  }
  const auto rows = client.Stats("mrc");
  const double twice = std::stod(rows.at("mrc:200:miss_ratio"));
  const double present = std::stod(rows.at("mrc:100:miss_ratio"));
  const double half = std::stod(rows.at("mrc:50:miss_ratio"));
  CHECK(twice < 0.2);
  CHECK(half > present);
  CHECK(present > twice);
  const std::uint64_t misses = client.Stat("get_misses");
  CHECK(present == Approx(static_cast<double>(misses) / 24'000).margin(0.001));
  // The rows are rounded already, so a digit of the percents may differ.
  std::array<double, 3> said{};
  REQUIRE(std::sscanf(rows.at("advice").c_str(),
                      "with 4 MB misses fall from %lf%% to %lf%%; with 1 MB they rise to %lf%%",
                      &said[0], &said[1], &said[2]) == 3);
  CHECK(rows.at("advice") == fmt::format("with 4 MB misses fall from {:.1f}% to {:.1f}%; with 1 MB "
                                         "they rise to {:.1f}%",
                                         said[0], said[1], said[2]));
  CHECK(said[0] == Approx(100 * present).margin(0.1));
  CHECK(said[1] == Approx(100 * twice).margin(0.1));
  CHECK(said[2] == Approx(100 * half).margin(0.1));
}

TEST_CASE("stats mrc says that it is switched off", "[wire][stats][mrc]") {
  TestServer server([](server::Config& config) { config.estimate_miss_ratios = false; });
  server.Connect().Send("stats mrc\r\n").Expect("STAT mrc_status disabled\r\nEND\r\n");
  CHECK(server.Connect().Stats("settings").at("mrc") == "no");
}

}  // namespace
}  // namespace larder::wire
