// Values that tell whether they are the right ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace larder::bench {

// ValuePattern makes the value of a key, and recognises it byte by byte. Bytes of another key, of
// another version of the same key, cut short or torn between two versions are all found out.
//
//   value    |version 1 B|hash of key, version, length 7 B|random bytes from `hash % 64 K` on|
//   pattern  |random bytes, the same for all values ...                                      |
//
// Copying from one random area makes values as cheap as memcpy; a value below 8 bytes is the
// front part of this.
//
// Threads: immutable.
class ValuePattern {
 public:
  ValuePattern(std::uint64_t seed, std::size_t value_bytes_max);

  // REQUIRES: value_bytes <= value_bytes_max.
  void Write(std::uint64_t key, std::uint8_t version, char* out, std::size_t value_bytes) const;

  // Whether `value` is what Write() made for this key, in whichever version.
  bool Matches(std::uint64_t key, std::string_view value) const;

 private:
  static constexpr std::size_t kHeadBytes = 8;
  static constexpr std::size_t kOffsets = 1 << 16;

  std::uint64_t Head(std::uint64_t key, std::uint8_t version, std::size_t value_bytes) const;
  const char* BodyOf(std::uint64_t head) const { return &bytes_[(head >> 8) % kOffsets]; }

  const std::uint64_t seed_;
  const std::size_t value_bytes_max_;
  const std::unique_ptr<char[]> bytes_;
};

}  // namespace larder::bench
