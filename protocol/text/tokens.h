// Tokens, the words of a command line.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <string_view>

namespace larder::protocol {

// The most words of a line that memcached looks at, the command included; what follows is ignored,
// even a `noreply`.
inline constexpr std::size_t kTokensMax = 23;

// Tokens splits a line at its runs of spaces into words, which are views of the line. Only the byte
// 0x20 is a space.
//
// Threads:    immutable.
// Owns:       nothing; the line must outlive it.
// Invariants: no token is empty or contains a space; there are at most kTokensMax.
class Tokens {
 public:
  // REQUIRES: `line` comes without its line end. (It may also be the `arguments` of a request.)
  explicit Tokens(std::string_view line) noexcept {
    assert(line.find('\n') == line.npos);
    const char* at = line.data();
    const char* const end = at + line.size();
    while (count_ < kTokensMax) {
      while (at != end && *at == ' ') ++at;
      if (at == end) return;
      const char* const token = at;
      while (at != end && *at != ' ') ++at;
      tokens_[count_++] = std::string_view(token, static_cast<std::size_t>(at - token));
    }
  }

  // The number of words; kTokensMax if the line has more.
  std::size_t count() const { return count_; }

  // Returns a word by its position; empty if the line has fewer words.
  std::string_view operator[](std::size_t index) const {
    return index < count_ ? tokens_[index] : std::string_view{};
  }

  // The last word, or an empty text if the line has none.
  std::string_view last() const { return count_ > 0 ? tokens_[count_ - 1] : std::string_view{}; }

 private:
  // The number of elements of tokens_ that are in use.
  std::size_t count_ = 0;
  std::array<std::string_view, kTokensMax> tokens_;
};

}  // namespace larder::protocol
