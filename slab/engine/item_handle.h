// Items that are in use outside the cache: read ones, and ones that are still to be stored.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "slab/check.h"
#include "slab/classes/slab_classes.h"
#include "slab/engine/extra_pins.h"
#include "slab/ids.h"
#include "slab/item/hash.h"
#include "slab/item/item.h"
#include "slab/item/value_cursor.h"

namespace larder::slab {

class ItemHandle;

// Pins keeps items where they are for as long as they are read.
//
// Threads: internally locked. Add: caller locks the item's bucket. Remove: any thread, which has no
//          class locked.
// Owns:    the pins that do not fit into the headers of items.
class Pins {
 public:
  explicit Pins(const SlabClasses& classes) : classes_(classes) {}

  ItemHandle Add(Item& item) noexcept;

 private:
  friend class ItemHandle;
  void Remove(ItemRef ref, bool is_extra) noexcept;

  const SlabClasses& classes_;
  ExtraPins extra_pins_;
};

// A pinned item: its value stays where it is, unchanged, until this is destroyed, whatever happens
// to the key meanwhile.
//
// Threads: one worker.
class ItemHandle {
 public:
  ItemHandle() = default;
  ItemHandle(ItemHandle&& other) noexcept
      : pins_(std::exchange(other.pins_, nullptr)), ref_(other.ref_), is_extra_(other.is_extra_) {}
  ItemHandle& operator=(ItemHandle&& other) noexcept;
  ~ItemHandle();

  explicit operator bool() const { return pins_ != nullptr; }

 private:
  friend class Pins;
  ItemHandle(Pins* pins, ItemRef ref, bool is_extra)
      : pins_(pins), ref_(ref), is_extra_(is_extra) {}

  Pins* pins_ = nullptr;
  ItemRef ref_ = kNoItem;
  bool is_extra_ = false;  // Counted in ExtraPins, not in the item's header.
};

// A chunk on its way into the cache: room for an item that nobody else sees yet. Fill its value,
// then Cache::Publish it; destroyed unpublished, it leaves no trace.
//
// Threads: one worker, which has no class locked when it is destroyed.
// Owns:    the chunk and its continuations, until Release.
class ReservedItem {
 public:
  ReservedItem(ReservedItem&& other) noexcept
      : classes_(std::exchange(other.classes_, nullptr)), ref_(other.ref_), hash_(other.hash_) {}
  ReservedItem& operator=(ReservedItem&&) = delete;
  ~ReservedItem();

  ValueCursor value() const { return {classes_->arena(), item()}; }
  std::uint32_t value_bytes() const { return item().value_bytes(); }
  void SetMark(ItemMark mark) { item().size_and_state |= static_cast<std::uint32_t>(mark); }
  // The CAS that it was reserved with, if it was chosen.
  std::optional<std::uint64_t> chosen_cas() const {
    return item().has_chosen_cas() ? std::optional(item().cas()) : std::nullopt;
  }
  // Lives as long as this.
  HashedKey key() const { return {item().key(), hash_}; }

 private:
  friend class Reserver;
  friend class Linker;
  friend class Storer;
  friend class Growth;
  ReservedItem(const SlabClasses* classes, ItemRef ref, std::uint64_t hash)
      : classes_(classes), ref_(ref), hash_(hash) {}

  // All: REQUIRES: not moved from, nor released.
  Item& item() const {
    LARDER_ASSERT(classes_ != nullptr);
    return classes_->arena().At(ref_);
  }
  // The chunk is the caller's, who links it.
  [[nodiscard]] ItemRef Release() {
    LARDER_ASSERT(classes_ != nullptr);
    classes_ = nullptr;
    return ref_;
  }

  const SlabClasses* classes_ = nullptr;
  ItemRef ref_ = kNoItem;
  std::uint64_t hash_ = 0;
};

}  // namespace larder::slab
