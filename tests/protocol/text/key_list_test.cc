#include "protocol/text/key_list.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/protocol/parse_one.h"

namespace larder::protocol {
namespace {

using namespace std::literals;

// All that a stream of whole lines asks for, by either parser.
std::vector<Parsed> ParseWholeLines(std::string_view text) {
  Feed fast(ParseText);
  Feed slow(ParseTextSlow);
  fast.Receive(text);
  slow.Receive(text);
  CAPTURE(std::string(text));
  REQUIRE(AreAlike(fast, slow));
  REQUIRE(fast.tail().empty());
  REQUIRE_FALSE(fast.list().is_open);
  return fast.parsed();
}

Parsed Key(std::string key, bool is_last_key, TextVerb verb = TextVerb::kGet,
           std::int32_t exptime = 0) {
  return {.key = std::move(key), .exptime = exptime, .verb = verb, .is_last_key = is_last_key};
}

TEST_CASE("a get of one key is one request", "[protocol][get]") {
  CHECK(ParseLine("get a\r\n") == Key("a", true));
  CHECK(ParseLine("get a\n") == Key("a", true));
  CHECK(ParseLine("gets abcdefgh\r\n") == Key("abcdefgh", true, TextVerb::kGets));
}

TEST_CASE("each key of a get is a request of its own", "[protocol][get]") {
  CHECK(ParseWholeLines("get c b a\r\n") ==
        std::vector{Key("c", false), Key("b", false), Key("a", true)});
  CHECK(ParseWholeLines("gets a a\n") ==
        std::vector{Key("a", false, TextVerb::kGets), Key("a", true, TextVerb::kGets)});
}

TEST_CASE("runs of spaces and trailing spaces do not make keys", "[protocol][get]") {
  CHECK(ParseWholeLines("get  a   a  \r\n") == std::vector{Key("a", false), Key("a", true)});
  CHECK(ParseWholeLines("get a \n") == std::vector{Key("a", true)});
}

TEST_CASE("noreply is a key like any other", "[protocol][get][noreply]") {
  CHECK(ParseWholeLines("get a noreply\r\n") == std::vector{Key("a", false), Key("noreply", true)});
  CHECK(ParseWholeLines("gat 0 noreply\r\n") == std::vector{Key("noreply", true, TextVerb::kGat)});
}

TEST_CASE("a key holds any byte but space and newline", "[protocol][get]") {
  CHECK(ParseLine("get a\0b\r\n"sv) == Key("a\0b"s, true));
  CHECK(ParseLine("get \xff\xfe\r\n") == Key("\xff\xfe", true));
  CHECK(ParseLine("get a\tb\r\n") == Key("a\tb", true));
  CHECK(ParseLine("get a\rb\r\n") == Key("a\rb", true));
  CHECK(ParseLine("get a\r\r\n") == Key("a\r", true));
  CHECK(ParseWholeLines("get a\r \rb\r\n") == std::vector{Key("a\r", false), Key("\rb", true)});
}

TEST_CASE("a key is taken before its line has ended", "[protocol][get]") {
  const OneUnit one = ParseOne("gets abc d");
  CHECK(one.parsed == Key("abc", false, TextVerb::kGets));
  CHECK(one.consumed_bytes == 9);
  CHECK(one.list.is_open);
  CHECK(one.list.verb == TextVerb::kGets);
}

TEST_CASE("a key waits for what follows its spaces", "[protocol][get]") {
  for (const auto text : {"get abc", "get abc ", "get abc  ", "get abc \r", "get abc\r"}) {
    CAPTURE(text);
    const OneUnit one = ParseOne(text);
    CHECK(one.parsed.status == ParseStatus::kNeedMore);
    CHECK(one.consumed_bytes == 4);
    CHECK(one.list.is_open);
  }
}

TEST_CASE("spaces before a key are not kept", "[protocol][get]") {
  const OneUnit one = ParseOne("get" + std::string(5000, ' '));
  CHECK(one.parsed.status == ParseStatus::kNeedMore);
  CHECK(one.consumed_bytes == 5003);
}

TEST_CASE("a head without its space waits", "[protocol][get]") {
  for (const auto text :
       {"", "g", "ge", "get", "gets", "gat", "gat ", "gat 1", "gat 1 ", "gats 1", "get\r"}) {
    CAPTURE(text);
    const OneUnit one = ParseOne(text);
    CHECK_FALSE(one.list.is_open);
    CHECK(one.parsed.status == ParseStatus::kNeedMore);
    CHECK(one.consumed_bytes == 0);
  }
}

TEST_CASE("a line without a key is a bad line", "[protocol][get]") {
  for (const auto text : {"get\r\n", "get\n", "get \r\n", "get   \n", "gets\r\n", "gat\r\n",
                          "gat \r\n", "gat 0\r\n", "gat 0 \r\n", "gats 0\n", "gat x\r\n"}) {
    CAPTURE(text);
    CHECK(ParseLine(text) == Refused(LineError::kBadLine));
  }
}

TEST_CASE("gat carries its exptime to every key", "[protocol][gat]") {
  CHECK(ParseWholeLines("gat 100 a b\r\n") ==
        std::vector{Key("a", false, TextVerb::kGat, 100), Key("b", true, TextVerb::kGat, 100)});
  CHECK(ParseWholeLines("gats  -1  a\r\n") == std::vector{Key("a", true, TextVerb::kGats, -1)});
  CHECK(ParseWholeLines("gat - a\r\n") == std::vector{Key("a", true, TextVerb::kGat, 0)});
}

TEST_CASE("a bad gat exptime ends the line with one error", "[protocol][gat]") {
  for (const auto exptime : {"x", "1.5", "+1", "2147483648", "4294967297", "000000000001"}) {
    CAPTURE(exptime);
    const std::string line = "gat "s + exptime + " a b\r\nget c\r\n";
    CHECK(ParseWholeLines(line) == std::vector{Refused(LineError::kBadExptime), Key("c", true)});
  }
}

TEST_CASE("a key of 250 bytes is taken", "[protocol][get]") {
  const std::string key(kKeyBytesMax, 'k');
  CHECK(ParseLine("get " + key + "\r\n") == Key(key, true));
  CHECK(ParseWholeLines("get a " + key + " b\n") ==
        std::vector{Key("a", false), Key(key, false), Key("b", true)});
}

TEST_CASE("a key of 251 bytes ends the line with one error", "[protocol][get]") {
  const std::string key(kKeyBytesMax + 1, 'k');
  const Parsed refused = Refused(LineError::kBadLine);
  CHECK(ParseWholeLines("get " + key + "\r\nget c\r\n") == std::vector{refused, Key("c", true)});
  CHECK(ParseWholeLines("get a " + key + " b\r\nget c\r\n") ==
        std::vector{Key("a", false), refused, Key("c", true)});
  CHECK(ParseWholeLines("gat 5 " + key + "\nget c\r\n") == std::vector{refused, Key("c", true)});
}

TEST_CASE("a key is known to be too long before it ends", "[protocol][get]") {
  const std::string key(kKeyBytesMax, 'k');
  CHECK(StatusOf("get " + key) == ParseStatus::kNeedMore);
  CHECK(StatusOf("get " + key + "\r") == ParseStatus::kNeedMore);
  CHECK(ParseOne("get " + key + "k").parsed == Refused(LineError::kBadLine));
  CHECK(ParseOne("get " + key + "\r\r").parsed == Refused(LineError::kBadLine));
}

TEST_CASE("the rest of a refused line is dropped as it comes", "[protocol][get]") {
  const KeyList skipping = {.is_skipping = true};
  const OneUnit middle = ParseOne("kkk a b", skipping);
  CHECK(middle.parsed.status == ParseStatus::kNeedMore);
  CHECK(middle.consumed_bytes == 7);
  CHECK(middle.list.is_skipping);
  const OneUnit end = ParseOne("b\r\nget c\r\n", skipping);
  CHECK(end.parsed == Key("c", true));
  CHECK(end.consumed_bytes == 10);
  CHECK_FALSE(end.list.is_skipping);
}

TEST_CASE("a get line has no limit", "[protocol][get]") {
  std::string line = "get";
  for (int i = 0; i < 4000; ++i) line += " key" + std::to_string(i);
  const std::vector<Parsed> keys = ParseWholeLines(line + "\r\n");
  REQUIRE(keys.size() == 4000);
  CHECK(keys.front() == Key("key0", false));
  CHECK(keys.back() == Key("key3999", true));
}

TEST_CASE("a key that waits behind too many spaces is fatal", "[protocol][get]") {
  CHECK(StatusOf("get a" + std::string(kLineBytesMax - 1, ' ')) == ParseStatus::kNeedMore);
  CHECK(StatusOf("get a" + std::string(kLineBytesMax, ' ')) == ParseStatus::kLineTooLong);
  CHECK(ParseLine("get a" + std::string(kLineBytesMax, ' ') + "\n") == Key("a", true));
  CHECK(StatusOf("gat 1" + std::string(kLineBytesMax, ' ')) == ParseStatus::kLineTooLong);
}

}  // namespace
}  // namespace larder::protocol
