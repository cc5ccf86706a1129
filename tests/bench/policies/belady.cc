#include "tests/bench/policies/belady.h"

#include <limits>

namespace larder::bench {

Belady::Belady(std::uint64_t capacity, std::span<const Key> keys)
    : Policy(capacity), next_uses_(keys.size()) {
  constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
  KeyTable<std::uint64_t> later;  // The next use, as request + 1; 0: none.
  for (std::size_t i = keys.size(); i-- > 0;) {
    std::uint64_t& next = later[keys[i]];
    next_uses_[i] = next != 0 ? next - 1 : kNever;
    next = i + 1;
  }
}

bool Belady::Request(Key key, std::uint32_t size) {
  LARDER_ASSERT(size == 1 && now_ < next_uses_.size());
  const std::uint64_t next = next_uses_[now_++];
  const bool is_hit = kept_until_[key] != 0;
  if (!is_hit) ++count_;
  kept_until_[key] = next;
  uses_.emplace(next, key);
  if (count_ > capacity()) EvictFurthest();
  return is_hit;
}

void Belady::EvictFurthest() {
  for (;;) {
    const auto [use, key] = uses_.top();
    uses_.pop();
    if (kept_until_[key] != use) continue;
    kept_until_[key] = 0;
    --count_;
    return;
  }
}

}  // namespace larder::bench
