// Properties of the parser as a whole; the rules of lines are in text_parser_slow_test.cc, those
// of key lists in key_list_test.cc.
#include "protocol/text/text_parser.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/protocol/feed.h"

namespace larder::protocol {
namespace {

// One of everything, well formed and not.
constexpr std::string_view kMixedStream =
    "set key:1 0 0 5\r\nhello\r\nget key:1\r\ngets a b  noreply \r\n"
    "cas key:1 7 100 3 12345 noreply\r\na\r\n\r\nget  a   b\ngat 10 a b\r\ngat x a b c\r\n"
    "set a 0 0 3\r\nabcdefgh\r\nset a x 0 4\r\nget \r\n\r\nset a 0 0 -1\r\nfoo bar noreply\r\n"
    "append a 0 -1 2\r\nxy\r\nincr n 5\r\ndecr n 1 noreply\r\ntouch a 10\r\ndelete a noreply\r\n"
    "delete noreply\r\n\r\nget\r\n verbosity 1\r\nflush_all 0 noreply\r\nstats items\r\nversion\r\n"
    "replace k 4294967296 +5 0\r\n\r\nget a\r\r\nmn\r\n"
    "mg a v\r\nmg a\nms a 3 T5 q\r\na\nb\r\nms YQ== 1 b\r\nx\r\nmd  a  q Oabc \r\nma a MI D5\r\n"
    "me a\r\nmg\r\nms a 2 Z\r\nmn\r\nms a x\r\nmg YQ== b k v\r\nmg a {\r\nquit\r\n";

std::string Pick(std::mt19937& random, std::initializer_list<std::string_view> choices) {
  return std::string(choices.begin()[random() % choices.size()]);
}

std::string RandomKey(std::mt19937& random) {
  switch (random() % 12) {
    case 0:
      return std::string(249 + random() % 4, 'k');
    case 1:
      return Pick(random, {"noreply", "\r", "a\r", "get", "0", "HTTP/1.1"});
    case 2: {
      std::string key(1 + random() % 40, '\0');
      for (char& byte : key) byte = static_cast<char>(random());
      return key;
    }
    default:
      return "key:" + std::to_string(random() % 1000000);
  }
}

std::string RandomNumber(std::mt19937& random) {
  switch (random() % 8) {
    case 0:
      return Pick(random, {"-", "-1", "+1", "1.5", "x", "1\tz", "noreply", "4294967296",
                           "2147483648", "18446744073709551615", "18446744073709551616",
                           "000000000001", "00000000000000000001", "-18446744073709551615"});
    case 1:
      return std::to_string(random());
    default:
      return std::to_string(random() % 20);
  }
}

// A request with its value, in one of the ways that clients get it right or wrong.
std::string RandomRequest(std::mt19937& random) {
  const auto space = [&] { return std::string(random() % 8 == 0 ? 2 : 1, ' '); };
  const auto line_end = [&] {
    return Pick(random, {"\r\n", "\r\n", "\r\n", "\n", " \r\n", "\r\r\n"});
  };
  const auto noreply = [&] { return Pick(random, {"", "", "", " noreply", " x", " noreply x"}); };
  const auto keyed = [&](const std::string& command) {
    return command + space() + RandomKey(random);
  };
  const auto flags = [&] {
    std::string text;
    for (auto count = random() % 6; count > 0; --count) {
      text += space() + Pick(random, {"v",
                                      "t",
                                      "k",
                                      "q",
                                      "c",
                                      "s",
                                      "b",
                                      "u",
                                      "h",
                                      "x",
                                      "I",
                                      "O1",
                                      "Oabcdefghijklmnopqrstuvwxyz0123456",
                                      "MA",
                                      "M",
                                      "T",
                                      "Z",
                                      "v\r",
                                      "{",
                                      "C",
                                      "E1",
                                      "3",
                                      "R-1"});
      if (random() % 4 == 0) text += RandomNumber(random);
    }
    return text;
  };
  switch (random() % 8) {
    case 6:
      return Pick(random, {"mg", "mg", "md", "ma", "me"}) + space() +
             (random() % 4 == 0 ? "YWI=" : RandomKey(random)) + flags() + line_end();
    case 7: {
      const std::size_t bytes = random() % 30;
      return keyed("ms") + space() +
             (random() % 8 != 0 ? std::to_string(bytes) : RandomNumber(random)) + flags() +
             line_end() + std::string(bytes, 'x') + Pick(random, {"\r\n", "\r\n", "\n"});
    }
    case 0: {
      std::string line = Pick(random, {"get", "gets", "gat", "gats"});
      if (line.starts_with("gat")) line += space() + RandomNumber(random);
      for (auto keys = random() % 5; keys > 0; --keys) line += space() + RandomKey(random);
      return line + line_end();
    }
    case 1:
    case 2: {
      const std::size_t bytes = random() % 30;
      const bool is_length_right = random() % 8 != 0;
      std::string command =
          Pick(random, {"set", "set", "add", "replace", "append", "prepend", "cas"});
      const bool is_cas = command == "cas";
      std::string line = keyed(command) + space() + RandomNumber(random) + space() +
                         RandomNumber(random) + space() +
                         (is_length_right ? std::to_string(bytes) : RandomNumber(random));
      if (is_cas) line += space() + RandomNumber(random);
      std::string value(bytes, '\0');
      for (char& byte : value) byte = "ab \r\n01"[random() % 7];
      return line + noreply() + line_end() + value + Pick(random, {"\r\n", "\r\n", "\r\n", "\n"});
    }
    case 3:
      return keyed(Pick(random, {"incr", "decr", "touch"})) + space() + RandomNumber(random) +
             noreply() + line_end();
    case 4:
      return keyed("delete") + noreply() + line_end();
    default:
      return Pick(random, {"", " ", "  "}) +
             Pick(random, {"version", "mn", "stats a b", "flush_all", "flush_all 5", "verbosity 1",
                           "foo", "a", "", "shutdown", "get", "gat", "set", "cache_memlimit 8"}) +
             noreply() + line_end();
  }
}

std::string RandomStream(std::mt19937& random) {
  std::string stream;
  for (auto requests = 1 + random() % 12; requests > 0; --requests) {
    stream += RandomRequest(random);
  }
  // Half of the streams are damaged somewhere, as a broken client or an attacker would.
  if (random() % 2 == 0) {
    for (auto damages = random() % 4; damages > 0 && !stream.empty(); --damages) {
      const auto at = random() % stream.size();
      switch (random() % 3) {
        case 0:
          stream.erase(at, 1 + random() % 3);
          break;
        case 1:
          stream.insert(at, Pick(random, {" ", "\n", "\r", "\r\n", "0", "-", "noreply", "  "}));
          break;
        default:
          stream[at] = static_cast<char>(random());
      }
    }
  }
  return stream;
}

Feed ParseWhole(std::string_view stream, Parser parser, std::string_view slack = " ") {
  Feed feed(parser, slack);
  feed.Receive(stream);
  return feed;
}

TEST_CASE("a stream parses alike wherever it is split", "[protocol][property]") {
  const Feed whole = ParseWhole(kMixedStream, ParseText);
  REQUIRE_FALSE(whole.is_closed());
  REQUIRE(whole.tail().empty());
  for (std::size_t split = 0; split <= kMixedStream.size(); ++split) {
    Feed feed(ParseText);
    feed.Receive(kMixedStream.substr(0, split));
    feed.Receive(kMixedStream.substr(split));
    CAPTURE(split);
    REQUIRE(AreAlike(feed, whole));
  }
}

TEST_CASE("a stream parses alike byte by byte", "[protocol][property]") {
  const Feed whole = ParseWhole(kMixedStream, ParseText);
  for (const Parser parser : {ParseText, ParseTextSlow}) {
    Feed feed(parser, "\r\n");
    for (std::size_t at = 0; at < kMixedStream.size(); ++at) {
      feed.Receive(kMixedStream.substr(at, 1));
    }
    CHECK(feed.parsed() == whole.parsed());
    CHECK(AreAlike(feed, whole));
  }
}

TEST_CASE("random streams parse alike however they are split", "[protocol][property]") {
  const auto seed = GENERATE(take(20, random(0u, ~0u)));
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 50; ++round) {
    const std::string stream = RandomStream(random);
    const Feed whole = ParseWhole(stream, ParseText);
    Feed pieces(ParseText, kHostileSlacks[random() % kHostileSlacks.size()]);
    const std::size_t piece_bytes_max = 1 + random() % 60;
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t piece_bytes = 1 + random() % piece_bytes_max;
      pieces.Receive(std::string_view(stream).substr(at, piece_bytes));
      at += piece_bytes;
    }
    CAPTURE(round, stream, whole.parsed(), pieces.parsed());
    REQUIRE(AreAlike(pieces, whole));
  }
}

TEST_CASE("the fast and the slow parser agree on random streams", "[protocol][property]") {
  const auto seed = GENERATE(take(20, random(0u, ~0u)));
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 50; ++round) {
    const std::string stream = RandomStream(random);
    const Feed slow = ParseWhole(stream, ParseTextSlow);
    for (const std::string_view slack : kHostileSlacks) {
      const Feed fast = ParseWhole(stream, ParseText, slack);
      CAPTURE(round, stream, std::string(slack), fast.parsed(), slow.parsed());
      REQUIRE(AreAlike(fast, slow));
    }
  }
}

TEST_CASE("nothing is parsed from behind the input", "[protocol][property]") {
  // Slacks that would complete what stands at the end of the input.
  for (const std::string_view slack : {"et key 0 0 1\r\na\r\n", " key\r\n", "ace k 0 0 0\r\n\r\n",
                                       "\n", "0\r\n", "eply\r\n", "s a b\r\n"}) {
    for (std::size_t bytes = 0; bytes <= kMixedStream.size(); ++bytes) {
      const std::string_view stream = kMixedStream.substr(0, bytes);
      CAPTURE(std::string(slack), bytes);
      REQUIRE(AreAlike(ParseWhole(stream, ParseText, slack), ParseWhole(stream, ParseTextSlow)));
    }
  }
}

}  // namespace
}  // namespace larder::protocol
