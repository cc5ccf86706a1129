#include "tests/bench/policies/larder_cache.h"

#include <algorithm>
#include <utility>

#include "slab/check.h"

namespace larder::bench {
namespace {

constexpr std::uint32_t kStartS = 1'000'000;

}  // namespace

LarderCache::LarderCache(const slab::Cache::Options& options)
    : Policy(options.memory_bytes),
      values_(kValueBytesMax, 'v'),
      cache_(std::move(*slab::Cache::Create(options))),
      lane_(cache_->AddLane()) {
  LARDER_CHECK(cache_->BeginUse().empty());
  lane_.now_s = kStartS;
}

bool LarderCache::Request(Key key, std::uint32_t size) {
  LARDER_ASSERT(size > kHeadBytes);
  CountRequest();
  keys_.Write(key, key_text_.data());
  const std::string_view text(key_text_.data(), key_text_.size());
  const slab::HashedKey hashed{text, cache_->Hash(text)};
  if (Get(hashed)) return true;
  Set(hashed, size - kHeadBytes);
  return false;
}

bool LarderCache::Get(const slab::HashedKey& key) {
  const slab::Presence presence = cache_->Visit(key, lane_, [&](slab::Item& item) {
    const slab::ClassId id = cache_->ClassOf(item);
    cache_->MarkAccess(item, id, lane_);
    lane_.classes[id].Add(slab::ClassStat::kGetHits);
  });
  if (presence == slab::Presence::kHit) return true;
  const auto removal = cache_->LastRemovalOf(key.hash, lane_);
  if (removal) cache_->NoteMiss(key.hash, *removal, lane_);
  return false;
}

// A value that finds no room is not kept, as by a server that refuses it.
void LarderCache::Set(const slab::HashedKey& key, std::uint32_t value_bytes) {
  const slab::ItemSpec spec{.key = key, .value_bytes = value_bytes};
  const std::string_view value = std::string_view(values_).substr(0, value_bytes);
  (void)cache_->Store(slab::StoreMode::kSet, spec, value, 0, lane_);
}

void LarderCache::CountRequest() {
  if (++requests_ % kRequestsPerTurn != 0) return;
  cache_->BalancePages(lane_);
  if (requests_ % (kRequestsPerTurn * kTurnsPerSecond) != 0) return;
  ++lane_.now_s;
  cache_->Tick(lane_.now_s);
}

std::uint64_t CountItemsOf(const slab::Cache::Options& options, std::uint32_t size) {
  LarderCache larder(options);
  const auto stores = static_cast<Key>(options.memory_bytes / size + 1);
  std::uint64_t most = 0;
  for (Key key = 0; key < stores; ++key) {
    larder.Access(key, size);
    most = std::max(most, larder.items());
  }
  return most;
}

}  // namespace larder::bench
