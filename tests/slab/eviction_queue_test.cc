#include "slab/eviction_queue.h"

#include <catch2/catch.hpp>
#include <list>
#include <memory>
#include <new>
#include <random>
#include <utility>
#include <vector>

namespace larder::slab {
namespace {

// A queue, and items numbered from 0 that may stand in it.
class QueuedItems {
 public:
  QueuedItems()
      : arena_(std::move(*Arena::Create({.limit_bytes = kPageBytes}))),
        page_(arena_->PageAt(arena_->Take().value())),
        queue_(*arena_) {
    for (int number = 0; number < kItems; ++number) {
      new (page_ + std::ptrdiff_t{number} * kChunkBytes) Item{};
    }
  }

  static constexpr int kItems = 1000;

  ItemRef Ref(int number) const {
    return arena_->RefOf(page_ + std::ptrdiff_t{number} * kChunkBytes);
  }
  int Number(ItemRef ref) const {
    if (ref == kNoItem) return -1;
    return static_cast<int>((reinterpret_cast<std::byte*>(&arena_->At(ref)) - page_) / kChunkBytes);
  }
  Item& At(int number) { return arena_->At(Ref(number)); }
  void Insert(int number) { queue_.Insert(Ref(number)); }
  void Remove(int number) { queue_.Remove(Ref(number)); }
  void Hit(int number) { EvictionQueue::MarkHit(At(number)); }
  bool Spare(int number) { return queue_.Spare(Ref(number)); }
  void PutBack(int number) { queue_.PutBack(Ref(number)); }
  int candidate() const { return Number(queue_.Candidate()); }
  std::uint64_t count() const { return queue_.count(); }

  // From the newest on; fails when the links do not agree with one another.
  std::vector<int> Order() {
    std::vector<int> order;
    ItemRef before = kNoItem;
    for (ItemRef ref = queue_.newest(); ref != kNoItem; ref = arena_->At(ref).next) {
      REQUIRE(arena_->At(ref).prev == before);
      REQUIRE(arena_->At(ref).use == ChunkUse::kQueued);
      order.push_back(Number(ref));
      before = ref;
    }
    REQUIRE(queue_.Candidate() == before);
    REQUIRE(queue_.count() == order.size());
    return order;
  }
  // Evicts as the cache does, and tells whom.
  int Evict() {
    while (Spare(candidate())) {
    }
    const int victim = candidate();
    Remove(victim);
    return victim;
  }

 private:
  static constexpr std::ptrdiff_t kChunkBytes = 64;

  std::unique_ptr<Arena> arena_;
  std::byte* page_;
  EvictionQueue queue_;
};

TEST_CASE("an empty queue has no candidate", "[slab][eviction_queue]") {
  QueuedItems items;
  CHECK(items.candidate() == -1);
  CHECK(items.count() == 0);
  items.Insert(3);
  items.Remove(3);
  CHECK(items.candidate() == -1);
  CHECK(items.Order().empty());
}

TEST_CASE("items without a hit go in the order they came", "[slab][eviction_queue]") {
  QueuedItems items;
  for (int number = 0; number < 4; ++number) items.Insert(number);
  CHECK(items.Order() == std::vector{3, 2, 1, 0});
  CHECK(items.Evict() == 0);
  CHECK(items.Evict() == 1);
  CHECK(items.Evict() == 2);
  CHECK(items.Evict() == 3);
}

TEST_CASE("use tells whether an item is queued", "[slab][eviction_queue]") {
  QueuedItems items;
  items.Insert(0);
  CHECK(items.At(0).use == ChunkUse::kQueued);
  items.Remove(0);
  CHECK(items.At(0).use == ChunkUse::kOwned);
}

TEST_CASE("an item that was hit gets one second chance", "[slab][eviction_queue]") {
  QueuedItems items;
  for (int number = 0; number < 3; ++number) items.Insert(number);
  for (int hit = 0; hit < 10; ++hit) items.Hit(0);
  CHECK(items.Evict() == 1);
  CHECK(items.Order() == std::vector{0, 2});
  CHECK(items.Evict() == 2);
  CHECK(items.Evict() == 0);
}

TEST_CASE("a spared item has used up its hits", "[slab][eviction_queue]") {
  QueuedItems items;
  items.Insert(0);
  CHECK_FALSE(items.Spare(0));
  items.Hit(0);
  CHECK(items.Spare(0));
  CHECK(items.At(0).hits() == 0);
  CHECK_FALSE(items.Spare(0));
}

TEST_CASE("hits are counted to 3 and leave the rest of the state alone", "[slab][eviction_queue]") {
  QueuedItems items;
  Item& item = items.At(0);
  item.SetShape(0, Item::kValueMask);
  item.set_fetched();
  for (std::uint32_t hit = 1; hit <= 5; ++hit) {
    items.Hit(0);
    CHECK(item.hits() == std::min(hit, Item::kHitsMax));
  }
  CHECK(item.value_bytes_here() == Item::kValueMask);
  CHECK(item.was_fetched());
  CHECK_FALSE(item.is_chained());
  CHECK_FALSE(item.has_flags());
}

TEST_CASE("who is put back is considered last and keeps its hits", "[slab][eviction_queue]") {
  QueuedItems items;
  for (int number = 0; number < 3; ++number) items.Insert(number);
  items.Hit(0);
  items.PutBack(0);
  CHECK(items.Order() == std::vector{0, 2, 1});
  CHECK(items.At(0).hits() == 1);
}

TEST_CASE("a queue agrees with a list under random operations",
          "[slab][eviction_queue][property]") {
  const unsigned seed = GENERATE(1U, 2U, 3U);
  CAPTURE(seed);
  std::mt19937 random(seed);
  QueuedItems items;
  std::list<int> model;  // From the newest on.
  for (int turn = 0; turn < 20'000; ++turn) {
    const int number = static_cast<int>(random() % 50);
    const bool is_queued = items.At(number).use == ChunkUse::kQueued;
    switch (random() % 5) {
      case 0:
      case 1:
        if (is_queued) break;
        items.At(number).set_hits(0);
        items.Insert(number);
        model.push_front(number);
        break;
      case 2:
        if (!is_queued) break;
        items.Remove(number);
        model.remove(number);
        break;
      case 3:
        items.Hit(number);
        break;
      case 4:
        if (model.empty()) break;
        if (items.At(model.back()).hits() != 0) {
          REQUIRE(items.Spare(model.back()));
          model.splice(model.begin(), model, std::prev(model.end()));
        } else {
          REQUIRE_FALSE(items.Spare(model.back()));
        }
        break;
    }
    REQUIRE(items.candidate() == (model.empty() ? -1 : model.back()));
    if (turn % 100 == 0) REQUIRE(items.Order() == std::vector(model.begin(), model.end()));
  }
}

}  // namespace
}  // namespace larder::slab
