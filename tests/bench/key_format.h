// The text of a key.
#pragma once

#include <array>
#include <cassert>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace larder::bench {

// KeyFormat turns a number into a key of a fixed length and back: a 'k', then the number in
// hexadecimal digits, filled up with zeros.
//
// Threads: immutable.
class KeyFormat {
 public:
  static constexpr std::size_t kKeyBytesMin = 2;
  static constexpr std::size_t kKeyBytesMax = 250;  // The protocol's limit.

  explicit KeyFormat(std::size_t key_bytes) : key_bytes_(key_bytes) {
    assert(key_bytes >= kKeyBytesMin);
    assert(key_bytes <= kKeyBytesMax);
  }

  // Whether `number` has few enough digits to be written.
  bool Fits(std::uint64_t number) const {
    const std::size_t digits = key_bytes_ - 1;
    return digits >= kDigitsMax || number >> (4 * digits) == 0;
  }

  // Writes key_bytes() bytes. REQUIRES: Fits(number).
  void Write(std::uint64_t number, char* out) const {
    std::array<char, kDigitsMax> digits;
    for (std::size_t i = kDigitsMax; i-- > 0; number >>= 4) {
      digits[i] = "0123456789abcdef"[number & 15];
    }
    const std::size_t used = key_bytes_ - 1 < kDigitsMax ? key_bytes_ - 1 : kDigitsMax;
    out[0] = 'k';
    std::memset(out + 1, '0', key_bytes_ - 1 - used);
    std::memcpy(out + key_bytes_ - used, digits.data() + kDigitsMax - used, used);
  }

  // The number of a key written by Write(), nothing for any other text.
  std::optional<std::uint64_t> Read(std::string_view key) const {
    if (key.size() != key_bytes_ || key[0] != 'k') return std::nullopt;
    std::uint64_t number = 0;
    const char* end = key.data() + key.size();
    const auto [stop, error] = std::from_chars(key.data() + 1, end, number, 16);
    if (error != std::errc{} || stop != end) return std::nullopt;
    return number;
  }

  std::size_t key_bytes() const { return key_bytes_; }

 private:
  static constexpr std::size_t kDigitsMax = 16;

  const std::size_t key_bytes_;
};

}  // namespace larder::bench
