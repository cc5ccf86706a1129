// Which item of a class goes when room is needed.
#pragma once

#include <cstdint>

#include "slab/arena.h"
#include "slab/item.h"

namespace larder::slab {

// EvictionQueue keeps the linked items of one class in order of eviction: a least-recently-used
// order by second chance. A hit moves nothing and takes no lock but the bucket's: it raises a 2-bit
// counter in the item. An item that comes up for eviction with a counter above 0 goes back to the
// head, its counter cleared.
//
//   head |newest| <-> | | <-> ... <-> |oldest| tail       linked by Item::prev / Item::next
//
// Threads:    caller locks the class; MarkHit: caller locks the item's bucket.
// Owns:       nothing; items lie in the arena.
// Invariants: an item is in the queue exactly while its use is ChunkUse::kQueued.
class EvictionQueue {
 public:
  explicit EvictionQueue(const Arena& arena) : arena_(arena) {}

  static void MarkHit(Item& item) {
    if (item.hits() < Item::kHitsMax) item.set_hits(item.hits() + 1);
  }

  void Insert(ItemRef ref) {
    Item& item = arena_.At(ref);
    item.use = ChunkUse::kQueued;
    item.prev = kNoItem;
    item.next = head_;
    if (head_ != kNoItem) {
      arena_.At(head_).prev = ref;
    } else {
      tail_ = ref;
    }
    head_ = ref;
    ++count_;
  }

  // The item's use becomes kOwned.
  void Remove(ItemRef ref) {
    Item& item = arena_.At(ref);
    Unlink(item);
    item.use = ChunkUse::kOwned;
    --count_;
  }

  // The next to consider, or kNoItem.
  ItemRef Candidate() const { return tail_; }

  // True if the candidate earned a second chance, which it has used up then. REQUIRES: the caller
  // locks the candidate's bucket too.
  bool Spare(ItemRef ref) {
    Item& item = arena_.At(ref);
    if (item.hits() == 0) return false;
    item.set_hits(0);
    PutBack(ref);
    return true;
  }

  // The candidate cannot go now (it is pinned, or its bucket is busy): considers others first.
  void PutBack(ItemRef ref) {
    Unlink(arena_.At(ref));
    --count_;
    Insert(ref);
  }

  std::uint64_t count() const { return count_; }
  ItemRef newest() const { return head_; }

 private:
  void Unlink(Item& item) {
    (item.prev != kNoItem ? arena_.At(item.prev).next : head_) = item.next;
    (item.next != kNoItem ? arena_.At(item.next).prev : tail_) = item.prev;
  }

  const Arena& arena_;
  ItemRef head_ = kNoItem;
  ItemRef tail_ = kNoItem;
  std::uint64_t count_ = 0;
};

}  // namespace larder::slab
