// Items that are in somebody's hands: read ones, and ones that are still to be stored.
#pragma once

#include <cstdint>
#include <utility>

#include "slab/hash.h"
#include "slab/item.h"
#include "slab/value_cursor.h"

namespace larder::slab {

class Cache;

// A pinned item: its value stays where it is, unchanged, until this is destroyed, whatever happens
// to the key meanwhile.
//
// Threads: one worker.
class ItemHandle {
 public:
  ItemHandle() = default;
  ItemHandle(ItemHandle&& other) noexcept
      : cache_(std::exchange(other.cache_, nullptr)),
        ref_(other.ref_),
        is_extra_(other.is_extra_) {}
  ItemHandle& operator=(ItemHandle&& other) noexcept;
  ~ItemHandle();

  explicit operator bool() const { return cache_ != nullptr; }

 private:
  friend class Cache;
  ItemHandle(Cache* cache, ItemRef ref, bool is_extra)
      : cache_(cache), ref_(ref), is_extra_(is_extra) {}

  Cache* cache_ = nullptr;
  ItemRef ref_ = kNoItem;
  bool is_extra_ = false;  // Counted in ExtraPins, not in the item's header.
};

// Room for an item that nobody else sees yet. Fill its value, then Cache::Publish it; destroyed
// unpublished, it leaves no trace.
//
// Threads: one worker.
class ReservedItem {
 public:
  ReservedItem(ReservedItem&& other) noexcept
      : cache_(std::exchange(other.cache_, nullptr)), ref_(other.ref_), hash_(other.hash_) {}
  ReservedItem& operator=(ReservedItem&&) = delete;
  ~ReservedItem();

  ValueCursor value() const;
  std::uint32_t value_bytes() const;
  void SetMark(ItemMark mark);
  // Lives as long as this.
  HashedKey key() const;

 private:
  friend class Cache;
  ReservedItem(Cache* cache, ItemRef ref, std::uint64_t hash)
      : cache_(cache), ref_(ref), hash_(hash) {}
  ItemRef Release() { return std::exchange(cache_, nullptr) != nullptr ? ref_ : kNoItem; }

  Cache* cache_ = nullptr;
  ItemRef ref_ = kNoItem;
  std::uint64_t hash_ = 0;
};

}  // namespace larder::slab
