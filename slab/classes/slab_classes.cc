#include "slab/classes/slab_classes.h"

namespace larder::slab {

SlabClasses::SlabClasses(Arena& arena, SizeLadder ladder, PageTable page_table)
    : arena_(arena), ladder_(std::move(ladder)), page_table_(std::move(page_table)) {
  LARDER_ASSERT(page_table_.ok());
  LARDER_ASSERT(ladder_.class_count() <= kClassesMax);
  classes_.push_back(nullptr);
  for (std::size_t id = 1; id <= ladder_.class_count(); ++id) {
    const auto class_id = static_cast<ClassId>(id);
    classes_.push_back(std::make_unique<SlabClass>(class_id, ladder_.chunk_bytes(class_id), arena_,
                                                   page_table_, *spare_pages_));
  }
}

void SlabClasses::Free(ItemRef ref) const {
  Item& item = arena_.At(ref);
  LARDER_ASSERT(item.use() == ChunkUse::kOwned);
  item.next = kNoItem;
  FreeList(ref);
}

// Frees one chunk after the other, each with its class locked: no two classes are locked at once.
// The links are read before the chunk is freed, because then another thread may take it.
void SlabClasses::FreeList(ItemRef first) const {
  while (first != kNoItem) {
    Item& chunk = arena_.At(first);
    const ItemRef next = chunk.next;
    const ItemRef continuation = chunk.first_continuation();
    SlabClass& c = Of(first);
    {
      const MutexLock lock(c.mutex());
      c.Free(first);
    }
    if (continuation != kNoItem) FreeList(continuation);
    first = next;
  }
}

// Moves the continuations from the item's chain to the list of this object, in reverse order. The
// item's own chunk is not touched.
void FreeLater::AddContinuationsOf(const Item& item) {
  const Arena& arena = classes_.arena();
  for (ItemRef ref = item.first_continuation(); ref != kNoItem;) {
    Item& piece = arena.At(ref);
    LARDER_ASSERT(piece.use() == ChunkUse::kContinuation);
    const ItemRef next = piece.next;
    piece.next = first_;
    first_ = ref;
    ref = next;
  }
}

}  // namespace larder::slab
