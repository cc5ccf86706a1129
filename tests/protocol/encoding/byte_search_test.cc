#include "protocol/encoding/byte_search.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "tests/protocol/feed.h"

namespace larder::protocol {
namespace {

// At every length and start up to three blocks, with the match at every place or nowhere, and
// matches to be ignored in the slack.
TEST_CASE("the search finds the first match, and none behind the end", "[protocol]") {
  for (std::size_t bytes = 0; bytes <= 50; ++bytes) {
    for (std::size_t at = 0; at <= bytes; ++at) {
      for (const char match : {' ', '\n'}) {
        std::string text(bytes, 'x');
        if (at < bytes) text[at] = match;
        if (at + 3 < bytes) text[at + 3] = '\n';
        for (const std::string_view slack : {" ", "\n"}) {
          const HostileInput input(text, slack);
          const char* const begin = input.view().data();
          const char* const end = begin + bytes;
          const auto is_either = [](char byte) { return byte == ' ' || byte == '\n'; };
          for (std::size_t start = 0; start <= bytes; start += 1 + start / 4) {
            const char* const from = begin + start;
            if (FindSpaceOrNewline(from, end) != std::find_if(from, end, is_either) ||
                FindNewline(from, end) != std::find(from, end, '\n')) {
              CAPTURE(bytes, at, start, int{match});
              FAIL("the searches differ from the library's");
            }
          }
        }
      }
    }
  }
}

TEST_CASE("bytes above 127 are not mistaken for others", "[protocol]") {
  std::string text;
  for (int byte = 0; byte < 256; ++byte) {
    if (byte != ' ' && byte != '\n') text += static_cast<char>(byte);
  }
  const HostileInput input(text, " ");
  const char* const end = input.view().data() + text.size();
  CHECK(FindSpaceOrNewline(input.view().data(), end) == end);
  CHECK(FindNewline(input.view().data(), end) == end);
}

}  // namespace
}  // namespace larder::protocol
