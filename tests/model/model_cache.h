// ModelCache: a small cache for scenarios.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "slab/cache.h"
#include "tests/model/history.h"

namespace larder::model {

// A size of items, and how many of them there are room for. Headers and keys come on top.
//
// Threads:    immutable.
struct Size {
  std::size_t value_bytes;
};
// Eight chunks in a page, and 64: too few for magazines.
inline constexpr Size kLarge{.value_bytes = 31'000};
inline constexpr Size kMedium{.value_bytes = 3'900};
// 512 chunks in a page: one lane has a magazine of two slots for each page of the class.
inline constexpr Size kSmall{.value_bytes = 460};

// ModelCache is a cache with few pages whose values are letters, repeated.
//
// Threads:    fibers of one exploration, of which one runs at a time.
// Owns:       the cache and its lanes.
class ModelCache {
 public:
  static constexpr std::uint32_t kStartS = 1'000'000;
  // An expiry that has passed at the start.
  static constexpr std::uint32_t kLongAgoS = 1;

  explicit ModelCache(std::uint32_t pages);

  slab::Cache& cache() { return *cache_; }
  slab::Lane& NewLane();

  // Fails the execution if there is no memory.
  void Set(std::string_view key, Letter letter, Size size, slab::Lane& lane,
           std::uint32_t expires_at_s = 0);
  // Fails the execution if the value is of more than one letter.
  std::optional<Letter> Get(std::string_view key, slab::Lane& lane);
  bool Delete(std::string_view key, slab::Lane& lane);
  // Stores a value in place of the one that is there. Returns false if there is none.
  bool Replace(std::string_view key, Letter letter, Size size, slab::Lane& lane);
  // Changes the value where it lies, as incr does. Returns false if there is none.
  bool Change(std::string_view key, Letter letter, slab::Lane& lane);
  // Drops the prefix.
  void Drop(std::string_view prefix);
  // A pin of the item. Fails the execution if there is no item.
  slab::ItemHandle Pin(std::string_view key, slab::Lane& lane);
  // Pins the item, reads its value in two pieces between which other threads may run, and unpins
  // it. Fails the execution if the value changes meanwhile.
  std::optional<Letter> GetPinned(std::string_view key, slab::Lane& lane);

  // Stores items "old100" and so on into their class, which no magazine has chunks of: until all
  // memory is full, or a page is.
  void FillUp(Size size, slab::Lane& lane) { Fill(size, lane, cache_->arena().limit_pages()); }
  void FillPage(Size size, slab::Lane& lane) { Fill(size, lane, 1); }
  // Has the next BalancePages take a page from the class of such items.
  void AskForPage(Size size);
  // Empties the magazines of that class, as statistics do.
  void EmptyMagazines(Size size);
  // One step of a sweep.
  void Sweep(slab::PageWalk walk, slab::Lane& lane);
  // One step of a dump. Fails the execution if it shows a key twice.
  void Dump(slab::PageWalk walk, slab::Lane& lane);
  // Fails the execution if the cache is not sound.
  void Check() { cache_->CheckInvariants(); }

  slab::HashedKey Key(std::string_view key) const { return {key, cache_->Hash(key)}; }

 private:
  // The class of such items.
  slab::SlabClass& ClassOf(Size size);
  // Fills so many pages of the class.
  void Fill(Size size, slab::Lane& lane, std::uint32_t pages);
  // The parameters of a store.
  slab::ItemSpec Spec(std::string_view key, Size size) const;

  const std::unique_ptr<slab::Cache> cache_;
};

}  // namespace larder::model
