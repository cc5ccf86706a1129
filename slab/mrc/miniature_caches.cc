#include "slab/mrc/miniature_caches.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "slab/check.h"
#include "slab/memory/arena.h"

namespace larder::slab {
namespace {

// Keys that one call of Sweep looks at: all in some six seconds.
constexpr std::size_t kSweptKeys = 64;
// An unknown key that a client read is in the present cache, and so in all larger ones.
constexpr SizeSet kSmallerSizes = (1U << kPresentSize) - 1;
constexpr SizeSet kAllSizes = (1U << kSimulatedSizes) - 1;

template <std::size_t... kSizes>
std::array<MiniatureCache, kSimulatedSizes> MakeCaches(SampledKeys& keys,
                                                       std::index_sequence<kSizes...>) {
  return {MiniatureCache(keys, kSizes)...};
}

}  // namespace

MiniatureCaches::MiniatureCaches(std::uint64_t limit_bytes)
    : caches_(MakeCaches(keys_, std::make_index_sequence<kSimulatedSizes>())) {
  SetLimit(limit_bytes);
}

void MiniatureCaches::SetLimit(std::uint64_t limit_bytes) {
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    const std::uint64_t pages = limit_bytes * kSizePercents[size] / 100 >> kPageShift;
    limits_[size] = std::max<std::uint64_t>(1, pages) << kPageShift;
    caches_[size].SetPages(static_cast<std::uint32_t>(limits_[size] >> kPageShift));
  }
}

void MiniatureCaches::set_policy(EvictionPolicy policy) {
  for (MiniatureCache& cache : caches_) cache.set_policy(policy);
}

double MiniatureCaches::rate() const { return std::ldexp(static_cast<double>(threshold_), -64); }

std::uint64_t MiniatureCaches::items(std::size_t size) const {
  return static_cast<std::uint64_t>(static_cast<double>(caches_[size].count()) / rate());
}

SizeSet MiniatureCaches::Apply(const Reference& reference, const Now& now) {
  LARDER_ASSERT(reference.hash() < threshold_);
  switch (reference.kind()) {
    case ReferenceKind::kRead:
      return ApplyRead(reference, now);
    case ReferenceKind::kMiss:
      return ApplyMiss(reference, now);
    case ReferenceKind::kStore:
    case ReferenceKind::kUpdate:
      ApplyStore(reference, now);
      return 0;
    case ReferenceKind::kDelete:
      if (const SampledKeyId id = keys_.Find(reference.hash()); id != kNoSampledKey) {
        RemoveEverywhere(id);
      }
      return 0;
  }
  LARDER_ASSERT(false && "a kind of reference that is not known");
  return 0;
}

std::optional<Reference> MiniatureCaches::Complete(const Reference& read) const {
  const SampledKeyId id = keys_.Find(read.hash());
  if (id == kNoSampledKey) return std::nullopt;
  const SampledKey& key = keys_.At(id);
  return Reference(ReferenceKind::kRead, key.hash, key.bytes, key.expiry);
}

// Where the simulated cache misses, its client would have stored the item.
SizeSet MiniatureCaches::ApplyRead(const Reference& reference, const Now& now) {
  const bool is_known = keys_.Find(reference.hash()) != kNoSampledKey;
  const SampledKeyId id = Put(reference);
  if (id == kNoSampledKey) return is_known ? kAllSizes : kSmallerSizes;
  const SizeSet holders = keys_.At(id).holders;
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    if ((holders >> size & 1U) != 0) caches_[size].Hit(id);
  }
  InsertWhereMissing(id, now);
  return is_known ? static_cast<SizeSet>(~holders) : kSmallerSizes;
}

// The store that may follow is a reference of its own.
SizeSet MiniatureCaches::ApplyMiss(const Reference& reference, const Now& now) {
  const SampledKeyId id = keys_.Find(reference.hash());
  if (id == kNoSampledKey) return kAllSizes;
  if (keys_.At(id).expiry.IsOver(now)) {
    RemoveEverywhere(id);
    return kAllSizes;
  }
  const SizeSet holders = keys_.At(id).holders;
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    if ((holders >> size & 1U) != 0) caches_[size].Hit(id);
  }
  return static_cast<SizeSet>(~holders);
}

// A cache that has the item keeps its place, as the real one does.
void MiniatureCaches::ApplyStore(const Reference& reference, const Now& now) {
  const SampledKeyId old = keys_.Find(reference.hash());
  if (old != kNoSampledKey && keys_.At(old).expiry.IsOver(now)) RemoveEverywhere(old);
  const SampledKeyId id = Put(reference);
  if (id == kNoSampledKey) return;
  if (reference.kind() == ReferenceKind::kUpdate) {
    for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
      if (keys_.At(id).IsIn(size)) caches_[size].Hit(id);
    }
  }
  InsertWhereMissing(id, now);
}

SampledKeyId MiniatureCaches::Put(const Reference& reference) {
  SampledKeyId id = keys_.Find(reference.hash());
  if (id == kNoSampledKey) {
    while (keys_.is_full()) Lower();
    if (reference.hash() >= threshold_) return kNoSampledKey;
    id = keys_.Add(reference.hash());
  }
  SampledKey& key = keys_.At(id);
  const std::uint32_t old_bytes = std::exchange(key.bytes, reference.bytes());
  key.expiry = reference.expiry();
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    if (key.IsIn(size)) caches_[size].Resize(id, old_bytes);
  }
  // If it has grown, room is made at the next insertion: now it might go itself.
  return id;
}

void MiniatureCaches::InsertWhereMissing(SampledKeyId id, const Now& now) {
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    if (keys_.At(id).IsIn(size)) continue;
    caches_[size].Insert(id, now, [this](SampledKeyId gone) { ForgetIfUnheld(gone); });
  }
  ForgetIfUnheld(id);
}

void MiniatureCaches::RemoveEverywhere(SampledKeyId id) {
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    if (keys_.At(id).IsIn(size)) caches_[size].Remove(id);
  }
  ForgetIfUnheld(id);
}

void MiniatureCaches::ForgetIfUnheld(SampledKeyId id) {
  if (keys_.At(id).holders == 0) keys_.Remove(id);
}

void MiniatureCaches::Lower() {
  SetThreshold(threshold_ - threshold_ / 8);
  keys_.ForEach([&](SampledKeyId id) {
    if (keys_.At(id).hash >= threshold_) RemoveEverywhere(id);
  });
}

void MiniatureCaches::SetThreshold(std::uint64_t threshold) {
  threshold_ = threshold;
  for (MiniatureCache& cache : caches_) cache.set_rate(rate());
}

void MiniatureCaches::Maintain(const Now& now) {
  for (MiniatureCache& cache : caches_) cache.Balance();
  for (std::size_t looks = 0; looks < kSweptKeys; ++looks) {
    const auto id = static_cast<SampledKeyId>(sweep_at_);
    sweep_at_ = (sweep_at_ + 1) % SampledKeys::kKeysMax;
    if (keys_.At(id).holders != 0 && keys_.At(id).expiry.IsOver(now)) RemoveEverywhere(id);
  }
}

void MiniatureCaches::Clear() {
  keys_.ForEach([&](SampledKeyId id) { RemoveEverywhere(id); });
  LARDER_ASSERT(keys_.count() == 0);
  SetThreshold(kThresholdMax);
}

void MiniatureCaches::CheckInvariants() {
  LARDER_CHECK(keys_.count() <= SampledKeys::kKeysMax);
  std::array<std::uint64_t, kSimulatedSizes> bytes{};
  std::size_t held = 0;
  keys_.ForEach([&](SampledKeyId id) {
    const SampledKey& key = keys_.At(id);
    LARDER_CHECK(key.hash < threshold_);
    LARDER_CHECK(keys_.Find(key.hash) == id);
    ++held;
    for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
      if (key.IsIn(size)) bytes[size] += key.bytes;
    }
  });
  LARDER_CHECK(held == keys_.count());
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    caches_[size].CheckInvariants();
    LARDER_CHECK(caches_[size].bytes() == bytes[size]);
  }
}

}  // namespace larder::slab
