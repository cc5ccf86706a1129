// The words of a command line.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace larder::protocol {

// memcached looks at no more words than this, the command included; what follows is ignored, even
// a `noreply`.
inline constexpr std::size_t kTokensMax = 23;

// Tokens splits a line at its runs of spaces (0x20, nothing else separates) into views of it.
//
// Threads:    immutable.
// Owns:       nothing: the line must outlive it.
// Invariants: no token is empty or contains a space.
class Tokens {
 public:
  // `line` comes without its line end. Also splits a Request's `arguments`.
  explicit Tokens(std::string_view line) noexcept {
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

  std::size_t count() const { return count_; }

  // Empty if there are not that many.
  std::string_view operator[](std::size_t index) const {
    return index < count_ ? tokens_[index] : std::string_view{};
  }

  std::string_view last() const { return count_ > 0 ? tokens_[count_ - 1] : std::string_view{}; }

 private:
  std::size_t count_ = 0;
  std::array<std::string_view, kTokensMax> tokens_;
};

}  // namespace larder::protocol
