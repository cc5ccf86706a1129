// What a lane takes from a class in one go.
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

namespace larder::slab {

// An item that left the cache to make room, for the counts of its class and its ghosts.
struct ReclaimedItem {
  std::uint64_t hash = 0;
  std::uint32_t idle_s = 0;
  Segment segment = Segment::kProbation;
  bool is_dead = false;  // Expired or flushed; else evicted.
  bool could_expire = false;
  bool was_fetched = false;
};

// Magazine is what a lane has of a class: chunks for its next items, and items that it linked since
// and that are not in the queue yet. So two lanes that store into one class meet at its lock once
// for many stores. While it is refilled, it holds the items that are to make room.
//
//   slot   |arriving|arriving|   -    |arriving|stocked|leaving|     -: its item was removed
//
// A linked item that is in no queue is in a slot: its use is kArriving or kLeaving, and
// magazine_slot() names it. One that is kLeaving may be in the lane's hands instead: between
// TakeBack and Return, or until it is unlinked.
//
// Threads: an exchange of the slot decides who has what lay in it. TakeAny and TakeReclaimed:
//          whoever has locked the class; Stock and Release: the lane, with the class locked.
//          TakeBack, Return and Restock: the lane, with the item's bucket locked. Take, Put and
//          PublishReclaimed: the lane.
class alignas(128) Magazine {
 public:
  static constexpr std::uint32_t kSlots = 32;

  struct Entry {
    std::uint64_t hash = 0;  // Of its key.
    Segment segment = Segment::kProbation;
    QueueEntry queue_entry = QueueEntry::kNew;  // How it will be queued.
  };
  struct Taken {
    ItemRef ref = kNoItem;
    Entry entry;  // Of a linked item.
  };

  // A chunk that is the caller's now, or kNoItem.
  [[nodiscard]] ItemRef Take() {
    while (stocked_ != 0) {
      slot_ = static_cast<std::uint32_t>(std::countr_zero(stocked_));
      stocked_ &= stocked_ - 1;
      const ItemRef ref = TakeBack(slot_);
      if (ref != kNoItem) return ref;
    }
    return kNoItem;
  }
  // The item in the chunk that Take gave last waits to be queued. REQUIRES: its bucket is locked.
  void Put(ItemRef ref, Item& item, std::uint64_t hash) {
    LARDER_ASSERT(item.use() == ChunkUse::kStocked);
    Fill(slot_, ref, item, {.hash = hash}, ChunkUse::kArriving);
  }

  // What lies in a slot.
  [[nodiscard]] Taken TakeAny(std::uint32_t slot) {
    if (slots_[slot].load(std::memory_order_relaxed) == kNoItem) return {};
    const ItemRef ref = TakeBack(slot);
    if (ref == kNoItem) return {};
    return {.ref = ref, .entry = entries_[slot]};
  }
  // The same for the lane itself, which nobody can come before: the class is locked.
  [[nodiscard]] Taken TakeOwn(std::uint32_t slot) {
    const ItemRef ref = slots_[slot].load(std::memory_order_relaxed);
    if (ref == kNoItem) return {};
    slots_[slot].store(kNoItem, std::memory_order_relaxed);
    return {.ref = ref, .entry = entries_[slot]};
  }

  // The four: REQUIRES: the slot is empty. A free chunk; an item that was just taken from the queue
  // to leave; the chunk of one that left; one that stays.
  void Stock(std::uint32_t slot, ItemRef ref, Item& chunk) {
    LARDER_ASSERT(IsEmpty(slot));
    LARDER_ASSERT(!chunk.is_linked());
    chunk.set_use(ChunkUse::kStocked);
    stocked_ |= 1U << slot;
    slots_[slot].store(ref, std::memory_order_release);
  }
  void Release(std::uint32_t slot, ItemRef ref, Item& item, std::uint64_t hash, Segment segment) {
    Fill(slot, ref, item, {.hash = hash, .segment = segment, .queue_entry = QueueEntry::kUndecided},
         ChunkUse::kLeaving);
  }
  void Return(std::uint32_t slot, ItemRef ref, QueueEntry entry) {
    LARDER_ASSERT(IsEmpty(slot));
    LARDER_ASSERT(entry != QueueEntry::kNew);
    entries_[slot].queue_entry = entry;
    slots_[slot].store(ref, std::memory_order_release);
  }
  // What Release put there, perhaps in another chunk by now; kNoItem: it was removed, or queued
  // again.
  [[nodiscard]] ItemRef TakeBack(std::uint32_t slot) {
    return slots_[slot].exchange(kNoItem, std::memory_order_acquire);
  }
  const Entry& entry(std::uint32_t slot) const { return entries_[slot]; }  // The lane.

  // REQUIRES: the last ones were taken.
  void AddReclaimed(const ReclaimedItem& reclaimed) {
    LARDER_ASSERT(reclaimed_added_ < kSlots);
    reclaimed_[reclaimed_added_++] = reclaimed;
  }
  void PublishReclaimed() {
    reclaimed_count_.store(reclaimed_added_, std::memory_order_release);
    reclaimed_added_ = 0;
  }
  // Those that nobody has counted yet. They stay as they are while the class is locked.
  [[nodiscard]] std::span<const ReclaimedItem> TakeReclaimed() {
    const std::uint32_t count = reclaimed_count_.load(std::memory_order_acquire);
    if (count != 0) reclaimed_count_.store(0, std::memory_order_relaxed);
    return std::span(reclaimed_).first(count);
  }
  // All slots are empty now.
  void Forget() {
    LARDER_ASSERT(std::ranges::all_of(slots_, [](const auto& ref) { return ref == kNoItem; }));
    stocked_ = 0;
  }

 private:
  bool IsEmpty(std::uint32_t slot) const {
    return slot < kSlots && slots_[slot].load(std::memory_order_relaxed) == kNoItem;
  }
  void Fill(std::uint32_t slot, ItemRef ref, Item& item, const Entry& entry, ChunkUse use) {
    LARDER_ASSERT(IsEmpty(slot));
    LARDER_ASSERT(ref != kNoItem);
    item.set_magazine_slot(&slots_[slot]);
    item.set_use(use);
    entries_[slot] = entry;
    slots_[slot].store(ref, std::memory_order_release);
  }

  std::array<std::atomic<ItemRef>, kSlots> slots_{};
  std::array<Entry, kSlots> entries_{};  // Written by the lane before its slot is filled.
  std::uint32_t stocked_ = 0;            // The lane's: slots that it stocked and did not take yet.
  std::uint32_t slot_ = 0;               // The lane's: the slot of the chunk that Take gave last.
  std::uint32_t reclaimed_added_ = 0;    // The lane's.
  std::atomic<std::uint32_t> reclaimed_count_{0};  // Of those published.
  std::array<ReclaimedItem, kSlots> reclaimed_{};
};

}  // namespace larder::slab
