// Items that are used outside the cache: pinned ones, and ones that are not stored yet.
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

// Where a pin is counted: in the header of the item or, if that is full, in ExtraPins.
enum class PinPlace : std::uint8_t { kHeader, kExtra };

// Pins counts the pins of items. A pinned item keeps its chunk and its value.
//
// Threads:    internally locked. Add: caller locks the item's bucket. Remove: any thread that has
//             no class locked.
// Owns:       the pins that do not fit into the headers of items.
class Pins {
 public:
  explicit Pins(const SlabClasses& classes) : classes_(classes) {}

  // Pins the item. REQUIRES: it is linked, and its bucket is locked.
  ItemHandle Add(Item& item) noexcept;

 private:
  friend class ItemHandle;
  // Removes a pin that is counted in this place, and frees the item if it was the last reference.
  void Remove(ItemRef ref, PinPlace place) noexcept;

  const SlabClasses& classes_;
  ExtraPins extra_pins_;
};

// ItemHandle is a pin of an item: the value stays where it is, unchanged, until the handle is
// destroyed, even if the key is deleted or replaced meanwhile.
//
// Threads:    one worker. The thread that destroys it has no class locked.
// Owns:       one pin, or nothing.
class ItemHandle {
 public:
  // Pins nothing.
  ItemHandle() = default;
  ItemHandle(ItemHandle&& other) noexcept
      : pins_(std::exchange(other.pins_, nullptr)), ref_(other.ref_), place_(other.place_) {}
  ItemHandle& operator=(ItemHandle&& other) noexcept;
  ~ItemHandle();

  // True if it pins an item.
  explicit operator bool() const { return pins_ != nullptr; }

 private:
  friend class Pins;
  ItemHandle(Pins* pins, ItemRef ref, PinPlace place) : pins_(pins), ref_(ref), place_(place) {}

  Pins* pins_ = nullptr;
  ItemRef ref_ = kNoItem;
  PinPlace place_ = PinPlace::kHeader;
};

// ReservedItem is an item that is being made: its chunks are reserved, and no other thread can see
// it yet. Fill its value, then call Cache::Publish. If it is destroyed before that, its chunks are
// freed.
//
// Threads:    one worker, which has no class locked when it is destroyed.
// Owns:       the chunk and its continuations, until it is published.
class ReservedItem {
 public:
  ReservedItem(ReservedItem&& other) noexcept
      : classes_(std::exchange(other.classes_, nullptr)), ref_(other.ref_), hash_(other.hash_) {}
  ReservedItem& operator=(ReservedItem&&) = delete;
  ~ReservedItem();

  // A cursor at the beginning of the value, to fill it. This and the following: REQUIRES: the
  // object was not moved from, nor published.
  ValueCursor value() const { return {classes_->arena(), item()}; }
  // Length of the value.
  std::uint32_t value_bytes() const { return item().value_bytes(); }
  // As Item::item_bytes(), and the expiry that it was reserved with.
  std::size_t item_bytes() const { return item().item_bytes(); }
  Expiry expiry() const { return item().expiry(); }
  // Adds a mark to the item.
  void SetMark(ItemMark mark) { item().size_and_state |= static_cast<std::uint32_t>(mark); }
  // The CAS that it was reserved with; nothing if the cache chooses the CAS.
  std::optional<std::uint64_t> chosen_cas() const {
    return item().has_chosen_cas() ? std::optional(item().cas()) : std::nullopt;
  }
  // The key. The view is valid as long as this object.
  HashedKey key() const { return {item().key(), hash_}; }

 private:
  friend class Reserver;
  friend class Linker;
  friend class Storer;
  friend class Growth;
  ReservedItem(const SlabClasses* classes, ItemRef ref, std::uint64_t hash)
      : classes_(classes), ref_(ref), hash_(hash) {}

  // This and Release: REQUIRES: the object was not moved from, nor released.
  Item& item() const {
    LARDER_ASSERT(classes_ != nullptr);
    return classes_->arena().At(ref_);
  }
  // Hands the chunk over to the caller, who links it.
  [[nodiscard]] ItemRef Release() {
    LARDER_ASSERT(classes_ != nullptr);
    classes_ = nullptr;
    return ref_;
  }

  // nullptr: moved from, or released.
  const SlabClasses* classes_ = nullptr;
  ItemRef ref_ = kNoItem;
  std::uint64_t hash_ = 0;
};

}  // namespace larder::slab
