// Magazine: the chunks and items that one lane holds from one slab class.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "slab/check.h"
#include "slab/eviction/eviction_queue.h"
#include "slab/item/item.h"
#include "slab/sync/atomic.h"

namespace larder::slab {

// An item that left the cache to make room: what the statistics of its class and its ghosts need.
struct ReclaimedItem {
  // Hash of the item's key.
  std::uint64_t hash = 0;
  // Seconds between the item's last use and its removal.
  std::uint32_t idle_s = 0;
  // Its segment and the hits that were counted.
  EvictionState state = EvictionState::Born(0);
  // True: the item had expired or was flushed. False: it was alive and was evicted.
  bool is_dead = false;
  // The item had an expiry set.
  bool could_expire = false;
  // A client had read the item at least once.
  bool was_fetched = false;
};

// Magazine holds what one lane has taken from one slab class: free chunks for the lane's next
// items, and the items that the lane has linked since and that are not in the eviction queue yet.
// Thus two lanes that store into one class meet at the class's lock once for many stores. During a
// refill the magazine also holds the items that are about to be evicted.
//
//   slot   |arriving|arriving|   -    |arriving|stocked|leaving|     -: the item was removed
//
// A linked item that is not in a queue is in a slot of a magazine: its use is kArriving or
// kLeaving, and magazine_slot() of the item names the slot. The exception is an item with use
// kLeaving that the lane has taken out with TakeBack: it is in no slot until the lane calls Return
// or unlinks the item.
//
// A slot is filled by its lane only. Several threads may try to empty it; the atomic exchange of
// the slot decides which of them gets the content.
//
// Threads:    one worker (the lane) calls Take, Put, Stock, AddReclaimed and PublishReclaimed. Put
//             also needs the lock of the item's bucket. TakeOwn, PutLeaving and Forget: the lane,
//             and caller locks the class. TakeBack of a leaving item and Return: the lane, and
//             caller locks the item's bucket. TakeAny and TakeReclaimed: any thread, caller locks
//             the class.
// Owns:       the stocked chunks. Linked items belong to the cache.
// Invariants: a slot contains kNoItem or a chunk of the magazine's class; a bit of stocked_ is set
//             for every slot that was stocked and not taken by Take() since.
class alignas(128) Magazine {
 public:
  // Slots of a magazine: the most chunks that a lane takes from a class at a time.
  static constexpr std::uint32_t kSlots = 32;

  // What the class needs to queue a linked item that is in a slot.
  struct Entry {
    // Hash of the item's key.
    std::uint64_t hash = 0;
    // The queue that a leaving item was taken from.
    Segment segment = Segment::kProbation;
    // How the item will enter a queue: kNew for an arriving item, otherwise a leaving one.
    QueueEntry queue_entry = QueueEntry::kNew;
  };
  // The former content of a slot; `ref` is kNoItem if the slot was empty.
  struct Taken {
    ItemRef ref = kNoItem;
    // Valid only if `ref` is a linked item, not a stocked chunk.
    Entry entry;
  };

  // Takes a stocked chunk, which then belongs to the caller; its use is still kStocked. Returns
  // kNoItem if no stocked chunk is left, because the lane has used them all or another thread has
  // emptied the magazine.
  [[nodiscard]] ItemRef Take() {
    while (stocked_ != 0) {
      slot_ = static_cast<std::uint32_t>(std::countr_zero(stocked_));
      stocked_ &= stocked_ - 1;
      const ItemRef ref = TakeBack(slot_);
      if (ref != kNoItem) return ref;
    }
    return kNoItem;
  }
  // Puts the item that was made in the chunk of the last Take() back into that chunk's slot, where
  // it waits to be queued; its use becomes kArriving. REQUIRES: the item's bucket is locked, and
  // `ref` is the chunk that Take() returned last.
  void Put(ItemRef ref, Item& item, std::uint64_t hash) {
    LARDER_ASSERT(item.use() == ChunkUse::kStocked);
    Fill(slot_, ref, item, {.hash = hash}, ChunkUse::kArriving);
  }

  // Empties a slot, for any thread that has the class locked. Returns what was in it.
  [[nodiscard]] Taken TakeAny(std::uint32_t slot) {
    if (slots_[slot].load(std::memory_order_relaxed) == kNoItem) return {};
    const ItemRef ref = TakeBack(slot);
    if (ref == kNoItem) return {};
    return {.ref = ref, .entry = entries_[slot]};
  }
  // Empties a slot of the calling lane's own magazine. With the class locked no other thread can
  // empty the slot at the same time, so that no atomic exchange is needed.
  [[nodiscard]] Taken TakeOwn(std::uint32_t slot) {
    const ItemRef ref = slots_[slot].load(std::memory_order_relaxed);
    if (ref == kNoItem) return {};
    slots_[slot].store(kNoItem, std::memory_order_relaxed);
    return {.ref = ref, .entry = entries_[slot]};
  }

  // Puts a free chunk into the slot; its use becomes kStocked. REQUIRES: the slot is empty, and the
  // caller owns the chunk.
  void Stock(std::uint32_t slot, ItemRef ref, Item& chunk) {
    LARDER_ASSERT(IsEmpty(slot));
    LARDER_ASSERT(!chunk.is_linked());
    chunk.set_use(ChunkUse::kStocked);
    stocked_ |= 1U << slot;
    slots_[slot].store(ref, std::memory_order_release);
  }
  // Puts an item into the slot that was just taken out of the queue `segment` to be evicted; its
  // use becomes kLeaving. REQUIRES: the slot is empty.
  void PutLeaving(std::uint32_t slot, ItemRef ref, Item& item, std::uint64_t hash,
                  Segment segment) {
    Fill(slot, ref, item, {.hash = hash, .segment = segment, .queue_entry = QueueEntry::kUndecided},
         ChunkUse::kLeaving);
  }
  // Puts an item back that TakeBack took out and that stays in the cache after all: `entry` says
  // how it will be queued. REQUIRES: the slot is empty, `entry` is not kNew, and the slot's other
  // data are still those of this item.
  void Return(std::uint32_t slot, ItemRef ref, QueueEntry entry) {
    LARDER_ASSERT(IsEmpty(slot));
    LARDER_ASSERT(entry != QueueEntry::kNew);
    entries_[slot].queue_entry = entry;
    slots_[slot].store(ref, std::memory_order_release);
  }
  // Takes the content out of the slot. For a leaving item that is the one that PutLeaving put
  // there; it may lie in another chunk by now, because the item was moved. Returns kNoItem if the
  // slot is empty: the item was removed from the cache, or it was queued again.
  [[nodiscard]] ItemRef TakeBack(std::uint32_t slot) {
    return slots_[slot].exchange(kNoItem, std::memory_order_acquire);
  }
  // What is stored about the item in the slot. For the lane only.
  const Entry& entry(std::uint32_t slot) const { return entries_[slot]; }

  // Adds an eviction to those that the class will count. REQUIRES: fewer than kSlots were added
  // since the last PublishReclaimed(), and the ones published before that were taken.
  void AddReclaimed(const ReclaimedItem& reclaimed) {
    LARDER_ASSERT(reclaimed_added_ < kSlots);
    reclaimed_[reclaimed_added_++] = reclaimed;
  }
  // Makes the evictions that were added visible to TakeReclaimed().
  void PublishReclaimed() {
    reclaimed_count_.store(reclaimed_added_, std::memory_order_release);
    reclaimed_added_ = 0;
  }
  // Takes the published evictions that are not counted yet. The result is valid while the class
  // stays locked.
  [[nodiscard]] std::span<const ReclaimedItem> TakeReclaimed() {
    const std::uint32_t count = reclaimed_count_.load(std::memory_order_acquire);
    if (count != 0) reclaimed_count_.store(0, std::memory_order_relaxed);
    return std::span(reclaimed_).first(count);
  }
  // Forgets which slots were stocked, before the magazine is filled again. REQUIRES: all slots are
  // empty.
  void Forget() {
    LARDER_ASSERT(std::ranges::all_of(slots_, [](const auto& ref) { return ref == kNoItem; }));
    stocked_ = 0;
  }

 private:
  bool IsEmpty(std::uint32_t slot) const {
    return slot < kSlots && slots_[slot].load(std::memory_order_relaxed) == kNoItem;
  }
  // Stores a linked item in the slot and the slot's address in the item. The release store of the
  // slot publishes both, and the entry.
  void Fill(std::uint32_t slot, ItemRef ref, Item& item, const Entry& entry, ChunkUse use) {
    LARDER_ASSERT(IsEmpty(slot));
    LARDER_ASSERT(ref != kNoItem);
    item.set_magazine_slot(&slots_[slot]);
    item.set_use(use);
    entries_[slot] = entry;
    slots_[slot].store(ref, std::memory_order_release);
  }

  // The content of each slot: a chunk, or kNoItem. Released when filled, acquired when taken.
  std::array<Atomic<ItemRef>, kSlots> slots_{};
  // One for each slot. Written by the lane before it fills the slot.
  std::array<Entry, kSlots> entries_{};
  // For the lane only: a bit for each slot that was stocked and not taken yet.
  std::uint32_t stocked_ = 0;
  // For the lane only: the slot of the chunk that Take() returned last.
  std::uint32_t slot_ = 0;
  // For the lane only: how many of reclaimed_ were added and are not published yet.
  std::uint32_t reclaimed_added_ = 0;
  // How many of reclaimed_ are published: released by the lane, acquired by TakeReclaimed().
  Atomic<std::uint32_t> reclaimed_count_{0};
  // Evictions, those that are published or being added.
  std::array<ReclaimedItem, kSlots> reclaimed_{};
};

}  // namespace larder::slab
