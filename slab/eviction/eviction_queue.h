// EvictionQueue: decides which item of a slab class is evicted when room is needed.
#pragma once

#include <cstdint>
#include <optional>

#include "slab/check.h"
#include "slab/eviction/ghosts.h"
#include "slab/eviction/promotion_rule.h"
#include "slab/item/eviction_state.h"
#include "slab/item/item.h"
#include "slab/memory/arena.h"
#include "slab/policies.h"

namespace larder::slab {

// How an item that is in no list enters one.
enum class QueueEntry : std::uint8_t {
  // An item of a key that was not in the cache.
  kNew,
  // An item that was to be evicted and has hits left: to the head of main.
  kSpared,
  // An item that was to be evicted and was in use: to the head of its segment.
  kPutBack,
  // An item that was taken out and not decided about: to the tail of its segment.
  kUndecided,
};

// Counts of what the queue of a class has done since the last reset.
struct QueueStats {
  // Items that went from probation to main.
  std::uint64_t promoted = 0;
  // Items that went from main's tail back to its head.
  std::uint64_t second_chances = 0;
  // Items evicted from each segment.
  std::uint64_t evicted_from_probation = 0;
  std::uint64_t evicted_from_main = 0;
  // Evicted items with hits that counted.
  std::uint64_t evicted_active = 0;
  // Candidates that could not be evicted at that moment.
  std::uint64_t put_back = 0;
  // Keys that came back soon after their eviction, by the segment they were evicted from.
  std::uint64_t ghosts_of_probation = 0;
  std::uint64_t ghosts_of_main = 0;
};

// EvictionQueue keeps the linked items of one class in two queues.
//
//   probation   head |newest| <-> ... <-> |oldest| tail     linked by Item::prev / Item::next
//   main        head |      | <-> ... <-> |      | tail
//
// A new item enters probation. A hit, there and in main, raises the counter of the item's
// EvictionState and does nothing else. Room is made at the tail of probation while probation holds
// its share of the items, else at the tail of main. A candidate on probation with hits that counted
// goes to main, if they are enough for the PromotionRule, with its counter cleared. A candidate in
// main with a counter above 0 goes back to main's head, with the counter lowered by one. All other
// candidates are evicted and leave a ghost. A key that comes back while it has a ghost enters main,
// and moves probation's share: up if the key was evicted from probation, which had been too short
// for it, down if it was evicted from main. A key that is asked for and never stored again moves
// the share, too.
//
// Under kLru all new items enter main, MoveToFront() follows each hit, and what probation still
// holds from before that policy goes first.
//
// Threads:    caller locks the class. Functions that read or change the eviction state of an item
//             need the lock of that item's bucket too, or exclusive ownership of the item: Insert,
//             InsertAs, Replace, Relocate, Remove, Spare, Evict, MoveToFront, and EnterArrived into
//             main.
// Owns:       the ghosts. Items lie in the arena.
// Invariants: an item is in a queue if and only if its use is ChunkUse::kQueued; its eviction state
//             says in which. Linked items that are in no queue are in a Magazine.
// Source:     NextOfRound() goes as the hand of SIEVE does, Zhang et al., NSDI 2024; the segments
//             of 2Q, Johnson and Shasha, VLDB 1994; the share that ghosts move is that
//             of ARC, Megiddo and Modha, FAST 2003.
class EvictionQueue {
 public:
  // Probation's share of the items of the class: its bounds, and its value at the start.
  static constexpr double kShareMin = 0.02;
  static constexpr double kShareStart = 0.10;
  static constexpr double kShareMax = 0.98;
  // A missed key moves the share by an item, or by the items of the class divided by this number,
  // however many misses it stands for.
  static constexpr std::uint64_t kMissedDivisor = 2048;
  // After a miss of a key that was evicted from probation and never stored again, the share falls
  // more slowly, by this factor, while so many times the items of the class are evicted. Where such
  // keys are read at one age, they are all there or none is: a share that fell as quickly as usual
  // would lose them again and again.
  static constexpr double kHeldDivisor = 4;
  static constexpr std::uint64_t kHeldTurnovers = 8;

  // An item that may be evicted: the tail of a segment.
  struct Candidate {
    ItemRef ref = kNoItem;
    Segment segment = Segment::kProbation;
  };

  // REQUIRES: arena and clock outlive this object.
  EvictionQueue(const Arena& arena, ProbationClock& clock) : arena_(arena), clock_(clock) {}

  // Queues an item of a key that was not in the cache. REQUIRES: the item is linked nowhere; `hash`
  // is that of its key.
  void Insert(ItemRef ref, std::uint64_t hash);
  // Insert in two steps, for an item that is linked before it is queued. First step: notes that the
  // key was stored. Returns true if the key came back soon after its eviction, so that its item
  // belongs into main.
  [[nodiscard]] bool NoteArrival(std::uint64_t hash);
  // The ghost of a key that is asked for, if it says something about the length of its segment.
  std::optional<Ghost> GhostOf(std::uint64_t hash) const;
  // Notes that the key of this ghost was asked for, and was not stored again. `weight`: how many
  // such misses it stands for.
  void NoteMissed(const Ghost& ghost, std::uint64_t weight);
  // Second step: queues the item in this segment. Its eviction state says that it was born on
  // probation; it may have been hit since. REQUIRES: to queue it in main, the item's bucket is
  // locked.
  void EnterArrived(ItemRef ref, Segment segment);
  // Evict in two steps. TakeCandidate takes the candidate out of its list. Then the caller calls
  // NoteEviction when the item was removed, or Return when it stays; by then the item may be in
  // another chunk.
  void TakeCandidate(const Candidate& candidate);
  // Counts the eviction of an item with this state and remembers its key as a ghost.
  void NoteEviction(EvictionState state, std::uint64_t hash);
  // Queues an item that was taken out of `segment`. REQUIRES: `entry` is not QueueEntry::kNew.
  void Return(ItemRef ref, QueueEntry entry, Segment segment);
  // Which candidates have earned to stay.
  const PromotionRule& promotion_rule() const { return promotion_rule_; }
  // Puts an item in the place of an item of this class that has the same key, and gives it that
  // item's eviction state. The use of the old chunk becomes kOwned. Under kLru it counts as a use.
  void Replace(ItemRef old, ItemRef fresh);
  // Queues an item that replaces an item of the same key and of another class, which had `state`.
  // The item of the other class is not touched.
  void InsertAs(ItemRef ref, EvictionState state);
  // Puts a copy of an item in the place of the item, as Replace does, but does not count as a use.
  void Relocate(ItemRef old, ItemRef fresh);
  // Takes an item out of its queue, or out of its magazine. Its use becomes kOwned.
  void Remove(ItemRef ref);

  // The item to consider next for eviction; `ref` is kNoItem if the queue is empty.
  Candidate Next() const;
  // The tail of the other segment; the candidate itself if that segment is empty.
  Candidate Alternative(const Candidate& candidate) const;
  // The item behind the one that the last call has returned, on a round from the tails to the heads
  // of both segments, one after the other; `ref` is kNoItem if the queue is empty. For searches
  // that leave the order of the items as it is.
  Candidate NextOfRound();
  // If the candidate has earned to stay, moves it to the head of main, lowers its counter and
  // returns true. Else returns false and changes nothing.
  bool Spare(const Candidate& candidate);
  // Moves a candidate that cannot be evicted now (it is pinned, or its bucket is locked) to the
  // head of its segment, so that others are considered first.
  void PutBack(const Candidate& candidate);
  // Removes the candidate and remembers its key as a ghost. The use of its chunk becomes kOwned.
  void Evict(const Candidate& candidate, std::uint64_t hash);

  // Call it kIdleTurns times in the time after which a class without arrivals is idle, and go on.
  // Then the clock of probation goes on by itself until nothing is young: else the hits of the
  // newest items would not count until others come.
  static constexpr std::uint32_t kIdleTurns = 20;
  void NoteTurn();
  // Notes the hits of the class since the start; call it now and then. Where hits are many and
  // arrivals few, the clock of probation goes on by hits: a tick for every kHitsDivisor-th of the
  // items, so that nothing stays young for much longer than it takes to hit every item once. Else a
  // working set that has just been loaded and is read evenly would be young until a scan comes, and
  // its newest quarter would go with it.
  static constexpr std::uint64_t kHitsDivisor = 8;
  void NoteHits(std::uint64_t hits);

  // Prefetches what Evict or NoteArrival of this hash will need. Needs no lock.
  void PrefetchGhosts(std::uint64_t hash) const noexcept { ghosts_.Prefetch(hash); }

  // Moves an item that was used to the front of the queue, for kLru.
  void MoveToFront(ItemRef ref);

  EvictionPolicy policy() const { return policy_; }
  // Changes the policy; no item moves.
  void set_policy(EvictionPolicy policy);
  // Sets probation's share of the items, within the bounds. Ghosts move it from there.
  void SetProbationShare(double share);
  // Notes that the class has grown, so that `share` of its memory is new. Probation's share moves
  // back towards its value at the start by that part, because what a small class has learned says
  // little about a larger one. REQUIRES: 0 < share <= 1.
  void NoteGrowth(double share) {
    LARDER_ASSERT(share > 0 && share <= 1);
    share_ += (share_at_start_ - share_) * share;
  }
  // Sets when a ghost is near: if its key would still be in the cache with more items, namely this
  // share of the present ones. 0: no ghost is near.
  void set_near_share(double share) {
    LARDER_ASSERT(share >= 0);
    near_share_ = share;
  }
  // Keys that came back as near ghosts since the start.
  std::uint64_t near_ghosts() const { return near_ghosts_; }
  // Evictions since the start.
  std::uint64_t evictions() const { return evictions_; }
  // Frees a ghost table that has become too large. Call it when the class has lost memory.
  void Trim() { ghosts_.Fit(count()); }

  // The number of queued items; those in magazines are not counted.
  std::uint64_t count() const { return probation_.count + main_.count; }
  std::uint64_t count(Segment segment) const { return At(segment).count; }
  // The head and the tail of a segment; kNoItem if it is empty.
  ItemRef newest(Segment segment) const { return At(segment).head; }
  ItemRef oldest(Segment segment) const { return At(segment).tail; }
  // The number of items from which on probation is the segment that makes room; at least 1.
  std::uint64_t probation_target() const;
  // The state of the queue that is saved across restarts. Ghosts are not saved; links and eviction
  // states are in the items.
  struct State {
    struct List {
      ItemRef head = kNoItem;
      ItemRef tail = kNoItem;
      std::uint64_t count = 0;
    };
    List probation;
    List main;
    double probation_share = kShareStart;
    ProbationClock::State clock;
  };
  State state() const;
  // Restores a saved state. REQUIRES: nothing was inserted yet, the links of the items are intact,
  // and the clock is possible.
  void Restore(const State& state);

  // Bytes of the ghost table, and the part of them that the system has backed with memory.
  std::uint64_t ghost_bytes() const { return ghosts_.bytes(); }
  std::uint64_t resident_ghost_bytes() const { return ghosts_.resident_bytes(); }
  QueueStats& stats() { return stats_; }

  // For tests: walks over both queues, and aborts if a list is broken.
  void CheckInvariants() const;

 private:
  using List = State::List;

  void CheckList(Segment segment) const;

  List& At(Segment segment) { return segment == Segment::kMain ? main_ : probation_; }
  const List& At(Segment segment) const { return segment == Segment::kMain ? main_ : probation_; }
  void Push(List& list, ItemRef ref);
  void PushTail(List& list, ItemRef ref);
  void Take(List& list, ItemRef ref);
  // Takes the item out of its list, or out of the magazine that has it.
  void TakeOut(ItemRef ref);
  // Sets the state, and links the item at the head of that state's segment.
  void Enter(ItemRef ref, EvictionState state);
  void EnterProbation(ItemRef ref);
  bool IsNear(const Ghost& ghost) const;
  // Moves probation's share by so many items.
  void MoveShare(double items);

  const Arena& arena_;
  ProbationClock& clock_;
  List probation_;
  // Arrivals on probation since the start. Beside what else each of them changes.
  std::uint64_t arrivals_ = 0;
  List main_;
  // What NextOfRound() returns next; kNoItem: the tail of the other segment.
  Candidate round_;
  // Probation's share of the items: now, and at the start.
  double share_ = kShareStart;
  double share_at_start_ = kShareStart;
  // See set_near_share().
  double near_share_ = 0;
  std::uint64_t near_ghosts_ = 0;
  // See evictions(), and how many there are when the share falls as usual again.
  std::uint64_t evictions_ = 0;
  std::uint64_t held_until_ = 0;
  // arrivals_ at the last turn; turns without one.
  std::uint64_t seen_arrivals_ = 0;
  std::uint32_t idle_turns_ = 0;
  // Hits since the start; hits since the clock went on last; its reading then, and how often it has
  // gone on by hits since an arrival moved it.
  std::uint64_t seen_hits_ = 0;
  std::uint64_t hits_since_tick_ = 0;
  std::uint32_t seen_tick_ = 0;
  std::uint32_t ticks_by_hits_ = 0;
  EvictionPolicy policy_ = EvictionPolicy::kSegmented;
  QueueStats stats_;
  Ghosts ghosts_;
  PromotionRule promotion_rule_;
};

}  // namespace larder::slab
