#include "tests/bench/value_pattern.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "tests/bench/random.h"

namespace larder::bench {

ValuePattern::ValuePattern(std::uint64_t seed, std::size_t value_bytes_max)
    : seed_(Mix(seed)),
      value_bytes_max_(value_bytes_max),
      bytes_(new char[kOffsets + value_bytes_max + sizeof(std::uint64_t)]) {
  Random random(seed);
  for (std::size_t at = 0; at < kOffsets + value_bytes_max; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random.Next();
    std::memcpy(&bytes_[at], &word, sizeof(word));
  }
}

void ValuePattern::Write(std::uint64_t key, std::uint8_t version, char* out,
                         std::size_t value_bytes) const {
  assert(value_bytes <= value_bytes_max_);
  const std::uint64_t head = Head(key, version, value_bytes);
  std::memcpy(out, &head, std::min(value_bytes, kHeadBytes));
  if (value_bytes > kHeadBytes) {
    std::memcpy(out + kHeadBytes, BodyOf(head), value_bytes - kHeadBytes);
  }
}

bool ValuePattern::Matches(std::uint64_t key, std::string_view value) const {
  if (value.empty()) return true;
  if (value.size() > value_bytes_max_) return false;
  const std::uint64_t head = Head(key, static_cast<std::uint8_t>(value[0]), value.size());
  if (std::memcmp(value.data(), &head, std::min(value.size(), kHeadBytes)) != 0) return false;
  if (value.size() <= kHeadBytes) return true;
  return std::memcmp(value.data() + kHeadBytes, BodyOf(head), value.size() - kHeadBytes) == 0;
}

// The version is the lowest byte, which a little-endian machine stores first.
std::uint64_t ValuePattern::Head(std::uint64_t key, std::uint8_t version,
                                 std::size_t value_bytes) const {
  const std::uint64_t hash = Mix(Mix(key ^ seed_) + (std::uint64_t{value_bytes} << 8) + version);
  return (hash & ~std::uint64_t{0xff}) | version;
}

}  // namespace larder::bench
