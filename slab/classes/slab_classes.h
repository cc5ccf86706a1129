// All slab classes of a cache, and which of them a chunk belongs to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "slab/check.h"
#include "slab/classes/page_table.h"
#include "slab/classes/size_ladder.h"
#include "slab/classes/slab_class.h"
#include "slab/ids.h"
#include "slab/item/item.h"
#include "slab/memory/arena.h"

namespace larder::slab {

// SlabClasses has the classes of a size ladder, and the table that says which class has a page.
//
// Threads: immutable but for what the classes and the page table guard themselves. Nobody locks two
//          classes at a time.
// Owns:    classes and page table. The arena must outlive it.
class SlabClasses {
 public:
  SlabClasses(Arena& arena, SizeLadder ladder, PageTable page_table);
  SlabClasses(const SlabClasses&) = delete;
  SlabClasses& operator=(const SlabClasses&) = delete;

  Arena& arena() const { return arena_; }
  const SizeLadder& ladder() const { return ladder_; }
  const PageTable& page_table() const { return page_table_; }

  // Ids are 1 to count().
  std::size_t count() const { return ladder_.class_count(); }
  // REQUIRES: 1 <= id <= count().
  SlabClass& ById(std::size_t id) const {
    LARDER_ASSERT(id >= 1 && id < classes_.size());
    return *classes_[id];
  }
  // Where the first chunk of every large item lies.
  SlabClass& Largest() const { return ById(ladder_.largest()); }

  // The class of a chunk. REQUIRES (both): the chunk is in use, and stays so.
  SlabClass& Of(ItemRef ref) const { return ById(page_table_.class_of(arena_.PageOf(ref))); }
  ClassId IdOf(const Item& item) const noexcept {
    return page_table_.class_of(arena_.PageOf(&item));
  }
  // Bytes of the chunk that the item lies in. REQUIRES: as for IdOf.
  std::uint32_t ChunkBytesOf(const Item& item) const noexcept {
    return ladder_.chunk_bytes(IdOf(item));
  }
  // The chunk with this number in a page of class `c`.
  ItemRef ChunkAt(const SlabClass& c, PageIndex page, std::uint32_t number) const {
    LARDER_ASSERT(number < c.chunks_per_page());
    return arena_.RefOf(arena_.PageAt(page) + std::size_t{number} * c.chunk_bytes());
  }

  // Calls fn(SlabClass&) for each class by id.
  template <class Fn>
  void ForEach(Fn&& fn) const {
    for (std::size_t id = 1; id < classes_.size(); ++id) fn(*classes_[id]);
  }

  // Frees an item's chunk and its continuations. REQUIRES: no class is locked, and nobody else uses
  // them: their use is kOwned and kContinuation.
  void Free(ItemRef item) const;

 private:
  friend class FreeLater;
  // Frees chunks linked by Item::next, of any class, with their continuations.
  void FreeList(ItemRef first) const;

  Arena& arena_;
  const SizeLadder ladder_;
  const PageTable page_table_;
  // By ClassId; [0] is empty.
  std::vector<std::unique_ptr<SlabClass>> classes_;
};

// Chunks that are not in use any more but cannot be freed yet: freeing one locks its class, and
// whoever collects them has another class locked. Frees them when it is destroyed: so it is
// declared before the lock of the class.
//
// Threads: one worker; the destructor: caller locks no class.
// Owns:    the chunks.
class FreeLater {
 public:
  explicit FreeLater(const SlabClasses& classes) : classes_(classes) {}
  FreeLater(const FreeLater&) = delete;
  FreeLater& operator=(const FreeLater&) = delete;
  ~FreeLater() { FreeNow(); }

  // An item's chunk with its continuations. REQUIRES: its use is kOwned.
  void Add(ItemRef ref, Item& item) {
    LARDER_ASSERT(item.use() == ChunkUse::kOwned);
    item.next = first_;
    first_ = ref;
  }
  // The continuations of an item, whose own chunk is used again.
  void AddContinuationsOf(const Item& item);

  // REQUIRES: no class is locked.
  void FreeNow() {
    if (first_ != kNoItem) classes_.FreeList(std::exchange(first_, kNoItem));
  }

 private:
  const SlabClasses& classes_;
  ItemRef first_ = kNoItem;  // Linked by Item::next.
};

}  // namespace larder::slab
