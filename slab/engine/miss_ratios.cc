#include "slab/engine/miss_ratios.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace larder::slab {
namespace {

constexpr std::int64_t kReferencesPerRound =
    MissRatios::kReferencesPerSecondMax / MissRatios::kRoundsPerSecond;
// How often the threshold falls by an eighth when references were dropped: to half.
constexpr int kStepsToHalf = 5;

}  // namespace

MissRatios::MissRatios(const Parts& parts, bool is_on)
    : parts_(parts),
      ring_(is_on ? std::make_unique<ReferenceRing>() : nullptr),
      limit_bytes_(parts.classes.arena().limit_bytes()) {
  if (!is_on) return;
  caches_ = std::make_unique<MiniatureCaches>(limit_bytes_);
  sample_below_.store(caches_->threshold(), std::memory_order_relaxed);
}

void MissRatios::NoteTouch(const HashedKey& key, Lane& lane) noexcept {
  if (!Passes(key.hash, lane)) return;
  const Index::BucketLock guard(parts_.index, key.hash);
  const LockedItem item = parts_.lookup.Find(guard, key);
  if (!item || parts_.liveness.IsDead(*item, lane)) return;
  ring_->Add({ReferenceKind::kRead, key.hash, BytesOf(*item), item->expiry()});
}

Reference MissRatios::InMemory(const Reference& reference) const {
  if (reference.bytes() == 0) return reference;
  return {reference.kind(), reference.hash(), parts_.reserver.BytesFor(reference.bytes()),
          reference.expiry()};
}

void MissRatios::NoteStore(const Stored& stored, const StoreOutcome& outcome, Lane& lane) noexcept {
  const StoreMode mode = stored.mode;
  // A set that is too large for any cache has removed the item before.
  if (outcome.status == StoreStatus::kTooLarge && mode == StoreMode::kSet) {
    return ring_->Add({ReferenceKind::kDelete, stored.hash});
  }
  if (outcome.status != StoreStatus::kStored || !Passes(stored.hash, lane)) return;
  const bool is_joined = outcome.joined_bytes != 0;
  const std::size_t bytes =
      stored.item_bytes + (is_joined ? outcome.joined_bytes - stored.value_bytes : 0);
  const bool is_use = mode != StoreMode::kSet && mode != StoreMode::kUnchanged;
  // A joined value keeps an expiry that is not known here: it is taken for one without.
  ring_->Add({is_use ? ReferenceKind::kUpdate : ReferenceKind::kStore, stored.hash, bytes,
              mode == StoreMode::kUnchanged ? outcome.expiry : stored.expiry});
}

MissRatios::Counted MissRatios::CountReferences() const {
  Counted counted;
  parts_.lanes.ForEach([&](const Lane& lane) {
    counted.misses += lane.missed_reads.value();
    for (const Counters<ClassStat>& counters : lane.classes) {
      counted.references +=
          counters.value(ClassStat::kGetHits) + counters.value(ClassStat::kTouchHits);
    }
  });
  counted.references += counted.misses;
  return counted;
}

void MissRatios::Simulate(const Lane& lane) {
  if (ring_ == nullptr) return;
  const MutexLock lock(mutex_);
  FollowCache();
  const Counted before = std::exchange(counted_, CountReferences());
  const ReferenceCount fresh = {
      .references = static_cast<double>(counted_.references - before.references),
      .misses = static_cast<double>(counted_.misses - before.misses)};
  // What was dropped may have been misses, so a round with drops says nothing about the ratio.
  const bool has_dropped = ring_->TookDrops();
  dropped_rounds_ += has_dropped ? 1 : 0;
  const std::uint32_t applied = ApplyAll(fresh, !has_dropped, lane);
  caches_->Maintain(lane);
  LimitWork(applied, has_dropped);
  sample_below_.store(caches_->threshold(), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_relaxed);
}

void MissRatios::FollowCache() {
  caches_->set_policy(parts_.usage.policy());
  const std::uint64_t cutoff = parts_.versions.cutoff();
  if (cutoff != cutoff_) caches_->Clear();
  cutoff_ = cutoff;
  const std::uint64_t limit_bytes = parts_.classes.arena().limit_bytes();
  if (limit_bytes == limit_bytes_) return;
  // The points of the curve belong to the limit before.
  limit_bytes_ = limit_bytes;
  caches_->SetLimit(limit_bytes);
  curve_.Clear();
}

// A read that has missed is in the ring twice: as kRead, which may come before its item was looked
// for, and as kMiss.
std::vector<Reference> MissRatios::TakeAll() {
  std::vector<Reference> all;
  std::unordered_map<std::uint64_t, std::uint32_t> misses;
  for (std::uint32_t left = ring_->count(); left > 0; --left) {
    const auto reference = ring_->Take();
    if (!reference) break;
    all.push_back(*reference);
    if (reference->kind() == ReferenceKind::kMiss) ++misses[reference->hash()];
  }
  std::erase_if(all, [&](const Reference& reference) {
    if (!reference.is_incomplete()) return false;
    const auto missed = misses.find(reference.hash());
    if (missed == misses.end() || missed->second == 0) return false;
    --missed->second;
    return true;
  });
  return all;
}

// Workers leave it to this thread to look for the item of a read. Most are known to the
// simulations.
std::optional<Reference> MissRatios::Complete(const Reference& read, const Lane& lane) {
  if (!read.is_incomplete()) return InMemory(read);
  if (const auto known = caches_->Complete(read)) return known;
  const std::uint64_t hash = read.hash();
  const Index::BucketLock guard(parts_.index, hash);
  const Arena& arena = parts_.classes.arena();
  const Index::Slot slot =
      guard.Find(hash, [&](ItemRef ref) { return parts_.hash(arena.At(ref).key()) == hash; });
  if (!slot) return std::nullopt;
  const Item& item = arena.At(slot.ref());
  if (parts_.liveness.IsDead(item, lane)) return std::nullopt;
  return InMemory({ReferenceKind::kRead, hash, BytesOf(item), item.expiry()});
}

std::uint32_t MissRatios::ApplyAll(const ReferenceCount& all, bool counts, const Lane& lane) {
  const std::vector<Reference> references = TakeAll();
  // The references come spread over the round, in which the rate may fall.
  const auto parts = static_cast<double>(std::max<std::size_t>(1, references.size()));
  const ReferenceCount each = {.references = all.references / parts, .misses = all.misses / parts};
  if (counts && references.empty()) curve_.AddReferences(all, caches_->rate());
  for (const Reference& noted : references) {
    if (counts) curve_.AddReferences(each, caches_->rate());
    // The threshold has fallen since it was noted.
    if (noted.hash() >= caches_->threshold()) continue;
    const auto reference = Complete(noted, lane);
    if (!reference) continue;
    const bool is_read =
        reference->kind() == ReferenceKind::kRead || reference->kind() == ReferenceKind::kMiss;
    sampled_references_ += is_read ? 1 : 0;
    const double rate = caches_->rate();
    const SizeSet missed = caches_->Apply(*reference, lane);
    if (counts && missed != 0) curve_.Miss(missed, rate);
  }
  return static_cast<std::uint32_t>(references.size());
}

void MissRatios::LimitWork(std::uint32_t applied, bool has_dropped) {
  budget_ = std::min<std::int64_t>(budget_ + kReferencesPerRound, kReferencesPerSecondMax);
  budget_ -= applied;
  if (has_dropped) {
    for (int step = 0; step < kStepsToHalf; ++step) caches_->Lower();
  } else if (budget_ < 0) {
    caches_->Lower();
  }
  budget_ = std::max<std::int64_t>(budget_, 0);
}

MissRatioEstimate MissRatios::Estimate() const {
  MissRatioEstimate estimate;
  if (ring_ == nullptr) return estimate;
  const MutexLock lock(mutex_);
  estimate = {.is_on = true,
              .sample_rate = caches_->rate(),
              .sampled_keys = caches_->key_count(),
              .references = counted_.references,
              .sampled_references = sampled_references_,
              .dropped_rounds = dropped_rounds_,
              .counted_references = curve_.counted().references};
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    estimate.points[size] = {.limit_bytes = caches_->limit_bytes(size),
                             .items = caches_->items(size),
                             .miss_ratio = curve_.MissRatio(size)};
  }
  return estimate;
}

}  // namespace larder::slab
