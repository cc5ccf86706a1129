#include "slab/classes/slab_classes.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <utility>

namespace larder::slab {
namespace {

class SlabClassesTest {
 public:
  SlabClassesTest()
      : arena_(std::move(*Arena::Create({.limit_bytes = 8 * kPageBytes}))),
        classes_(*arena_, SizeLadder(SizeLadder::Options{}), PageTable(arena_->capacity_pages())) {}

  const SlabClasses& classes() { return classes_; }
  Item& At(ItemRef ref) { return arena_->At(ref); }
  ItemRef Allocate(SlabClass& c) {
    const MutexLock lock(c.mutex());
    return c.Allocate();
  }
  // An owned item with a continuation in another class.
  ItemRef AllocateChained() {
    const ItemRef ref = Allocate(classes_.Largest());
    const ItemRef piece = Allocate(classes_.ById(3));
    At(piece).SetShape({}, 10);
    At(piece).set_use(ChunkUse::kContinuation);
    At(piece).prev = ref;
    At(piece).next = kNoItem;
    At(ref).key_bytes = 1;
    At(ref).SetShape({}, 0);
    At(ref).SetChain(piece, 30, 20);
    return ref;
  }
  std::uint64_t UsedChunks() {
    std::uint64_t used = 0;
    classes_.ForEach([&](SlabClass& c) {
      const MutexLock lock(c.mutex());
      c.CheckInvariants();
      used += c.used_chunks();
    });
    return used;
  }

 private:
  std::unique_ptr<Arena> arena_;
  SlabClasses classes_;
};

TEST_CASE_METHOD(SlabClassesTest, "a chunk knows its class", "[slab][slab_classes]") {
  for (std::size_t id = 1; id <= classes().count(); id += 20) {
    const ItemRef ref = Allocate(classes().ById(id));
    REQUIRE(ref != kNoItem);
    CHECK(classes().Of(ref).id() == id);
    CHECK(classes().IdOf(At(ref)) == id);
    CHECK(classes().ChunkBytesOf(At(ref)) ==
          classes().ladder().chunk_bytes(classes().IdOf(At(ref))));
  }
}

TEST_CASE_METHOD(SlabClassesTest, "an item is freed with its continuations",
                 "[slab][slab_classes]") {
  const ItemRef ref = AllocateChained();
  CHECK(UsedChunks() == 2);
  classes().Free(ref);
  CHECK(UsedChunks() == 0);
}

TEST_CASE_METHOD(SlabClassesTest, "what is to be freed later is freed at its end, not before",
                 "[slab][slab_classes]") {
  const ItemRef chained = AllocateChained();
  const ItemRef plain = Allocate(classes().ById(5));
  At(plain).SetShape({}, 0);
  {
    FreeLater free_later(classes());
    free_later.Add(chained, At(chained));
    free_later.Add(plain, At(plain));
    CHECK(UsedChunks() == 3);
  }
  CHECK(UsedChunks() == 0);
}

TEST_CASE_METHOD(SlabClassesTest, "continuations are freed without the item whose chunk is kept",
                 "[slab][slab_classes]") {
  const ItemRef chained = AllocateChained();
  FreeLater free_later(classes());
  free_later.AddContinuationsOf(At(chained));
  free_later.FreeNow();
  CHECK(UsedChunks() == 1);
  CHECK(At(chained).use() == ChunkUse::kOwned);
}

}  // namespace
}  // namespace larder::slab
