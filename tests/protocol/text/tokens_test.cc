#include "protocol/text/tokens.h"

#include <catch2/catch.hpp>
#include <string>

namespace larder::protocol {
namespace {

TEST_CASE("runs of spaces separate tokens, and nothing else does", "[protocol][tokens]") {
  const Tokens tokens("  a  b\tc \r d  ");
  REQUIRE(tokens.count() == 4);
  CHECK(tokens[0] == "a");
  CHECK(tokens[1] == "b\tc");
  CHECK(tokens[2] == "\r");
  CHECK(tokens[3] == "d");
  CHECK(tokens.last() == "d");
}

TEST_CASE("a line of spaces has no tokens", "[protocol][tokens]") {
  for (const auto line : {"", " ", "    "}) {
    const Tokens tokens(line);
    CHECK(tokens.count() == 0);
    CHECK(tokens[0].empty());
    CHECK(tokens.last().empty());
  }
}

TEST_CASE("a token that is not there is empty", "[protocol][tokens]") {
  const Tokens tokens("a b");
  CHECK(tokens[2].empty());
  CHECK(tokens[kTokensMax].empty());
}

TEST_CASE("tokens behind the 23rd are not seen", "[protocol][tokens]") {
  std::string line;
  for (std::size_t i = 1; i <= kTokensMax + 5; ++i) line += std::to_string(i) + " ";
  const Tokens tokens(line);
  CHECK(tokens.count() == kTokensMax);
  CHECK(tokens.last() == "23");
}

}  // namespace
}  // namespace larder::protocol
