#include "slab/index/index.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/slab/turns.h"

namespace larder::slab {
namespace {

constexpr std::uint32_t kBucketsAtStart = 1U << kIndexLevelMin;

constexpr std::uint32_t kLane = 0;  // Of whom inserts and removes.

// An index whose items are numbers: a reference names the hash that it stands for.
class NumberedItems {
 public:
  explicit NumberedItems(std::uint64_t items_max = 1U << 20)
      : index_(std::move(*Index::Create(items_max))) {}

  // A new reference for the hash, in the index from now on.
  ItemRef Insert(std::uint64_t hash) {
    const ItemRef ref = NewRef(hash);
    index_->Lock(hash).Insert(hash, ref, kLane);
    index_->Grow(1, kLane);
    return ref;
  }
  ItemRef Replace(std::uint64_t hash, ItemRef old) {
    const ItemRef ref = NewRef(hash);
    Index::Guard guard = index_->Lock(hash);
    const Index::Slot slot = guard.Find(hash, old);
    if (!slot) return kNoItem;
    guard.Replace(slot, ref);
    return ref;
  }
  bool Remove(std::uint64_t hash, ItemRef ref, std::uint32_t lane = kLane) {
    Index::Guard guard = index_->Lock(hash);
    const Index::Slot slot = guard.Find(hash, ref);
    if (!slot) return false;
    guard.Remove(slot, lane);
    guard.Unlock();
    index_->Grow(-1, lane);
    return true;
  }
  // The first reference with this hash, or kNoItem.
  ItemRef Lookup(std::uint64_t hash) {
    const Index::Guard guard = index_->Lock(hash);
    const auto slot = guard.Find(hash, [&](ItemRef ref) { return hashes_[ref] == hash; });
    return slot ? slot.ref() : kNoItem;
  }
  std::uint64_t Check() {
    return index_->CheckInvariants([this](ItemRef ref) { return hashes_[ref]; });
  }
  Index& index() { return *index_; }

 private:
  ItemRef NewRef(std::uint64_t hash) {
    hashes_.push_back(hash);
    return static_cast<ItemRef>(hashes_.size() - 1);
  }

  std::unique_ptr<Index> index_;
  std::vector<std::uint64_t> hashes_{0};  // By reference; [0] is kNoItem.
};

TEST_CASE("an index finds what was inserted until it is removed", "[slab][index]") {
  NumberedItems items;
  CHECK(items.Lookup(42) == kNoItem);
  const ItemRef ref = items.Insert(42);
  CHECK(items.Lookup(42) == ref);
  const ItemRef other = items.Replace(42, ref);
  CHECK(items.Lookup(42) == other);
  CHECK_FALSE(items.Remove(42, ref));
  CHECK(items.Remove(42, other));
  CHECK(items.Lookup(42) == kNoItem);
  CHECK(items.Check() == 0);
}

TEST_CASE("an index agrees with a map through many splits", "[slab][index][property]") {
  constexpr std::size_t kItems = Turns(240'000);
  const unsigned seed = GENERATE(1U);
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  NumberedItems items;
  std::unordered_map<std::uint64_t, ItemRef> model;
  std::vector<std::uint64_t> keys;
  std::size_t wrong = 0;
  const auto check_all = [&] {
    for (const auto& [hash, ref] : model) {
      if (items.Lookup(hash) != ref) ++wrong;
    }
    for (int i = 0; i < 10'000; ++i) {
      const std::uint64_t absent = random();
      if (!model.contains(absent) && items.Lookup(absent) != kNoItem) ++wrong;
    }
    REQUIRE(items.Check() == model.size());
    REQUIRE(wrong == 0);
  };

  while (model.size() < kItems) {
    const std::uint64_t choice = random() % 100;
    if (choice < 70 || keys.empty()) {
      const std::uint64_t hash = random();
      if (model.contains(hash)) continue;
      model[hash] = items.Insert(hash);
      keys.push_back(hash);
    } else if (choice < 90) {
      const std::uint64_t hash = keys[random() % keys.size()];
      model[hash] = items.Replace(hash, model[hash]);
    } else {
      const std::size_t at = random() % keys.size();
      if (!items.Remove(keys[at], model[keys[at]])) ++wrong;
      model.erase(keys[at]);
      keys[at] = keys.back();
      keys.pop_back();
    }
  }
  CHECK(items.index().bucket_count() > kItems / 7);
  CHECK(items.index().bucket_count() < std::max<std::size_t>(kItems / 6, 2 * kBucketsAtStart));
  check_all();

  while (model.size() > kItems / 50) {
    if (!items.Remove(keys.back(), model[keys.back()])) ++wrong;
    model.erase(keys.back());
    keys.pop_back();
  }
  check_all();
}

TEST_CASE("the table has as many buckets as its items need", "[slab][index]") {
  NumberedItems items;
  std::mt19937_64 random(1);
  CHECK(items.index().bucket_count() == kBucketsAtStart);
  for (int i = 0; i < 26'000; ++i) items.Insert(random());  // 6.3 a bucket.
  CHECK(items.index().bucket_count() == kBucketsAtStart);
  for (int i = 0; i < 39'000; ++i) items.Insert(random());
  CHECK(items.index().bucket_count() == 10'000);
  CHECK(items.index().used_bytes() < 65'000 * 13);
  CHECK(items.Check() == 65'000);
}

TEST_CASE("a table that may not grow any more still takes items", "[slab][index]") {
  NumberedItems items(4 * kBucketsAtStart);
  std::mt19937_64 random(1);
  std::vector<std::pair<std::uint64_t, ItemRef>> inserted;
  for (int i = 0; i < 40'000; ++i) {
    const std::uint64_t hash = random();
    inserted.emplace_back(hash, items.Insert(hash));
  }
  CHECK(items.index().bucket_count() == kBucketsAtStart);
  CHECK(items.Check() == inserted.size());
  CHECK(std::ranges::all_of(inserted, [&](auto& i) { return items.Lookup(i.first) == i.second; }));
}

TEST_CASE("a chain grows and shrinks with its items", "[slab][index]") {
  constexpr std::uint64_t kHash = 0x0123'4567'89ab'cdef;
  constexpr std::size_t kItems = 600;
  NumberedItems items;
  const std::uint64_t empty_bytes = items.index().used_bytes();
  std::vector<ItemRef> refs;
  for (std::size_t i = 0; i < kItems; ++i) {
    refs.push_back(items.Insert(kHash));
    const std::size_t overflow_buckets = i / kBucketSlots;
    if (items.index().used_bytes() != empty_bytes + 64 * overflow_buckets) FAIL("at item " << i);
  }
  CHECK(items.Check() == kItems);

  std::shuffle(refs.begin(), refs.end(), std::mt19937(1));
  for (std::size_t left = kItems; left > 0; --left) {
    REQUIRE(items.Remove(kHash, refs[left - 1]));
    const std::size_t overflow_buckets = left > 1 ? (left - 2) / kBucketSlots : 0;
    if (items.index().used_bytes() != empty_bytes + 64 * overflow_buckets) FAIL("left: " << left);
    if (left % 50 == 0) REQUIRE(items.Check() == left - 1);
  }
  CHECK(items.index().used_bytes() == empty_bytes);
}

TEST_CASE("overflow buckets that other lanes give back are used again", "[slab][index]") {
  // In a table that may not grow, so that two rounds need more than were ever reserved.
  constexpr std::size_t kItems = 40'000;
  constexpr std::size_t kRemovers = 6;
  NumberedItems items(4 * kBucketsAtStart);
  const std::uint64_t empty_bytes = items.index().used_bytes();
  std::mt19937_64 random(1);
  for (int round = 0; round < 4; ++round) {
    std::vector<std::pair<std::uint64_t, ItemRef>> inserted;
    for (std::size_t i = 0; i < kItems; ++i) {
      const std::uint64_t hash = random();
      inserted.emplace_back(hash, items.Insert(hash));
    }
    CHECK(items.index().used_bytes() > empty_bytes + 64 * 2600);
    CHECK(items.Check() == kItems);
    std::size_t removed = 0;
    for (std::size_t self = 0; self < kRemovers; ++self) {
      std::thread([&] {
        const auto lane = static_cast<std::uint32_t>(self) + 1;
        for (std::size_t i = self; i < kItems; i += kRemovers) {
          if (items.Remove(inserted[i].first, inserted[i].second, lane)) ++removed;
        }
      }).join();
    }
    CHECK(removed == kItems);
    CHECK(items.index().used_bytes() == empty_bytes);
  }
}

TEST_CASE("many items with one tag are told apart and split rightly", "[slab][index]") {
  // The tag is bits 20 to 35. Fixed here; all other bits are random.
  std::mt19937_64 random(1);
  const auto hash_with_tag = [&] { return (random() & ~0xf'fff0'0000ULL) | 0x5'a5a0'0000ULL; };
  NumberedItems items;
  std::unordered_map<std::uint64_t, ItemRef> model;
  while (model.size() < 40'000) {
    const std::uint64_t hash = hash_with_tag();
    if (!model.contains(hash)) model[hash] = items.Insert(hash);
  }
  CHECK(items.index().bucket_count() > kBucketsAtStart);
  CHECK(items.Check() == model.size());
  CHECK(std::ranges::all_of(model, [&](auto& i) { return items.Lookup(i.first) == i.second; }));
  CHECK(std::ranges::all_of(model, [&](auto& i) { return items.Remove(i.first, i.second); }));
  CHECK(items.Check() == 0);
}

TEST_CASE("a long chain is torn apart by splits", "[slab][index]") {
  // All in one bucket of the smallest table, and in different ones later.
  NumberedItems items;
  std::vector<std::pair<std::uint64_t, ItemRef>> chained;
  for (std::uint64_t i = 0; i < 300; ++i) {
    const std::uint64_t hash = (i << kIndexLevelMin) | 77;
    chained.emplace_back(hash, items.Insert(hash));
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 120'000; ++i) items.Insert(random());
  CHECK(items.Check() == 120'300);
  CHECK(std::ranges::all_of(chained, [&](auto& i) { return items.Lookup(i.first) == i.second; }));
}

TEST_CASE("a busy bucket is refused to those who may not wait", "[slab][index]") {
  NumberedItems items;
  Index& index = items.index();
  Index::Guard held = index.Lock(5);
  CHECK_FALSE(index.TryLock(5, nullptr));
  CHECK(index.TryLock(6, nullptr));
  CHECK(index.TryLock(6, &held));
  held.Unlock();
  CHECK_FALSE(held);
  CHECK(index.TryLock(5, nullptr));
}

TEST_CASE("a guard that shares a bucket does not unlock it", "[slab][index]") {
  NumberedItems items;
  Index& index = items.index();
  const std::uint64_t other_in_bucket = 5 + (std::uint64_t{1} << 40);
  const Index::Guard held = index.Lock(5);
  {
    Index::Guard shared = index.TryLock(other_in_bucket, &held);
    REQUIRE(shared);
    shared.Insert(other_in_bucket, 9, kLane);
    CHECK(held.Find(other_in_bucket, ItemRef{9}));
  }
  CHECK_FALSE(index.TryLock(5, nullptr));
}

TEST_CASE("a moved guard unlocks once", "[slab][index]") {
  NumberedItems items;
  {
    Index::Guard first = items.index().Lock(5);
    const Index::Guard second = std::move(first);
    CHECK(second);
    CHECK_FALSE(items.index().TryLock(5, nullptr));
  }
  CHECK(items.index().TryLock(5, nullptr));
}

TEST_CASE("a guess is the item whose tag fits", "[slab][index]") {
  NumberedItems items;
  CHECK(items.index().Guess(42).ref == kNoItem);
  const ItemRef ref = items.Insert(42);
  items.index().PrefetchBucket(42);
  CHECK(items.index().Guess(42).ref == ref);
  CHECK_FALSE(items.index().Guess(42).may_be_chained);
  CHECK(items.index().GuessChained(42).ref == kNoItem);
  items.Remove(42, ref);
  CHECK(items.index().Guess(42).ref == kNoItem);
}

TEST_CASE("a guess goes on in the first overflow bucket", "[slab][index]") {
  NumberedItems items;
  const auto hash_of = [](std::uint64_t i) { return i << 24 | 42; };  // One bucket, many tags.
  std::vector<ItemRef> refs;
  for (std::uint64_t i = 0; i <= kBucketSlots; ++i) refs.push_back(items.Insert(hash_of(i)));
  CHECK(items.index().Guess(hash_of(0)).ref == refs[0]);
  const auto guess = items.index().Guess(hash_of(kBucketSlots));
  CHECK(guess.ref == kNoItem);
  CHECK(guess.may_be_chained);
  CHECK(items.index().GuessChained(hash_of(kBucketSlots)).ref == refs[kBucketSlots]);
  CHECK(items.index().GuessChained(hash_of(99)).ref == kNoItem);
}

TEST_CASE("a walk meets every item once", "[slab][index]") {
  NumberedItems items;
  std::mt19937_64 random(1);
  std::vector<int> met(50'001, 0);
  for (int i = 0; i < 50'000; ++i) items.Insert(random());
  items.index().ForEach([&](ItemRef ref) { ++met[ref]; });
  CHECK(met[0] == 0);
  CHECK(std::all_of(met.begin() + 1, met.end(), [](int times) { return times == 1; }));
}

TEST_CASE("every item is found while others come and buckets split", "[slab][index][concurrency]") {
  constexpr std::uint64_t kPerThread = 25'000;
  constexpr std::size_t kThreads = 3;
  const auto index = std::move(*Index::Create(1U << 20));
  const auto hash_of = [](ItemRef ref) { return ref * 0x9e37'79b9'7f4a'7c15ULL; };
  std::atomic<std::size_t> missed{0};
  const auto fill = [&](std::size_t self) {
    const auto ref_at = [self](std::uint64_t i) {
      return static_cast<ItemRef>(1 + self * kPerThread + i);
    };
    for (std::uint64_t i = 0; i < kPerThread; ++i) {
      const std::uint64_t hash = hash_of(ref_at(i));
      index->Lock(hash).Insert(hash, ref_at(i), kLane);
      index->Grow(1, kLane);
      // One of our own from before, which another thread's split may have moved.
      const ItemRef earlier = ref_at(i * 7919 % (i + 1));
      const std::uint64_t earlier_hash = hash_of(earlier);
      if (!index->Lock(earlier_hash).Find(earlier_hash, earlier)) ++missed;
      if (index->Guess(earlier_hash).may_be_chained) (void)index->GuessChained(earlier_hash);
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t self = 1; self < kThreads; ++self) threads.emplace_back(fill, self);
  fill(0);
  for (std::thread& thread : threads) thread.join();
  CHECK(missed == 0);
  CHECK(index->CheckInvariants(hash_of) == kThreads * kPerThread);
}

TEST_CASE("a walk misses no item while buckets split", "[slab][index][concurrency]") {
  constexpr ItemRef kBefore = 20'000;
  constexpr ItemRef kMeanwhile = 80'000;
  const auto index = std::move(*Index::Create(1U << 20));
  const auto insert = [&](ItemRef ref) {
    const std::uint64_t hash = ref * 0x9e37'79b9'7f4a'7c15ULL;
    index->Lock(hash).Insert(hash, ref, kLane);
    index->Grow(1, kLane);
  };
  for (ItemRef ref = 1; ref <= kBefore; ++ref) insert(ref);
  std::thread other([&] {
    for (ItemRef ref = kBefore + 1; ref <= kBefore + kMeanwhile; ++ref) insert(ref);
  });
  std::vector<bool> met(kBefore + kMeanwhile + 1, false);
  index->ForEach([&](ItemRef ref) { met[ref] = true; });
  other.join();
  CHECK(std::count(met.begin() + 1, met.begin() + 1 + kBefore, true) == kBefore);
}

}  // namespace
}  // namespace larder::slab
