#include "protocol/text/login_parser.h"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/text/text_parser.h"
#include "tests/protocol/feed.h"

namespace larder::protocol {
namespace {

// A LoginRequest that owns its texts, with how it came.
struct ParsedLogin {
  ParseStatus status = ParseStatus::kComplete;
  Login login = Login::kRefused;
  std::string user = {};
  std::string password = {};
  std::uint64_t swallow_bytes = 0;
  std::size_t consumed_bytes = 0;

  bool operator==(const ParsedLogin&) const = default;
};

ParsedLogin Parse(std::string_view text) {
  ParsedLogin first;
  for (const std::string_view slack : kHostileSlacks) {
    const HostileInput input(text, slack);
    LoginRequest request;
    const ParseResult result = ParseLogin(input.view(), request);
    const ParsedLogin parsed = {result.status,
                                request.login,
                                std::string(request.user),
                                std::string(request.password),
                                request.swallow_bytes,
                                result.consumed_bytes};
    if (slack == kHostileSlacks.front()) first = parsed;
    CAPTURE(std::string(text), std::string(slack));
    REQUIRE(parsed == first);
  }
  return first;
}

Login LoginOf(std::string_view text) {
  const ParsedLogin parsed = Parse(text);
  CHECK(parsed.status == ParseStatus::kComplete);
  return parsed.login;
}

// What a connection would see of `text` that comes in two pieces.
std::vector<ParsedLogin> ParseAll(std::string_view text, std::size_t split) {
  std::vector<ParsedLogin> all;
  std::string tail;
  std::uint64_t swallow_bytes = 0;
  for (const std::string_view piece : {text.substr(0, split), text.substr(split)}) {
    tail += piece;
    for (;;) {
      const std::size_t swallowed = std::min<std::size_t>(swallow_bytes, tail.size());
      tail.erase(0, swallowed);
      swallow_bytes -= swallowed;
      const ParsedLogin parsed = Parse(tail);
      if (parsed.status != ParseStatus::kComplete) break;
      swallow_bytes = parsed.swallow_bytes;
      tail.erase(0, parsed.consumed_bytes);
      all.push_back(parsed);
    }
  }
  all.push_back({.user = tail, .swallow_bytes = swallow_bytes});
  return all;
}

TEST_CASE("a set line and its block are credentials", "[protocol][login]") {
  const ParsedLogin parsed = Parse("set a 0 0 12\r\nalice secret\r\nget");
  CHECK(parsed.status == ParseStatus::kComplete);
  CHECK(parsed.login == Login::kCredentials);
  CHECK(parsed.user == "alice");
  CHECK(parsed.password == "secret");
  CHECK(parsed.consumed_bytes == 28);
  CHECK(parsed.swallow_bytes == 0);
}

TEST_CASE("the first space parts user and password", "[protocol][login]") {
  const ParsedLogin parsed = Parse("set a 0 0 8\r\nu  p:\r\n \r\n");
  CHECK(parsed.login == Login::kCredentials);
  CHECK(parsed.user == "u");
  CHECK(parsed.password == " p:\r\n ");
  CHECK(Parse("set a 0 0 1\r\n \r\n").login == Login::kCredentials);
}

TEST_CASE("only the length of a set line is looked at", "[protocol][login]") {
  for (const std::string_view line :
       {std::string_view("set a b c 3\r\n"), std::string_view("set a -1 x 3 noreply and more\r\n"),
        std::string_view(" set  a 0 0 3 \r\n"), std::string_view("set a 0 0 003\r\n"),
        std::string_view("set a 0 0 3\n")}) {
    CAPTURE(std::string(line));
    CHECK(LoginOf(std::string(line) + "u p\r\n") == Login::kCredentials);
  }
  CHECK(LoginOf("set " + std::string(300, 'k') + " 0 0 3\r\nu p\r\n") == Login::kCredentials);
}

TEST_CASE("a bad block is consumed, and told apart", "[protocol][login]") {
  const ParsedLogin no_space = Parse("set a 0 0 3\r\nu:p\r\n");
  CHECK(no_space.login == Login::kBadFormat);
  CHECK(no_space.consumed_bytes == 18);
  const ParsedLogin empty = Parse("set a 0 0 0\r\n\r\n");
  CHECK(empty.login == Login::kBadFormat);
  const ParsedLogin long_block = Parse("set a 0 0 3\r\nu pass\r\n");
  CHECK(long_block.login == Login::kBadEnd);
  CHECK(long_block.consumed_bytes == 18);
}

TEST_CASE("a block may have 16384 bytes", "[protocol][login]") {
  const std::string block = "u " + std::string(16382, 'p');
  const ParsedLogin parsed = Parse("set a 0 0 16384\r\n" + block + "\r\n");
  CHECK(parsed.login == Login::kCredentials);
  CHECK(parsed.password.size() == 16382);
  const ParsedLogin too_long = Parse("set a 0 0 16385\r\n");
  CHECK(too_long.status == ParseStatus::kComplete);
  CHECK(too_long.login == Login::kTooLong);
  CHECK(too_long.consumed_bytes == 17);
  CHECK(too_long.swallow_bytes == 16387);
}

TEST_CASE("version and quit are told from the rest", "[protocol][login]") {
  CHECK(LoginOf("version\r\n") == Login::kVersion);
  CHECK(LoginOf("version x noreply\r\n") == Login::kVersion);
  CHECK(LoginOf("quit\r\n") == Login::kQuit);
  CHECK(LoginOf("quit x\r\n") == Login::kQuit);
  CHECK(LoginOf("versions\r\n") == Login::kRefused);
  CHECK(LoginOf("VERSION\r\n") == Login::kRefused);
  CHECK(LoginOf("quits x\r\n") == Login::kRefused);
}

TEST_CASE("a line of less than six bytes is a quit, as is a binary packet", "[protocol][login]") {
  for (const char* line : {"\n", "\r\n", "mn\r\n", "abcd\r\n", "abcde\n"}) {
    CAPTURE(line);
    CHECK(LoginOf(line) == Login::kQuit);
  }
  CHECK(LoginOf("abcde\r\n") == Login::kRefused);
  CHECK(LoginOf("abcdef\n") == Login::kRefused);
  CHECK(LoginOf("\x80\x0b") == Login::kQuit);
}

TEST_CASE("whatever else is asked for is unauthenticated", "[protocol][login]") {
  for (const char* line : {"get a\r\n",
                           "gets a b c\r\n",
                           "gat 0 a\r\n",
                           "delete a\r\n",
                           "incr a 1\r\n",
                           "touch a 0\r\n",
                           "flush_all\r\n",
                           "stats\r\n",
                           "stats conns\r\n",
                           "verbosity 1\r\n",
                           "cache_memlimit 8\r\n",
                           "shutdown\r\n",
                           "mg a v\r\n",
                           "me a v\r\n",
                           "mn     \r\n",
                           "config get cluster\r\n",
                           "lru_crawler metadump all\r\n",
                           "watch mutations\r\n",

                           "set a b\r\n",
                           "set a 0 0 x\r\n",
                           "set a 0 0 -1\r\n",
                           "set a 0 0 9999999999\r\n",
                           "SET a 0 0 3\r\n",
                           "setx a 0 0 3\r\n",
                           "GET / HTTP/1.1\r\n"}) {
    CAPTURE(line);
    const ParsedLogin parsed = Parse(line);
    CHECK(parsed.status == ParseStatus::kComplete);
    CHECK(parsed.login == Login::kRefused);
    CHECK(parsed.consumed_bytes == std::string_view(line).size());
    CHECK(parsed.swallow_bytes == 0);
  }
}

TEST_CASE("the block of another storage command is swallowed", "[protocol][login]") {
  for (const std::string verb : {"add", "replace", "append", "prepend", "cas"}) {
    CAPTURE(verb);
    const ParsedLogin parsed = Parse(verb + " a 0 0 1000 1\r\n");
    CHECK(parsed.login == Login::kRefused);
    CHECK(parsed.swallow_bytes == 1002);
  }
  CHECK(Parse("ms a 1000 T0\r\n").swallow_bytes == 1002);
  CHECK(Parse("config set cluster 0 1000\r\n").swallow_bytes == 1002);
  CHECK(Parse("config get cluster 0 1000\r\n").swallow_bytes == 0);
  CHECK(Parse("ms a b 1000\r\n").swallow_bytes == 0);
}

TEST_CASE("a line too long is fatal, wherever its end is", "[protocol][login]") {
  const std::string line = "get " + std::string(kLineBytesMax - 4, 'k');
  CHECK(Parse(line).status == ParseStatus::kNeedMore);
  CHECK(Parse(line + "\n").status == ParseStatus::kComplete);
  for (const char* end : {"k", "k\n", "k\r\nversion\r\n"}) {
    const ParsedLogin parsed = Parse(line + end);
    CHECK(parsed.status == ParseStatus::kFatal);
    CHECK(parsed.login == Login::kRefused);
  }
}

TEST_CASE("logins parse alike however the bytes are split", "[protocol][login][property]") {
  const std::string_view wire =
      "get a b\r\nadd k 0 0 3\r\nabc\r\nset a 0 0 3\r\nu:p\r\nversion\r\nset a 0 0 16385\r\n"
      "set a 0 0 5\r\nu pw\r\n\r\nset a 0 0 3\r\nu p\r\nset";
  const auto split = GENERATE_COPY(range(std::size_t{0}, wire.size()));
  CAPTURE(split);
  CHECK(ParseAll(wire, split) == ParseAll(wire, 0));
}

}  // namespace
}  // namespace larder::protocol
