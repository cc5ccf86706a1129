// SlabClasses: all slab classes of a cache, and the class that each chunk belongs to.
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
#include "slab/classes/spare_pages.h"
#include "slab/ids.h"
#include "slab/item/item.h"
#include "slab/memory/arena.h"

namespace larder::slab {

// SlabClasses has one SlabClass for each size of a size ladder, and the table of the class of each
// page.
//
// Threads:    immutable; the classes, the page table and the spare pages guard what changes in
//             them. No thread locks two classes at a time.
// Owns:       the classes, the page table and the count of spare pages. The arena must outlive it.
class SlabClasses {
 public:
  // REQUIRES: page_table.ok().
  SlabClasses(Arena& arena, SizeLadder ladder, PageTable page_table);
  SlabClasses(const SlabClasses&) = delete;
  SlabClasses& operator=(const SlabClasses&) = delete;

  Arena& arena() const { return arena_; }
  const SizeLadder& ladder() const { return ladder_; }
  const PageTable& page_table() const { return page_table_; }
  SparePages& spare_pages() const { return *spare_pages_; }

  // The number of classes; their ids are 1 to count().
  std::size_t count() const { return ladder_.class_count(); }
  // The class with this id. REQUIRES: 1 <= id <= count().
  SlabClass& ById(std::size_t id) const {
    LARDER_ASSERT(id >= 1 && id < classes_.size());
    return *classes_[id];
  }
  // The class with the largest chunks, which holds the first chunk of every chained item.
  SlabClass& Largest() const { return ById(ladder_.largest()); }

  // The class of a chunk. REQUIRES: the chunk is in use and stays so, for example because the
  // caller owns it, or holds the lock of its item's bucket; otherwise its page may change the
  // class.
  SlabClass& Of(ItemRef ref) const { return ById(page_table_.class_of(arena_.PageOf(ref))); }
  // The class id of an item's chunk. REQUIRES: the chunk is in use and stays so.
  ClassId IdOf(const Item& item) const noexcept {
    return page_table_.class_of(arena_.PageOf(&item));
  }
  // Bytes of the chunk that the item lies in. REQUIRES: the chunk is in use and stays so.
  std::uint32_t ChunkBytesOf(const Item& item) const noexcept {
    return ladder_.chunk_bytes(IdOf(item));
  }
  // The chunk with this number in a page of class `c`. REQUIRES: number < c.chunks_per_page().
  ItemRef ChunkAt(const SlabClass& c, PageIndex page, std::uint32_t number) const {
    LARDER_ASSERT(number < c.chunks_per_page());
    return arena_.RefOf(arena_.PageAt(page) + std::size_t{number} * c.chunk_bytes());
  }

  // Calls fn(SlabClass&) for each class in the order of the ids, without a lock.
  template <class Fn>
  void ForEach(Fn&& fn) const {
    for (std::size_t id = 1; id < classes_.size(); ++id) fn(*classes_[id]);
  }

  // Frees an item's chunk and its continuations. REQUIRES: no class is locked, and the caller owns
  // the item: its use is kOwned, that of its continuations kContinuation.
  void Free(ItemRef item) const;

 private:
  friend class FreeLater;
  // Frees chunks of any class that are linked by Item::next, each with its continuations.
  void FreeList(ItemRef first) const;

  Arena& arena_;
  const SizeLadder ladder_;
  const PageTable page_table_;
  const std::unique_ptr<SparePages> spare_pages_ = std::make_unique<SparePages>();
  // By ClassId; [0] is empty.
  std::vector<std::unique_ptr<SlabClass>> classes_;
};

// FreeLater collects chunks that are no longer in use but cannot be freed yet: to free a chunk its
// class has to be locked, and the thread that collects it has another class locked. The destructor
// frees them. Therefore the object has to be declared before the lock of the class.
//
// Threads:    one worker. FreeNow and the destructor: caller has no class locked.
// Owns:       the collected chunks.
class FreeLater {
 public:
  explicit FreeLater(const SlabClasses& classes) : classes_(classes) {}
  FreeLater(const FreeLater&) = delete;
  FreeLater& operator=(const FreeLater&) = delete;
  ~FreeLater() { FreeNow(); }

  // Adds an item's chunk with its continuations. REQUIRES: the caller owns the item: its use is
  // kOwned.
  void Add(ItemRef ref, Item& item) {
    LARDER_ASSERT(item.use() == ChunkUse::kOwned);
    item.next = first_;
    first_ = ref;
  }
  // Adds the continuations of an item, but not its own chunk, which the caller uses again.
  void AddContinuationsOf(const Item& item);

  // Frees all chunks collected so far. REQUIRES: no class is locked.
  void FreeNow() {
    if (first_ != kNoItem) classes_.FreeList(std::exchange(first_, kNoItem));
  }

 private:
  const SlabClasses& classes_;
  // The collected chunks, linked by Item::next; kNoItem: none.
  ItemRef first_ = kNoItem;
};

}  // namespace larder::slab
