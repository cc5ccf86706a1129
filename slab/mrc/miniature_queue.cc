#include "slab/mrc/miniature_queue.h"

#include <algorithm>

namespace larder::slab {
namespace {

// An eviction spares no more than this many candidates for their hits, as in ChunkAllocator.
constexpr int kSparesMax = 32;

}  // namespace

void MiniatureQueue::Hit(SampledKeyId id) {
  ++hits_;
  const EvictionState state = StateOf(id);
  if (policy_ == EvictionPolicy::kLru) {
    Take(id);
    return Push(id, EvictionState::Main(0));
  }
  if (state == EvictionState::Newcomer()) promotion_rule_.CountHit();
  keys_.At(id).states[size_] = static_cast<std::uint8_t>(clock_.AfterHit(state).code());
}

void MiniatureQueue::Insert(SampledKeyId id) {
  if (policy_ == EvictionPolicy::kLru) return Push(id, EvictionState::Main(0));
  const auto ghost = ghosts_.Take(GhostHash(keys_.At(id).hash), count());
  if (ghost) {
    const bool is_near =
        static_cast<double>(ghost->age) <= near_share_ * static_cast<double>(count());
    near_ghosts_ += is_near ? 1 : 0;
    MoveShare(ghost->segment == Segment::kProbation ? 1 : -1);
    return Push(id, EvictionState::Main(0));
  }
  clock_.CountArrival(probation_.count + 1);
  Push(id, EvictionState::Born(clock_.tick()));
}

void MiniatureQueue::Remove(SampledKeyId id) { Take(id); }

SampledKeyId MiniatureQueue::Evict(const Now& now) {
  LARDER_ASSERT(count() > 0);
  for (int spares = 0;; ++spares) {
    const SampledKeyId id = Candidate();
    const bool is_dead = keys_.At(id).expiry.IsOver(now);
    // What is dead leaves no ghost: in a larger cache it would be dead, too.
    if (is_dead) {
      Take(id);
      return id;
    }
    const auto spared =
        spares < kSparesMax ? promotion_rule_.IfSpared(StateOf(id), id) : std::nullopt;
    if (!spared) {
      NoteEviction(id);
      Take(id);
      return id;
    }
    Take(id);
    Push(id, policy_ == EvictionPolicy::kLru ? EvictionState::Main(0) : *spared);
  }
}

SampledKeyId MiniatureQueue::Candidate() const {
  const double target = share_ * static_cast<double>(count());
  const std::uint64_t wanted = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(target + 0.5));
  const bool from_probation =
      probation_.count != 0 &&
      (main_.count == 0 || policy_ == EvictionPolicy::kLru || probation_.count >= wanted);
  return from_probation ? probation_.oldest : main_.oldest;
}

void MiniatureQueue::NoteEviction(SampledKeyId id) {
  evicted_bytes_ += keys_.At(id).bytes;
  const EvictionState state = StateOf(id);
  if (state == EvictionState::Newcomer()) promotion_rule_.CountWasted(count());
  if (policy_ == EvictionPolicy::kLru) return;
  ghosts_.Add(GhostHash(keys_.At(id).hash), state.segment(), count());
}

void MiniatureQueue::Push(SampledKeyId id, EvictionState state) {
  SampledKey& key = keys_.At(id);
  LARDER_ASSERT(!key.IsIn(size_));
  List& list = At(state.segment());
  key.holders = static_cast<std::uint8_t>(key.holders | 1U << size_);
  key.states[size_] = static_cast<std::uint8_t>(state.code());
  key.newer[size_] = kNoSampledKey;
  key.older[size_] = list.newest;
  (list.newest != kNoSampledKey ? keys_.At(list.newest).newer[size_] : list.oldest) = id;
  list.newest = id;
  ++list.count;
  bytes_ += key.bytes;
}

void MiniatureQueue::Take(SampledKeyId id) {
  SampledKey& key = keys_.At(id);
  LARDER_ASSERT(key.IsIn(size_));
  List& list = At(StateOf(id).segment());
  const SampledKeyId newer = key.newer[size_];
  const SampledKeyId older = key.older[size_];
  (newer != kNoSampledKey ? keys_.At(newer).older[size_] : list.newest) = older;
  (older != kNoSampledKey ? keys_.At(older).newer[size_] : list.oldest) = newer;
  key.holders = static_cast<std::uint8_t>(key.holders & ~(1U << size_));
  --list.count;
  bytes_ -= key.bytes;
}

void MiniatureQueue::MoveShare(double items) {
  share_ += items / static_cast<double>(std::max<std::uint64_t>(1, count()));
  share_ = std::clamp(share_, EvictionQueue::kShareMin, EvictionQueue::kShareMax);
}

void MiniatureQueue::CheckInvariants() const {
  CheckList(probation_, Segment::kProbation);
  CheckList(main_, Segment::kMain);
}

void MiniatureQueue::CheckList(const List& list, Segment segment) const {
  std::uint64_t walked = 0;
  SampledKeyId before = kNoSampledKey;
  for (SampledKeyId id = list.newest; id != kNoSampledKey; id = keys_.At(id).older[size_]) {
    LARDER_CHECK(keys_.At(id).IsIn(size_));
    LARDER_CHECK(StateOf(id).segment() == segment);
    LARDER_CHECK(keys_.At(id).newer[size_] == before);
    LARDER_CHECK(walked < list.count);
    before = id;
    ++walked;
  }
  LARDER_CHECK(walked == list.count);
  LARDER_CHECK(before == list.oldest);
}

}  // namespace larder::slab
