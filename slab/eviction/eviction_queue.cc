#include "slab/eviction/eviction_queue.h"

#include <algorithm>

#include "slab/check.h"

namespace larder::slab {

void EvictionQueue::Insert(ItemRef ref, std::uint64_t hash) {
  // Under kLru all items are in main. Otherwise a key that comes back soon after its eviction skips
  // probation.
  if (policy_ == EvictionPolicy::kLru) return Enter(ref, EvictionState::Main(0));
  if (!NoteArrival(hash)) return EnterProbation(ref);
  Enter(ref, EvictionState::Main(0));
}

bool EvictionQueue::NoteArrival(std::uint64_t hash) {
  LARDER_ASSERT(near_share_ >= 0);
  const auto ghost = ghosts_.Take(hash, count());
  if (!ghost) return false;
  if (IsNear(*ghost)) ++near_ghosts_;
  // The key came back too early. Its segment was too short, so the segment gets a larger share: by
  // one item.
  if (ghost->segment == Segment::kProbation) {
    ++stats_.ghosts_of_probation;
    MoveShare(1);
  } else {
    ++stats_.ghosts_of_main;
    MoveShare(evictions_ < held_until_ ? -1 / kHeldDivisor : -1);
  }
  return true;
}

std::optional<Ghost> EvictionQueue::GhostOf(std::uint64_t hash) const {
  // Probation may have to become several times longer, so its ghosts are asked when they are older
  // than those of keys that come back. For main that would say nothing.
  const auto ghost = ghosts_.FindOld(hash, count());
  if (ghost && ghost->segment == Segment::kMain && ghost->age > count()) return std::nullopt;
  return ghost;
}

void EvictionQueue::NoteMissed(const Ghost& ghost, std::uint64_t weight) {
  LARDER_ASSERT(weight > 0);
  const std::uint64_t items = std::min(weight, 1 + count() / kMissedDivisor);
  if (IsNear(ghost)) near_ghosts_ += items;
  const auto step = static_cast<double>(items);
  MoveShare(ghost.segment == Segment::kProbation ? step : -step);
  if (ghost.segment == Segment::kProbation) held_until_ = evictions_ + kHeldTurnovers * count();
}

void EvictionQueue::NoteTurn() {
  if (seen_arrivals_ != arrivals_) {
    seen_arrivals_ = arrivals_;
    idle_turns_ = 0;
    return;
  }
  // So many ticks that nothing is young any more.
  if (idle_turns_ >= kIdleTurns + clock_.young_ticks()) return;
  if (++idle_turns_ > kIdleTurns) clock_.Tick();
}

void EvictionQueue::NoteHits(std::uint64_t hits) {
  hits_since_tick_ += hits - std::min(hits, seen_hits_);
  seen_hits_ = hits;
  if (clock_.tick() != seen_tick_) {
    hits_since_tick_ = 0;
    ticks_by_hits_ = 0;
  }
  const std::uint64_t step = 1 + count() / kHitsDivisor;
  for (; hits_since_tick_ >= step; hits_since_tick_ -= step) {
    // Nothing is young any more.
    if (ticks_by_hits_ >= clock_.young_ticks()) break;
    ++ticks_by_hits_;
    clock_.Tick();
  }
  seen_tick_ = clock_.tick();
}

void EvictionQueue::EnterArrived(ItemRef ref, Segment segment) {
  LARDER_ASSERT(arena_.At(ref).use() != ChunkUse::kQueued);
  if (segment == Segment::kMain) return Enter(ref, EvictionState::Main(0));
  // The item keeps its birth tick, which it got when it was linked; it may have been hit since.
  ++arrivals_;
  clock_.CountArrival(probation_.count + 1);
  Push(probation_, ref);
}

void EvictionQueue::InsertAs(ItemRef ref, EvictionState state) {
  if (policy_ == EvictionPolicy::kLru) return Enter(ref, EvictionState::Main(0));
  // The birth tick belongs to the clock of another class, so the item starts again on probation.
  if (state.segment() == Segment::kProbation && state.hits() == 0) return EnterProbation(ref);
  Enter(ref, state);
}

void EvictionQueue::Replace(ItemRef old, ItemRef fresh) {
  Relocate(old, fresh);
  // Under kLru a replacement is a use. Under kSegmented the place in the queue does not change.
  if (policy_ == EvictionPolicy::kLru) MoveToFront(fresh);
}

void EvictionQueue::Relocate(ItemRef old, ItemRef fresh) {
  LARDER_ASSERT(old != fresh);
  LARDER_ASSERT(!arena_.At(fresh).is_linked());
  Item& gone = arena_.At(old);
  Item& item = arena_.At(fresh);
  // An item in a magazine is in no list: the new chunk takes its slot. The store of the slot
  // publishes the new chunk to the lane that owns the magazine.
  if (gone.is_in_magazine()) {
    Atomic<ItemRef>* const slot = gone.magazine_slot();
    item.set_eviction_state(gone.eviction_state());
    item.set_magazine_slot(slot);
    item.set_use(gone.use());
    slot->store(fresh, std::memory_order_release);
    gone.set_use(ChunkUse::kOwned);
    return;
  }
  LARDER_CHECK(gone.use() == ChunkUse::kQueued);
  // Takes the place of the old chunk in its list.
  List& list = At(gone.eviction_state().segment());
  item.set_eviction_state(gone.eviction_state());
  item.prev = gone.prev;
  item.next = gone.next;
  (item.prev != kNoItem ? arena_.At(item.prev).next : list.head) = fresh;
  (item.next != kNoItem ? arena_.At(item.next).prev : list.tail) = fresh;
  item.set_use(ChunkUse::kQueued);
  gone.set_use(ChunkUse::kOwned);
  if (round_.ref == old) round_.ref = fresh;
}

void EvictionQueue::Remove(ItemRef ref) {
  TakeOut(ref);
  arena_.At(ref).set_use(ChunkUse::kOwned);
}

EvictionQueue::Candidate EvictionQueue::Next() const {
  // Probation makes room while it holds at least its share. Under kLru it only holds items from
  // before that policy, which go first.
  const bool from_probation =
      probation_.tail != kNoItem && (main_.tail == kNoItem || policy_ == EvictionPolicy::kLru ||
                                     probation_.count >= probation_target());
  if (from_probation) return {.ref = probation_.tail, .segment = Segment::kProbation};
  return {.ref = main_.tail, .segment = Segment::kMain};
}

EvictionQueue::Candidate EvictionQueue::Alternative(const Candidate& candidate) const {
  const Segment other = candidate.segment == Segment::kMain ? Segment::kProbation : Segment::kMain;
  const List& list = At(other);
  if (list.count == 0) return candidate;
  return {.ref = list.tail, .segment = other};
}

EvictionQueue::Candidate EvictionQueue::NextOfRound() {
  if (round_.ref == kNoItem) round_ = Alternative({.segment = round_.segment});
  // The other segment is empty, so the round begins again in this one.
  if (round_.ref == kNoItem) round_.ref = At(round_.segment).tail;
  const Candidate found = round_;
  if (found.ref != kNoItem) round_.ref = arena_.At(found.ref).prev;
  return found;
}

bool EvictionQueue::Spare(const Candidate& candidate) {
  LARDER_ASSERT(candidate.ref != kNoItem);
  Item& item = arena_.At(candidate.ref);
  const auto spared = promotion_rule_.IfSpared(item.eviction_state(), candidate.ref);
  if (!spared) return false;
  Take(At(candidate.segment), candidate.ref);
  // kLru does not count hits: counters that are not 0 are from before that policy was set.
  item.set_eviction_state(policy_ == EvictionPolicy::kLru ? EvictionState::Main(0) : *spared);
  Return(candidate.ref, QueueEntry::kSpared, candidate.segment);
  return true;
}

void EvictionQueue::PutBack(const Candidate& candidate) {
  TakeCandidate(candidate);
  Return(candidate.ref, QueueEntry::kPutBack, candidate.segment);
}

void EvictionQueue::Evict(const Candidate& candidate, std::uint64_t hash) {
  const EvictionState state = arena_.At(candidate.ref).eviction_state();
  LARDER_ASSERT(state.segment() == candidate.segment);
  NoteEviction(state, hash);
  Remove(candidate.ref);
}

void EvictionQueue::TakeCandidate(const Candidate& candidate) {
  LARDER_ASSERT(candidate.ref != kNoItem);
  LARDER_ASSERT(arena_.At(candidate.ref).use() == ChunkUse::kQueued);
  Take(At(candidate.segment), candidate.ref);
}

void EvictionQueue::Return(ItemRef ref, QueueEntry entry, Segment segment) {
  LARDER_ASSERT(entry != QueueEntry::kNew);
  LARDER_ASSERT(ref != kNoItem);
  if (entry == QueueEntry::kSpared) {
    // For statistics, an item that is spared is promoted from probation, or gets another round in
    // main.
    ++(segment == Segment::kProbation ? stats_.promoted : stats_.second_chances);
    Push(main_, ref);
  } else if (entry == QueueEntry::kPutBack) {
    ++stats_.put_back;
    Push(At(segment), ref);
  } else {
    // An item whose fate is not known yet goes back to the tail, so that it is the next candidate
    // again.
    PushTail(At(segment), ref);
  }
}

void EvictionQueue::NoteEviction(EvictionState state, std::uint64_t hash) {
  const Segment segment = state.segment();
  if (state == EvictionState::Newcomer()) promotion_rule_.CountWasted(count());
  if (policy_ == EvictionPolicy::kSegmented) ghosts_.Add(hash, segment, count());
  // It had too few hits, or the search for a victim had spared enough items already.
  if (state.hits() != 0) ++stats_.evicted_active;
  ++evictions_;
  ++(segment == Segment::kMain ? stats_.evicted_from_main : stats_.evicted_from_probation);
}

void EvictionQueue::MoveToFront(ItemRef ref) {
  TakeOut(ref);
  Enter(ref, EvictionState::Main(0));
}

void EvictionQueue::set_policy(EvictionPolicy policy) {
  policy_ = policy;
  // Under kLru ghosts are not used.
  if (policy_ == EvictionPolicy::kLru) ghosts_.Clear();
}

void EvictionQueue::SetProbationShare(double share) {
  share_ = std::clamp(share, kShareMin, kShareMax);
  share_at_start_ = share_;
}

std::uint64_t EvictionQueue::probation_target() const {
  const double target = share_ * static_cast<double>(count());
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(target + 0.5));
}

EvictionQueue::State EvictionQueue::state() const {
  return {
      .probation = probation_, .main = main_, .probation_share = share_, .clock = clock_.state()};
}

void EvictionQueue::Restore(const State& state) {
  LARDER_CHECK(count() == 0);
  LARDER_ASSERT(state.clock.IsPossible());
  probation_ = state.probation;
  main_ = state.main;
  // The share that the class has learned; share_at_start_ stays that of the options.
  share_ = std::clamp(state.probation_share, kShareMin, kShareMax);
  clock_.Restore(state.clock);
}

void EvictionQueue::CheckInvariants() const {
  CheckList(Segment::kProbation);
  CheckList(Segment::kMain);
  LARDER_CHECK(share_ >= kShareMin && share_ <= kShareMax);
}

// Walks over one list: uses, segments, back links and the count must agree.
void EvictionQueue::CheckList(Segment segment) const {
  const List& list = At(segment);
  std::uint64_t walked = 0;
  ItemRef before = kNoItem;
  for (ItemRef ref = list.head; ref != kNoItem; ref = arena_.At(ref).next) {
    const Item& item = arena_.At(ref);
    LARDER_CHECK(item.use() == ChunkUse::kQueued);
    LARDER_CHECK(item.eviction_state().segment() == segment);
    LARDER_CHECK(item.prev == before);
    LARDER_CHECK(walked < list.count);
    before = ref;
    ++walked;
  }
  LARDER_CHECK(walked == list.count);
  LARDER_CHECK(before == list.tail);
}

// Near: the key would still be in the cache if the class were larger by the near share.
bool EvictionQueue::IsNear(const Ghost& ghost) const {
  return static_cast<double>(ghost.age) <= near_share_ * static_cast<double>(count());
}

// Moves probation's share by this many items of the class, within the bounds.
void EvictionQueue::MoveShare(double items) {
  share_ += items / static_cast<double>(std::max<std::uint64_t>(1, count()));
  share_ = std::clamp(share_, kShareMin, kShareMax);
}

// Links an item at the head of a list; its use becomes kQueued.
void EvictionQueue::Push(List& list, ItemRef ref) {
  LARDER_ASSERT(ref != kNoItem && ref != list.head);
  LARDER_ASSERT((list.count == 0) == (list.head == kNoItem));
  Item& item = arena_.At(ref);
  item.set_use(ChunkUse::kQueued);
  item.prev = kNoItem;
  item.next = list.head;
  (list.head != kNoItem ? arena_.At(list.head).prev : list.tail) = ref;
  list.head = ref;
  ++list.count;
}

// Links an item at the tail of a list; its use becomes kQueued.
void EvictionQueue::PushTail(List& list, ItemRef ref) {
  LARDER_ASSERT(ref != kNoItem && ref != list.tail);
  Item& item = arena_.At(ref);
  item.set_use(ChunkUse::kQueued);
  item.prev = list.tail;
  item.next = kNoItem;
  (list.tail != kNoItem ? arena_.At(list.tail).next : list.head) = ref;
  list.tail = ref;
  ++list.count;
}

// Takes an item out of wherever it is: a magazine's slot, or a list. Its use does not change.
void EvictionQueue::TakeOut(ItemRef ref) {
  const Item& item = arena_.At(ref);
  if (item.is_in_magazine()) {
    item.magazine_slot()->store(kNoItem, std::memory_order_relaxed);
  } else {
    Take(At(item.eviction_state().segment()), ref);
  }
}

// Unlinks an item from a list.
void EvictionQueue::Take(List& list, ItemRef ref) {
  LARDER_ASSERT(list.count > 0);
  const Item& item = arena_.At(ref);
  if (round_.ref == ref) round_.ref = item.prev;
  (item.prev != kNoItem ? arena_.At(item.prev).next : list.head) = item.next;
  (item.next != kNoItem ? arena_.At(item.next).prev : list.tail) = item.prev;
  --list.count;
}

// Sets the item's eviction state, and links the item at the head of the segment of that state.
void EvictionQueue::Enter(ItemRef ref, EvictionState state) {
  arena_.At(ref).set_eviction_state(state);
  Push(At(state.segment()), ref);
}

// Links an item at the head of probation, born now.
void EvictionQueue::EnterProbation(ItemRef ref) {
  ++arrivals_;
  clock_.CountArrival(probation_.count + 1);
  Enter(ref, EvictionState::Born(clock_.tick()));
}

}  // namespace larder::slab
