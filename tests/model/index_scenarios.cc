// The index by itself: a bucket is split while others use it.
#include <memory>
#include <utility>
#include <vector>

#include "slab/index/index.h"
#include "tests/model/checker.h"
#include "tests/model/scenarios.h"

namespace larder::model {
namespace {

using slab::Index;
using slab::ItemRef;

// A table whose next split is that of bucket 0: the hashes belong to it, and those with the bit
// kSplitBit to the bucket that is split off.
class SplitBucket : public Scenario {
 public:
  SplitBucket() : index_(Create()) {
    for (const ItemRef ref : {kStays, kMoves}) Insert(ref);
  }

  std::vector<std::function<void()>> Threads() override {
    return {[this] { index_->Grow(kAtSplit + 1, 0); },
            [this] {
              Remove(kMoves);
              Insert(kNewMoves);
            },
            [this] { Insert(kNewStays); }};
  }
  void Check() override {
    Require(index_->bucket_count() == (1U << slab::kIndexLevelMin) + slab::kSplitRun,
            "the bucket is not split");
    Require(index_->CheckInvariants(HashOf) == 3, "a reference is lost");
    for (const ItemRef ref : {kStays, kNewMoves, kNewStays}) {
      Require(static_cast<bool>(index_->Lock(HashOf(ref)).Find(HashOf(ref), ref)),
              "a reference is not found");
    }
  }

 private:
  static constexpr std::uint64_t kSplitBit = std::uint64_t{1} << slab::kIndexLevelMin;
  // References; those with odd numbers move.
  static constexpr ItemRef kStays = 2;
  static constexpr ItemRef kMoves = 3;
  static constexpr ItemRef kNewStays = 4;
  static constexpr ItemRef kNewMoves = 5;
  // With more items than this the first buckets are split.
  static constexpr auto kAtSplit =
      static_cast<std::int64_t>(slab::kItemsPerBucketMax * (1U << slab::kIndexLevelMin));

  static std::unique_ptr<Index> Create() {
    auto index = Index::Create(1'000'000);
    Require(static_cast<bool>(index), "no index");
    return std::move(*index);
  }
  static std::uint64_t HashOf(ItemRef ref) {
    return std::uint64_t{ref} << 32 | (ref % 2 != 0 ? kSplitBit : 0);
  }
  void Insert(ItemRef ref) { index_->Lock(HashOf(ref)).Insert(HashOf(ref), ref, 0); }
  void Remove(ItemRef ref) {
    Index::Guard guard = index_->Lock(HashOf(ref));
    const Index::Slot slot = guard.Find(HashOf(ref), ref);
    Require(static_cast<bool>(slot), "a reference is not found");
    guard.Remove(slot, 0);
  }

  const std::unique_ptr<Index> index_;
};

}  // namespace

std::vector<NamedScenario> IndexScenarios() {
  return {{"split_bucket", MakeScenario<SplitBucket>}};
}

}  // namespace larder::model
