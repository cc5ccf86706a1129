// The rules of single lines. ParseLine() and ParseOne() hold both parsers to them.
#include "protocol/text/text_parser_slow.h"

#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <vector>

#include "protocol/data_block.h"
#include "tests/protocol/parse_one.h"

namespace larder::protocol {
namespace {

using namespace std::literals;

Parsed RefusedSilently(LineError error) {
  Parsed parsed = Refused(error);
  parsed.noreply = true;
  return parsed;
}

Parsed Refused(LineError error, std::string key, std::uint32_t swallow_bytes, bool noreply) {
  return {
      .key = std::move(key), .swallow_bytes = swallow_bytes, .error = error, .noreply = noreply};
}

// What the lines of a stream come to.
std::vector<Parsed> ParseLines(std::string_view text) {
  Feed fast(ParseText);
  Feed slow(ParseTextSlow);
  fast.Receive(text);
  slow.Receive(text);
  CAPTURE(std::string(text));
  REQUIRE(AreAlike(fast, slow));
  return fast.parsed();
}

TEST_CASE("a line of less than four bytes is a bad line", "[protocol][line]") {
  for (const auto text : {"\n", "\r\n", " \n", "a\r\n", "ab\n", "mn\n", "  \n"}) {
    CAPTURE(text);
    CHECK(ParseLine(text) == Refused(LineError::kBadLine));
  }
}

TEST_CASE("a line end drops one carriage return", "[protocol][line]") {
  CHECK(ParseLine("set a 0 0 1\r\r\n") == Refused(LineError::kBadLine));
  CHECK(ParseLine("incr a 1\r\r\n") == Refused(LineError::kBadDelta, "a", 0, false));
  CHECK(ParseLine("touch a 1 noreply\r\r\n").noreply == false);
  CHECK(ParseLine("delete a\r\r\n").key == "a\r");
}

TEST_CASE("a line that names no command is an error", "[protocol][line]") {
  for (const auto text :
       {"ab\r\n", "abc\n", "   \r\n", "foo\r\n", "foo bar baz\r\n", "GET a\r\n", "Set a 0 0 1\r\n",
        "get\ta\r\n", "verbosity\t0\r\n", "getx a\r\n", "set\r a\r\n", "settle a 0 0 1\r\n",
        "\x80"
        "abc\r\n"}) {
    CAPTURE(text);
    CHECK(ParseLine(text) == Refused(LineError::kUnknownCommand));
  }
}

TEST_CASE("an unknown command is silenced by a last word noreply", "[protocol][line][noreply]") {
  CHECK(ParseLine("foo noreply\r\n") == RefusedSilently(LineError::kUnknownCommand));
  CHECK(ParseLine("foo bar noreply  \n") == RefusedSilently(LineError::kUnknownCommand));
  CHECK(ParseLine("foo noreply bar\r\n") == Refused(LineError::kUnknownCommand));
}

TEST_CASE("a command behind a space is unknown", "[protocol][line]") {
  for (const auto text :
       {" get a\r\n", "  set a 0 0 1\r\n", " version\r\n", " stats\r\n", " delete a\r\n"}) {
    CAPTURE(text);
    CHECK(ParseLine(text) == Refused(LineError::kUnknownCommand));
  }
}

TEST_CASE("admin commands work behind spaces", "[protocol][line][quirk]") {
  CHECK(ParseLine(" verbosity 0\r\n").verb == TextVerb::kVerbosity);
  CHECK(ParseLine("   cache_memlimit 64\r\n").verb == TextVerb::kCacheMemlimit);
}

TEST_CASE("an HTTP request closes the connection", "[protocol][line]") {
  CHECK(StatusOf("GET / HTTP/1.1\r\nHost: x\r\n\r\n") == ParseStatus::kFatal);
  CHECK(StatusOf("foo HTTP/1.0\r\n") == ParseStatus::kFatal);
  CHECK(ParseLine("HTTP/1.1\r\n") == Refused(LineError::kUnknownCommand));
  CHECK(ParseLine("GET HTTP/1.1 x\r\n") == Refused(LineError::kUnknownCommand));
}

TEST_CASE("a line may wait for its end up to 2048 bytes", "[protocol][line]") {
  CHECK(StatusOf(std::string(kLineBytesMax, 'x')) == ParseStatus::kNeedMore);
  CHECK(StatusOf(std::string(kLineBytesMax + 1, 'x')) == ParseStatus::kLineTooLong);
  CHECK(StatusOf("delete " + std::string(2100, 'k')) == ParseStatus::kLineTooLong);
  CHECK(StatusOf(" get " + std::string(2100, 'k')) == ParseStatus::kLineTooLong);
  CHECK(ParseLine(std::string(3000, 'x') + "\r\n") == Refused(LineError::kUnknownCommand));
}

TEST_CASE("a line without its end waits whole", "[protocol][line]") {
  for (const auto text : {"", "s", "set", "set a 0 0 1", "set a 0 0 1\r", "delete a", "incr a 1",
                          "incr a 1 noreply", "touch a 1\r", "version\r"}) {
    CAPTURE(text);
    const OneUnit one = ParseOne(text);
    CHECK(one.parsed.status == ParseStatus::kNeedMore);
    CHECK(one.consumed_bytes == 0);
  }
}

TEST_CASE("words behind the 23rd are ignored, even noreply", "[protocol][line]") {
  std::string seen = "set a 0 0 1";
  for (int i = 0; i < 17; ++i) seen += " x";
  CHECK(ParseLine(seen + " noreply\r\na\r\n").noreply);
  CHECK_FALSE(ParseLine(seen + " x noreply\r\na\r\n").noreply);
  CHECK(ParseLine(seen + " noreply x\r\na\r\n").noreply);
}

// Storage.

TEST_CASE("a store with its value is one request", "[protocol][set]") {
  CHECK(ParseLine("set key 5 100 3\r\nabc\r\n") == Parsed{.key = "key",
                                                          .value = "abc",
                                                          .client_flags = 5,
                                                          .exptime = 100,
                                                          .value_bytes = 3,
                                                          .verb = TextVerb::kSet});
  CHECK(ParseLine("cas key 5 100 3 77 noreply\n\r\n\0\r\n"sv) == Parsed{.key = "key",
                                                                        .value = "\r\n\0"s,
                                                                        .cas_unique = 77,
                                                                        .client_flags = 5,
                                                                        .exptime = 100,
                                                                        .value_bytes = 3,
                                                                        .verb = TextVerb::kCas,
                                                                        .noreply = true});
  CHECK(ParseLine("set a 0 0 0\r\n\r\n").value.empty());
}

TEST_CASE("every storage command has its verb", "[protocol][set]") {
  CHECK(ParseLine("set a 0 0 1\r\na\r\n").verb == TextVerb::kSet);
  CHECK(ParseLine("add a 0 0 1\r\na\r\n").verb == TextVerb::kAdd);
  CHECK(ParseLine("replace a 0 0 1\r\na\r\n").verb == TextVerb::kReplace);
  CHECK(ParseLine("append a 0 0 1\r\na\r\n").verb == TextVerb::kAppend);
  CHECK(ParseLine("prepend a 0 0 1\r\na\r\n").verb == TextVerb::kPrepend);
  CHECK(ParseLine("cas a 0 0 1 1\r\na\r\n").verb == TextVerb::kCas);
}

TEST_CASE("a store whose value is not all there leaves it to the caller", "[protocol][set]") {
  for (const auto text : {"set key 1 2 3\r\n", "set key 1 2 3\r\nabc", "set key 1 2 3\r\nabc\r"}) {
    CAPTURE(text);
    const OneUnit one = ParseOne(text);
    CHECK(one.parsed == Parsed{.status = ParseStatus::kNeedValue,
                               .key = "key",
                               .client_flags = 1,
                               .exptime = 2,
                               .value_bytes = 3,
                               .verb = TextVerb::kSet});
    CHECK(one.consumed_bytes == 15);
  }
}

TEST_CASE("a block that does not end in CRLF is left to the receiver of values",
          "[protocol][set]") {
  for (const auto text :
       {"set a 0 0 3\r\nabcde", "set a 0 0 3\r\nabc\n\n", "set a 0 0 3\r\nabc\r\r"}) {
    CAPTURE(text);
    const OneUnit one = ParseOne(text);
    CHECK(one.parsed.status == ParseStatus::kNeedValue);
    CHECK(one.parsed.verb == TextVerb::kSet);
    CHECK(one.parsed.key == "a");
    CHECK(one.parsed.value_bytes == 3);
    CHECK(one.parsed.value.empty());
    CHECK_FALSE(one.parsed.noreply);
    CHECK(one.consumed_bytes == 13);
    // Which finds out.
    const std::vector<Parsed> parsed = ParseLines(text);
    REQUIRE(parsed.size() == 1);
    CHECK(parsed[0].error == LineError::kBadDataChunk);
    CHECK(parsed[0].verb == TextVerb::kNone);
  }
  CHECK(ParseOne("set a 0 0 3 noreply\r\nabcde").parsed.noreply);
}

TEST_CASE("behind a bad chunk, parsing goes on with the next byte", "[protocol][set]") {
  const std::vector<Parsed> parsed = ParseLines("set a 0 0 3\r\nabcdefgh\r\nversion\r\n");
  REQUIRE(parsed.size() == 3);
  CHECK(parsed[0].error == LineError::kBadDataChunk);
  CHECK(parsed[1] == Refused(LineError::kUnknownCommand));  // fgh
  CHECK(parsed[2].verb == TextVerb::kVersion);
}

TEST_CASE("a store of fewer than five words swallows nothing", "[protocol][set]") {
  for (const auto text : {"set\r\n", "set a\r\n", "set a 0\r\n", "set a 0 0\r\n", "cas a 0 0\r\n",
                          "set a 0 noreply\r\n", "set noreply\r\n"}) {
    CAPTURE(text);
    CHECK(ParseLine(text) == Refused(LineError::kBadLine));
  }
}

TEST_CASE("a bad length swallows nothing and answers in any case", "[protocol][set][noreply]") {
  for (const auto bytes :
       {"abc", "1x", "+1", "-1", "2147483646", "99999999999", "noreply", "000000000001", "1.5"}) {
    CAPTURE(bytes);
    CHECK(ParseLine("set a 0 0 "s + bytes + "\r\n") == Refused(LineError::kBadLine));
    CHECK(ParseLine("set a 0 0 "s + bytes + " noreply\r\n") == Refused(LineError::kBadLine));
    CHECK(ParseLine("cas a x 0 "s + bytes + " 5\r\n") == Refused(LineError::kBadLine));
  }
}

TEST_CASE("the largest length is memcached's", "[protocol][set]") {
  const OneUnit one = ParseOne("set a 0 0 2147483645\r\n");
  CHECK(one.parsed.status == ParseStatus::kNeedValue);
  CHECK(one.parsed.value_bytes == kValueBytesMax);
}

TEST_CASE("a lone dash is a length of zero", "[protocol][set][quirk]") {
  CHECK(ParseLine("set a 0 0 -\r\n\r\n").verb == TextVerb::kSet);
}

TEST_CASE("a store that is refused with its length known swallows its block", "[protocol][set]") {
  const std::string long_key(kKeyBytesMax + 1, 'k');
  const LineError error = LineError::kBadLine;
  CHECK(ParseLine("set " + long_key + " 0 0 3\r\n") == Refused(error, long_key, 5, false));
  CHECK(ParseLine("set " + long_key + " 0 0 3 noreply\r\n") == Refused(error, long_key, 5, true));
  for (const auto flags : {"x", "1.5", "-1", "18446744073709551616", "noreply"}) {
    CAPTURE(flags);
    CHECK(ParseLine("set a "s + flags + " 0 2\r\n") == Refused(error, "a", 4, false));
    CHECK(ParseLine("append a "s + flags + " 0 2 noreply\r\n") == Refused(error, "a", 4, true));
  }
  for (const auto exptime : {"x", "1.5", "9223372036854775808"}) {
    CAPTURE(exptime);
    CHECK(ParseLine("set a 0 "s + exptime + " 2\r\n") == Refused(error, "a", 4, false));
  }
  for (const auto unique : {"x", "-1", "+100", "18446744073709551616", "00000000000000000000001"}) {
    CAPTURE(unique);
    CHECK(ParseLine("cas a 0 0 2 "s + unique + "\r\n") == Refused(error, "a", 4, false));
  }
  CHECK(ParseLine("cas a 0 0 2\r\n") == Refused(error, "a", 4, false));
  CHECK(ParseLine("cas a 0 0 2 noreply\r\n") == Refused(error, "a", 4, true));
  CHECK(ParseLine("set a x 0 2147483645\r\n").swallow_bytes == 2147483647u);
}

TEST_CASE("flags and exptime keep their low 32 bits", "[protocol][set][quirk]") {
  const auto flags_of = [](std::string text) {
    return ParseLine("set a " + text + " 0 1\r\na\r\n").client_flags;
  };
  CHECK(flags_of("4294967295") == 4294967295u);
  CHECK(flags_of("4294967296") == 0u);
  CHECK(flags_of("4294967297") == 1u);
  CHECK(flags_of("18446744073709551615") == 4294967295u);
  CHECK(flags_of("-18446744073709551615") == 1u);
  const auto exptime_of = [](std::string text) {
    return ParseLine("set a 0 " + text + " 1\r\na\r\n").exptime;
  };
  CHECK(exptime_of("-1") == -1);
  CHECK(exptime_of("2147483647") == 2147483647);
  CHECK(exptime_of("2147483648") == std::numeric_limits<std::int32_t>::min());
  CHECK(exptime_of("4294967396") == 100);
}

TEST_CASE("flags and exptime are read leniently", "[protocol][set]") {
  CHECK(ParseLine("set a 007 +5 1\r\na\r\n").client_flags == 7);
  CHECK(ParseLine("set a 007 +5 1\r\na\r\n").exptime == 5);
  CHECK(ParseLine("set a +7 0 1\r\na\r\n").client_flags == 7);
  CHECK(ParseLine("set a 1\tz 0 1\r\na\r\n").client_flags == 1);
}

TEST_CASE("a cas unique is 64 bits wide", "[protocol][cas]") {
  CHECK(ParseLine("cas a 0 0 1 18446744073709551615\r\na\r\n").cas_unique == ~std::uint64_t{0});
  CHECK(ParseLine("cas a 0 0 1 0100\r\na\r\n").cas_unique == 100);
}

TEST_CASE("extra words of a store are ignored", "[protocol][set][noreply]") {
  CHECK(ParseLine("set a 0 0 1 foo bar\r\na\r\n").verb == TextVerb::kSet);
  CHECK_FALSE(ParseLine("set a 0 0 1 noreply foo\r\na\r\n").noreply);
  CHECK(ParseLine("set a 0 0 1 foo noreply\r\na\r\n").noreply);
  CHECK_FALSE(ParseLine("set a 0 0 1 noreplyx\r\na\r\n").noreply);
  CHECK(ParseLine("set  b  1  0  1  \r\nx\r\n").client_flags == 1);
  CHECK(ParseLine("set a 0 0 1 noreply \r\na\r\n").noreply);
}

// Commands of one key.

TEST_CASE("delete ignores what follows its key", "[protocol][delete]") {
  const Parsed plain = {.key = "a", .verb = TextVerb::kDelete};
  const Parsed silent = {.key = "a", .verb = TextVerb::kDelete, .noreply = true};
  for (const auto text : {"delete a\r\n", "delete a\n", "delete a 0\r\n", "delete a x y z\r\n",
                          "delete  a  \r\n", "delete a noreply x\r\n"}) {
    CAPTURE(text);
    CHECK(ParseLine(text) == plain);
  }
  for (const auto text : {"delete a noreply\r\n", "delete a 0 noreply\r\n"}) {
    CAPTURE(text);
    CHECK(ParseLine(text) == silent);
  }
  CHECK(ParseLine("delete\r\n") == Refused(LineError::kBadLine));
  CHECK(ParseLine("delete \r\n") == Refused(LineError::kBadLine));
}

TEST_CASE("delete noreply silently deletes a key of that name", "[protocol][delete][quirk]") {
  CHECK(ParseLine("delete noreply\r\n") ==
        Parsed{.key = "noreply", .verb = TextVerb::kDelete, .noreply = true});
}

TEST_CASE("a key of 251 bytes is a bad line", "[protocol][delete][touch][incr]") {
  const std::string key(kKeyBytesMax, 'k');
  const std::string long_key = key + "k";
  CHECK(ParseLine("delete " + key + "\r\n").key == key);
  CHECK(ParseLine("incr " + key + " 1\r\n").key == key);
  for (const auto& line : {"delete " + long_key, "touch " + long_key + " 0",
                           "incr " + long_key + " 1", "incr " + long_key + " x"}) {
    CHECK(ParseLine(line + "\r\n") == Refused(LineError::kBadLine, long_key, 0, false));
    CHECK(ParseLine(line + " noreply\r\n") == Refused(LineError::kBadLine, long_key, 0, true));
  }
}

TEST_CASE("touch takes a strict exptime", "[protocol][touch]") {
  CHECK(ParseLine("touch a 100\r\n") ==
        Parsed{.key = "a", .exptime = 100, .verb = TextVerb::kTouch});
  CHECK(ParseLine("touch a -1 x noreply\r\n") ==
        Parsed{.key = "a", .exptime = -1, .verb = TextVerb::kTouch, .noreply = true});
  CHECK(ParseLine("touch a 2147483647\r\n").exptime == 2147483647);
  for (const auto exptime : {"abc", "1.5", "+1", "2147483648", "000000000001"}) {
    CAPTURE(exptime);
    CHECK(ParseLine("touch a "s + exptime + "\r\n") ==
          Refused(LineError::kBadExptime, "a", 0, false));
    CHECK(ParseLine("touch a "s + exptime + " noreply\r\n") ==
          Refused(LineError::kBadExptime, "a", 0, true));
  }
  CHECK(ParseLine("touch a\r\n") == Refused(LineError::kBadLine));
  CHECK(ParseLine("touch noreply\r\n") == Refused(LineError::kBadLine));
}

TEST_CASE("incr and decr take a strict delta", "[protocol][incr]") {
  CHECK(ParseLine("incr a 5\r\n") == Parsed{.key = "a", .delta = 5, .verb = TextVerb::kIncr});
  CHECK(ParseLine("decr a 18446744073709551615 junk\r\n") ==
        Parsed{.key = "a", .delta = ~std::uint64_t{0}, .verb = TextVerb::kDecr});
  CHECK(ParseLine("incr a 1 noreply\r\n").noreply);
  CHECK(ParseLine("incr a 0000000000000000000001\r\n").delta == 1);
  for (const auto delta :
       {"x", "-1", "+1", "1.5", "18446744073709551616", "00000000000000000000001"}) {
    CAPTURE(delta);
    CHECK(ParseLine("incr a "s + delta + "\r\n") == Refused(LineError::kBadDelta, "a", 0, false));
    CHECK(ParseLine("decr a "s + delta + " noreply\r\n") ==
          Refused(LineError::kBadDelta, "a", 0, true));
  }
  CHECK(ParseLine("incr a\r\n") == Refused(LineError::kBadLine));
  CHECK(ParseLine("incr\r\n") == Refused(LineError::kBadLine));
}

TEST_CASE("noreply in place of the last argument is a silent error", "[protocol][noreply][quirk]") {
  CHECK(ParseLine("touch a noreply\r\n") == Refused(LineError::kBadExptime, "a", 0, true));
  CHECK(ParseLine("incr a noreply\r\n") == Refused(LineError::kBadDelta, "a", 0, true));
  CHECK(ParseLine("verbosity noreply\r\n").noreply);
  CHECK(ParseLine("verbosity noreply\r\n").error == LineError::kBadLine);
}

// Commands without a key.

TEST_CASE("flush_all takes an optional delay", "[protocol][flush_all]") {
  const auto flush = [](std::int32_t exptime, bool noreply) {
    return Parsed{.exptime = exptime, .verb = TextVerb::kFlushAll, .noreply = noreply};
  };
  CHECK(ParseLine("flush_all\r\n") == flush(0, false));
  CHECK(ParseLine("flush_all noreply\r\n") == flush(0, true));
  CHECK(ParseLine("flush_all 0 x\r\n") == flush(0, false));
  CHECK(ParseLine("flush_all -1\r\n") == flush(-1, false));
  CHECK(ParseLine("flush_all 3 noreply\r\n") == flush(3, true));
  for (const auto text : {"flush_all x\r\n", "flush_all 1.5\r\n", "flush_all 4294967297\r\n",
                          "flush_all noreply 0\r\n"}) {
    CAPTURE(text);
    CHECK(ParseLine(text) == Refused(LineError::kBadExptime));
  }
  CHECK(ParseLine("flush_all x noreply\r\n") == RefusedSilently(LineError::kBadExptime));
}

TEST_CASE("version, quit and mn ignore their arguments, noreply too", "[protocol][version]") {
  for (const auto text : {"version\r\n", "version foo noreply\r\n", "version noreply\r\n"}) {
    CAPTURE(text);
    CHECK(ParseLine(text) == Parsed{.verb = TextVerb::kVersion});
  }
  CHECK(ParseLine("quit foo noreply\r\n") == Parsed{.verb = TextVerb::kQuit});
  CHECK(ParseLine("quit\n") == Parsed{.verb = TextVerb::kQuit});
  CHECK(ParseLine("mn\r\n") == Parsed{.verb = TextVerb::kMeta, .meta_verb = MetaVerb::kNoop});
  CHECK(ParseLine("mn noreply\r\n") ==
        Parsed{.verb = TextVerb::kMeta, .meta_verb = MetaVerb::kNoop});
}

TEST_CASE("verbosity takes a number", "[protocol][verbosity]") {
  CHECK(ParseLine("verbosity 2\r\n").setting == 2);
  CHECK(ParseLine("verbosity 4294967295 0 0\r\n").setting == 4294967295u);
  CHECK(ParseLine("verbosity 0 noreply\r\n").noreply);
  for (const auto text :
       {"verbosity\r\n", "verbosity x\r\n", "verbosity -1\r\n", "verbosity 99999999999\r\n"}) {
    CAPTURE(text);
    CHECK(ParseLine(text).error == LineError::kBadLine);
  }
}

TEST_CASE("cache_memlimit without a number is an unknown command", "[protocol][cache_memlimit]") {
  CHECK(ParseLine("cache_memlimit 64\r\n").setting == 64);
  CHECK(ParseLine("cache_memlimit 1000000001\r\n").setting == 1000000001);
  CHECK(ParseLine("cache_memlimit 64 noreply\r\n").noreply);
  CHECK(ParseLine("cache_memlimit\r\n") == Refused(LineError::kUnknownCommand));
  CHECK(ParseLine("cache_memlimit x\r\n").error == LineError::kUnknownCommand);
  CHECK(ParseLine("cache_memlimit noreply\r\n").noreply);
}

TEST_CASE("stats and shutdown keep their arguments", "[protocol][stats][shutdown]") {
  CHECK(ParseLine("stats\r\n") == Parsed{.verb = TextVerb::kStats});
  CHECK(ParseLine("stats  cachedump  1 0 \r\n") ==
        Parsed{.arguments = "cachedump  1 0", .verb = TextVerb::kStats});
  CHECK(ParseLine("stats noreply\r\n") == Parsed{.arguments = "noreply", .verb = TextVerb::kStats});
  CHECK(ParseLine("shutdown\r\n") == Parsed{.verb = TextVerb::kShutdown});
  CHECK(ParseLine("shutdown graceful\r\n") ==
        Parsed{.arguments = "graceful", .verb = TextVerb::kShutdown});
  CHECK(ParseLine("shutdown noreply\r\n") ==
        Parsed{.arguments = "noreply", .verb = TextVerb::kShutdown, .noreply = true});
}

}  // namespace
}  // namespace larder::protocol
