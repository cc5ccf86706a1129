#include "server/config/split.h"

#include <catch2/catch.hpp>
#include <string_view>
#include <vector>

namespace larder::server {
namespace {

std::vector<std::string_view> Pieces(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> pieces;
  while (!text.empty()) pieces.push_back(TakePiece(text, separators));
  return pieces;
}

using Texts = std::vector<std::string_view>;

TEST_CASE("a text is taken piece by piece, whichever separator ends each", "[split]") {
  CHECK(Pieces("a,bc;d", ",;") == Texts{"a", "bc", "d"});
  CHECK(Pieces("a,bc;d", ",") == Texts{"a", "bc;d"});
}

TEST_CASE("pieces may be empty, but for one after the last separator", "[split]") {
  CHECK(Pieces(",a,,b,", ",") == Texts{"", "a", "", "b"});
  CHECK(Pieces("", ",").empty());
}

TEST_CASE("nothing more is taken from an empty text", "[split]") {
  std::string_view text;
  CHECK(TakePiece(text, ",").empty());
  CHECK(text.empty());
}

}  // namespace
}  // namespace larder::server
