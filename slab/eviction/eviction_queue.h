// Which item of a class goes when room is needed.
#pragma once

#include <cstdint>
#include <optional>

#include "slab/check.h"
#include "slab/eviction/ghosts.h"
#include "slab/item/eviction_state.h"
#include "slab/item/item.h"
#include "slab/memory/arena.h"

namespace larder::slab {

enum class EvictionPolicy : std::uint8_t {
  kSegmented,  // Two segments, second chances, and ghosts; a hit moves nothing.
  kLru,        // The strict order of last use; a hit moves its item.
};

// How an item that is in no list comes into one.
enum class QueueEntry : std::uint8_t {
  kNew,        // Of a key that was not in the cache.
  kSpared,     // Earned to stay when it was to leave: to the head of main.
  kPutBack,    // Was in use when it was to leave: to the head of its segment.
  kUndecided,  // Not known yet whether it leaves: to the tail of its segment.
};

// What the queue of a class did so far.
struct QueueStats {
  std::uint64_t promoted = 0;        // Went from probation to main.
  std::uint64_t second_chances = 0;  // Went from main's tail to its head.
  std::uint64_t evicted_from_probation = 0;
  std::uint64_t evicted_from_main = 0;
  std::uint64_t evicted_active = 0;       // Of these, with hits that counted.
  std::uint64_t put_back = 0;             // Came up when they could not go.
  std::uint64_t ghosts_of_probation = 0;  // Keys that came back after their eviction.
  std::uint64_t ghosts_of_main = 0;
};

// EvictionQueue keeps the linked items of one class in two queues.
//
//   probation   head |newest| <-> ... <-> |oldest| tail     linked by Item::prev / Item::next
//   main        head |      | <-> ... <-> |      | tail
//
// A new item enters probation; there, and in main, a hit raises the counter of its EvictionState
// and no more. Room is made at the tail of probation while that holds its share of the items, else
// at main's. Who comes up on probation with a hit that counts goes to main, its counter cleared;
// who comes up in main with a counter above 0 goes back to the head with one less; all others go
// and leave a ghost. A key that comes back while its ghost is news enters main, and moves the
// share: up if it was evicted from probation, which had been too short for it, down if from main.
//
// Under kLru all new items enter main, MoveToFront() follows each hit, and what probation still
// holds from before goes first.
//
// Threads:    caller locks the class; what looks at or changes a eviction state needs the lock of
// that
//             item's bucket too, or the item alone: all but Insert and PutBack.
// Owns:       the ghosts; items lie in the arena.
// Invariants: an item is in a queue exactly while its use is ChunkUse::kQueued; in which one, its
//             eviction state says. Linked items that are in none are in a Magazine.
// Source:     the segments of 2Q, Johnson and Shasha, VLDB 1994; the share that ghosts move is
//             that of ARC, Megiddo and Modha, FAST 2003.
class EvictionQueue {
 public:
  // Of all items; the bounds of probation's share and where it begins.
  static constexpr double kShareMin = 0.02;
  static constexpr double kShareStart = 0.20;
  static constexpr double kShareMax = 0.90;

  // An item at a tail.
  struct Candidate {
    ItemRef ref = kNoItem;
    Segment segment = Segment::kProbation;
  };

  EvictionQueue(const Arena& arena, ProbationClock& clock) : arena_(arena), clock_(clock) {}

  // Of a key that was not here before.
  void Insert(ItemRef ref, std::uint64_t hash);
  // Insert in two steps, for an item that is linked before it is queued. First: the key is in; true
  // if it came back and its item belongs into main.
  [[nodiscard]] bool NoteArrival(std::uint64_t hash);
  // Then the item, whose eviction state says that it was born on probation, perhaps hit since. Who
  // moves it to main instead locks its bucket.
  void EnterArrived(ItemRef ref, bool into_main);
  // Evict in two steps. First the candidate is in no list any more; then NoteEviction, or Return of
  // the item, which may have another chunk by now.
  void Release(const Candidate& candidate);
  void NoteEviction(Segment segment, std::uint64_t hash);
  // `segment`: the one that it was released from. REQUIRES: not QueueEntry::kNew.
  void Return(ItemRef ref, QueueEntry entry, Segment segment);
  // What a candidate becomes that earned to stay, in main; nothing if it did not.
  static std::optional<EvictionState> IfSpared(EvictionState state);
  // In place of an item of this class with the same key, whose eviction state it gets. The old
  // one's use becomes kOwned.
  void Replace(ItemRef old, ItemRef fresh);
  // The same for an item of another class, which stays where it is.
  void InsertAs(ItemRef ref, EvictionState state);
  // As Replace for an item that was only copied, which is no use of it.
  void Relocate(ItemRef old, ItemRef fresh);
  // The item's use becomes kOwned.
  void Remove(ItemRef ref);

  // The next to consider, or none.
  Candidate Next() const;
  // At the tail of the other segment, if there is one.
  Candidate Alternative(const Candidate& candidate) const;
  // True if the candidate earned to stay: it was moved, and has used up what it earned.
  bool Spare(const Candidate& candidate);
  // The candidate cannot go now (it is pinned, or its bucket is busy): considers others first.
  void PutBack(const Candidate& candidate);
  // Removes the candidate, and remembers its key.
  void Evict(const Candidate& candidate, std::uint64_t hash);

  // For Evict or NoteArrival of this hash.
  void PrefetchGhosts(std::uint64_t hash) const noexcept { ghosts_.Prefetch(hash); }

  // kLru: the item was used.
  void MoveToFront(ItemRef ref);

  EvictionPolicy policy() const { return policy_; }
  void set_policy(EvictionPolicy policy);
  // Probation's share of the items, from where ghosts move it on.
  void SetProbationShare(double share);
  // Of the memory that the class has now, `share` is new: it comes with the share of probation that
  // a class begins with. What a small class learned says little about one that has grown.
  void NoteGrowth(double share) {
    LARDER_ASSERT(share > 0 && share <= 1);
    share_ += (share_at_start_ - share_) * share;
  }
  // Of the items, how many more there would have to be for a ghost to be near: its key would still
  // be here if there were. 0: none is near.
  void set_near_share(double share) {
    LARDER_ASSERT(share >= 0);
    near_share_ = share;
  }
  // Keys that came back as near ghosts, since the start.
  std::uint64_t near_ghosts() const { return near_ghosts_; }
  // To be called when the class has lost memory.
  void Trim() { ghosts_.Fit(count()); }

  std::uint64_t count() const { return probation_.count + main_.count; }
  std::uint64_t count(Segment segment) const { return At(segment).count; }
  ItemRef newest(Segment segment) const { return At(segment).head; }
  ItemRef oldest(Segment segment) const { return At(segment).tail; }
  // How many items probation may hold before it is the one to lose some.
  std::uint64_t probation_target() const;
  // All but the ghosts, to be the same queue after a restart; links and eviction states are in the
  // items.
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
  // REQUIRES: nothing was inserted yet, the lists hold together, and the clock is possible.
  void Restore(const State& state);

  std::uint64_t ghost_bytes() const { return ghosts_.bytes(); }
  std::uint64_t resident_ghost_bytes() const { return ghosts_.resident_bytes(); }
  QueueStats& stats() { return stats_; }

  // Tests: walks over both queues; aborts when one does not hold together.
  void CheckInvariants() const;

 private:
  using List = State::List;

  void CheckList(Segment segment) const;

  List& At(Segment segment) { return segment == Segment::kMain ? main_ : probation_; }
  const List& At(Segment segment) const { return segment == Segment::kMain ? main_ : probation_; }
  void Push(List& list, ItemRef ref);
  void PushTail(List& list, ItemRef ref);
  void Take(List& list, ItemRef ref);
  // Of its list, or of the magazine that has it.
  void TakeOut(ItemRef ref);
  // At the head of the segment that the eviction state says.
  void Enter(ItemRef ref, EvictionState state);
  void EnterProbation(ItemRef ref);
  void MoveShare(double items);

  const Arena& arena_;
  ProbationClock& clock_;
  List probation_;
  List main_;
  double share_ = kShareStart;
  double share_at_start_ = kShareStart;
  double near_share_ = 0;
  std::uint64_t near_ghosts_ = 0;
  EvictionPolicy policy_ = EvictionPolicy::kSegmented;
  QueueStats stats_;
  Ghosts ghosts_;
};

}  // namespace larder::slab
