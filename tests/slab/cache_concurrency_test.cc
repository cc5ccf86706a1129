// What readers must always see while other threads write, evict, flush and move pages. Threads only
// record; Catch2 asserts when they have ended.

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"
#include "tests/slab/run_together.h"

namespace larder::slab {
namespace {

// --- Values that tell whether they are whole ---------------------------------------------------

// A value is a row of blocks; each names its key and its version, from which all its bytes follow.
//
//   |key 8|version 8|bytes 8|bytes ...|key 8|version 8|bytes 8|bytes ...| ...
class Blocks {
 public:
  Blocks() : noise_(Noise(kMiB, 1)) {}

  static constexpr std::size_t kHeadBytes = 24;

  std::string Make(std::uint64_t key, std::uint64_t version, std::size_t bytes) const {
    const Head head{key, version, bytes};
    std::string block(kHeadBytes + bytes, '\0');
    std::memcpy(block.data(), &head, kHeadBytes);
    std::memcpy(block.data() + kHeadBytes, Body(head), bytes);
    return block;
  }
  // The reason why the value is not one that was written to this key; nullptr if it is.
  const char* Fault(std::uint64_t key, std::string_view value) const {
    if (value.empty()) return "a value without a block";
    while (!value.empty()) {
      Head head;
      if (value.size() < kHeadBytes) return "a torn head";
      std::memcpy(&head, value.data(), kHeadBytes);
      if (head.key != key) return "a block of another key";
      if (head.bytes > value.size() - kHeadBytes) return "a torn block";
      if (std::memcmp(value.data() + kHeadBytes, Body(head), head.bytes) != 0) {
        return "bytes of another version";
      }
      value.remove_prefix(kHeadBytes + head.bytes);
    }
    return nullptr;
  }

 private:
  struct Head {
    std::uint64_t key;
    std::uint64_t version;
    std::uint64_t bytes;
  };
  static_assert(sizeof(Head) == kHeadBytes);

  const char* Body(const Head& head) const {
    const std::uint64_t mixed =
        (head.key * 0x9e37'79b9'7f4a'7c15ULL + head.version) * 0xbf58'476d'1ce4'e5b9ULL;
    return noise_.data() + (mixed >> 32) % (kMiB / 2);
  }

  const std::string noise_;
};

// What a worker found; read after the join.
struct Tally {
  std::size_t hits = 0;
  std::size_t stores = 0;
  std::size_t appends = 0;
  std::size_t rewrites = 0;
  std::size_t pins = 0;
  std::size_t removals = 0;
  std::size_t faults = 0;
  const char* first_fault = "";

  void Note(const char* fault) {
    if (fault == nullptr) return;
    if (faults++ == 0) first_fault = fault;
  }
  Tally& operator+=(const Tally& other) {
    hits += other.hits;
    stores += other.stores;
    appends += other.appends;
    rewrites += other.rewrites;
    pins += other.pins;
    removals += other.removals;
    if (faults == 0) first_fault = other.first_fault;
    faults += other.faults;
    return *this;
  }
};

// What a storm stores.
struct Wares {
  std::uint64_t keys = 500;
  double bytes_max = 300'000;
  std::uint64_t memory_bytes = 4 * kMiB;
  int fill = 0;  // Keys that are stored at the start.
};
// Of all sizes, chained ones too.
const Wares kAllSizes{};
// Many of one class, so that chunks are taken by the magazine.
const Wares kSmallItems{.keys = 30'000, .bytes_max = 40, .memory_bytes = 3 * kMiB, .fill = 30'000};

// A worker of the storm: does random things to random keys until the deadline.
class StormWorker {
 public:
  StormWorker(Cache& cache, const Blocks& blocks, const Wares& wares, std::size_t number)
      : cache_(cache),
        lane_(cache.AddLane()),
        blocks_(blocks),
        wares_(wares),
        number_(number),
        random_(number + 1) {
    lane_.now_s = 1000;
  }

  // Each worker flushes once, in the second half, at a moment of its own. Step flushes wares of all
  // sizes besides; small ones would never fill the memory then.
  void Run(std::chrono::steady_clock::time_point deadline) {
    const auto started = std::chrono::steady_clock::now();
    const auto flush_at = started + (deadline - started) * (kWorkers + number_) / (2 * kWorkers);
    bool has_flushed = false;
    // On a busy machine, on past the deadline until enough has happened.
    constexpr int kStepsMin = 1000;
    int steps = 0;
    for (auto now = started; now < deadline || steps < kStepsMin;
         now = std::chrono::steady_clock::now()) {
      for (int i = 0; i < 20; ++i) Step();
      steps += 20;
      if (has_flushed || now < flush_at) continue;
      FlushAndCheck();
      has_flushed = true;
    }
    while (!pins_.empty()) Unpin();
  }
  void Fill(int count) {
    for (int number = 0; number < count; ++number) {
      const std::string name = KeyOf(static_cast<std::uint64_t>(number));
      Store(StoreMode::kSet, static_cast<std::uint64_t>(number), {name, cache_.Hash(name)},
            static_cast<std::size_t>(wares_.bytes_max));
    }
  }
  const Tally& tally() const { return tally_; }
  static std::string KeyOf(std::uint64_t number) { return "key" + std::to_string(number); }

 private:
  struct Pinned {
    ItemHandle handle;
    ValueCursor value;
    std::uint64_t key;
  };

  void Step() {
    const std::uint64_t number = random_() % wares_.keys;
    const std::string name = KeyOf(number);
    const HashedKey key{name, cache_.Hash(name)};
    const auto choice = random_() % 1000;
    if (choice < 350) {
      Read(number, key);
    } else if (choice < 400) {
      PinOrUnpin(number, key);
    } else if (choice < 650) {
      Store(StoreMode::kSet, number, key, RandomBytes(wares_.bytes_max));
    } else if (choice < 700) {
      Store(StoreMode::kAdd, number, key, RandomBytes(wares_.bytes_max));
    } else if (choice < 730) {
      ReserveAndPublish(number, key);
    } else if (choice < 740) {
      (void)cache_.Reserve({.key = key, .value_bytes = 200'000}, lane_);
    } else if (choice < 800) {
      (void)cache_.Delete(key, lane_);
    } else if (choice < 900) {
      Store(choice % 2 == 0 ? StoreMode::kAppend : StoreMode::kPrepend, number, key,
            RandomBytes(std::min(wares_.bytes_max, 2000.0)));
    } else if (choice < 970) {
      RewriteInPlace(number, key);
    } else if (choice < 985) {
      const auto expiry = Expiry::At(lane_.now_s + 1);
      cache_.VisitToExpire(key, expiry, lane_,
                           [&](Item& item) { LARDER_CHECK(item.SetExpiry(expiry)); });
    } else if (choice < 990) {
      ++lane_.now_s;
    } else if (choice == 999 && wares_.fill == 0 && random_() % 8 == 0) {
      FlushAndCheck();
    }
  }

  void Read(std::uint64_t number, const HashedKey& key) {
    cache_.PrefetchBucket(key.hash);
    cache_.PrefetchItems({&key.hash, 1});
    scratch_.clear();
    const Presence presence = cache_.Visit(key, lane_, [&](Item& item) {
      Copy(cache_.Value(item));
      cache_.MarkAccess(item, cache_.ClassOf(item), lane_);
      (void)cache_.AgeOf(item, lane_);
    });
    if (presence != Presence::kHit) {
      if (cache_.LastRemovalOf(key.hash, lane_)) ++tally_.removals;
      return;
    }
    ++tally_.hits;
    tally_.Note(blocks_.Fault(number, scratch_));
  }
  // A pinned value stays as it is for many steps, whatever the others do.
  void PinOrUnpin(std::uint64_t number, const HashedKey& key) {
    if (pins_.size() >= 4) return Unpin();
    Pinned pinned{.handle = {}, .value = {}, .key = number};
    cache_.Visit(key, lane_, [&](Item& item) {
      pinned.handle = cache_.Pin(item);
      pinned.value = cache_.Value(item);
    });
    if (!pinned.handle) return;
    ++tally_.pins;
    CheckPinned(pinned);
    pins_.push_back(std::move(pinned));
  }
  void Unpin() {
    CheckPinned(pins_.front());
    pins_.erase(pins_.begin());
  }
  void CheckPinned(const Pinned& pinned) {
    scratch_.clear();
    Copy(pinned.value);
    tally_.Note(blocks_.Fault(pinned.key, scratch_));
  }
  void Store(StoreMode mode, std::uint64_t number, const HashedKey& key, std::size_t bytes) {
    const std::string block = blocks_.Make(number, random_(), bytes);
    const ItemSpec spec{.key = key,
                        .client_flags = static_cast<std::uint32_t>(random_() % 2),
                        .expiry = RandomExpiry(),
                        .value_bytes = static_cast<std::uint32_t>(block.size())};
    const StoreOutcome outcome = cache_.Store(mode, spec, block, 0, lane_);
    if (outcome.status != StoreStatus::kStored) return;
    ++(mode == StoreMode::kAppend || mode == StoreMode::kPrepend ? tally_.appends : tally_.stores);
  }
  void ReserveAndPublish(std::uint64_t number, const HashedKey& key) {
    const std::string block = blocks_.Make(number, random_(), RandomBytes(wares_.bytes_max));
    auto reserved = cache_.Reserve(
        {.key = key, .value_bytes = static_cast<std::uint32_t>(block.size())}, lane_);
    if (!reserved) return;
    std::string_view left = block;
    for (ValueCursor to = reserved->value(); !left.empty();) {
      const std::size_t n = std::min({to.piece().size(), left.size(), std::size_t{16'384}});
      std::memcpy(to.piece().data(), left.data(), n);
      to.Advance(n);
      left.remove_prefix(n);
      std::this_thread::yield();  // The bytes of a slow client.
    }
    cache_.Publish(std::move(*reserved), {}, lane_);
  }
  void RewriteInPlace(std::uint64_t number, const HashedKey& key) {
    const std::uint64_t version = random_();
    cache_.Visit(key, lane_, [&](Item& item) {
      if (!item.is_rewritable() || item.value_bytes() < Blocks::kHeadBytes) return;
      const std::string block =
          blocks_.Make(number, version, item.value_bytes() - Blocks::kHeadBytes);
      std::memcpy(item.value(), block.data(), block.size());
      cache_.Renumber(item, lane_);
      ++tally_.rewrites;
    });
  }
  // This worker's own key: gone after its own flush, and what it stores then is there or evicted.
  void FlushAndCheck() {
    const std::string name = "own" + std::to_string(number_);
    const HashedKey key{name, cache_.Hash(name)};
    const auto store = [&](std::string_view value) {
      (void)cache_.Store(StoreMode::kSet,
                         {.key = key, .value_bytes = static_cast<std::uint32_t>(value.size())},
                         value, 0, lane_);
    };
    const auto read = [&] {
      scratch_.clear();
      cache_.Visit(key, lane_, [&](Item& item) { Copy(cache_.Value(item)); });
      return scratch_;
    };
    store("before");
    cache_.FlushAll();
    if (!read().empty()) tally_.Note("an item that was flushed");
    store("after");
    const std::string seen = read();
    if (!seen.empty() && seen != "after") tally_.Note("another value than the last one");
  }

  void Copy(ValueCursor from) {
    for (auto piece = from.piece(); !piece.empty(); piece = from.piece()) {
      scratch_.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      from.Advance(piece.size());
    }
  }
  // Mostly none; sometimes soon, and sometimes long over, as for a negative exptime.
  Expiry RandomExpiry() {
    const auto choice = random_() % 20;
    if (choice == 0) return Expiry::LongPast();
    return choice <= 2 ? Expiry::At(lane_.now_s + 2) : Expiry();
  }
  // As many of 10 to 100 as of 10 to 100 thousand.
  std::size_t RandomBytes(double bytes_max) {
    const double fraction = static_cast<double>(random_() % 10'000) / 10'000;
    return static_cast<std::size_t>(std::pow(bytes_max, fraction)) - 1;
  }

  Cache& cache_;
  Lane& lane_;
  const Blocks& blocks_;
  const Wares& wares_;
  const std::size_t number_;
  std::mt19937_64 random_;
  std::string scratch_;
  std::vector<Pinned> pins_;
  Tally tally_;
};

// Walks over all chunks, in turn to free what is dead and to copy what is alive.
class Walker {
 public:
  explicit Walker(Cache& cache) : cache_(cache), lane_(cache.AddLane()) { lane_.now_s = 1000; }

  void Run(std::chrono::steady_clock::time_point deadline) {
    while (std::chrono::steady_clock::now() < deadline) {
      for (PageWalk walk; !cache_.walker().IsAtEnd(walk); std::this_thread::yield()) {
        (void)cache_.walker().Sweep(walk, lane_);
      }
      LookAtAll();
      for (int i = 0; i < 50; ++i) std::this_thread::yield();
      ++lane_.now_s;
    }
  }
  void LookAtAll() {
    for (PageWalk walk; !cache_.walker().IsAtEnd(walk); std::this_thread::yield()) Look(walk);
  }
  std::size_t copied() const { return copied_; }
  // Snapshots of no item that was ever stored.
  std::size_t faults() const { return faults_; }

 private:
  void Look(PageWalk& walk) {
    const std::size_t count = cache_.walker().Snapshot(walk, ClassSet().set(), lane_, items_);
    for (std::size_t i = 0; i < count; ++i) {
      const ItemSnapshot& item = items_[i];
      const std::string_view key = item.key();
      const bool is_key = key.starts_with("key") || key.starts_with("own");
      const bool is_whole = item.item_bytes > sizeof(Item) + key.size() && item.client_flags <= 1 &&
                            item.class_id != 0 && item.cas != 0;
      if (!is_key || key.size() > 9 || !is_whole) ++faults_;
    }
    copied_ += count;
  }

  Cache& cache_;
  Lane& lane_;
  std::array<ItemSnapshot, kWalkChunksMax> items_;
  std::size_t copied_ = 0;
  std::size_t faults_ = 0;
};

// Raises and lowers the limit, moves pages, and reads all statistics meanwhile.
void Disturb(Cache& cache, const Wares& wares, std::chrono::steady_clock::time_point deadline) {
  Lane& lane = cache.AddLane();
  lane.now_s = 1000;
  for (std::uint64_t turn = 0; std::chrono::steady_clock::now() < deadline; ++turn) {
    (void)cache.SetMemoryLimit(wares.memory_bytes - (2 - turn % 5) * kMiB);
    cache.Maintain(lane);
    cache.Tick(static_cast<std::uint32_t>(lane.now_s + turn));
    if (turn % 16 == 0) (void)cache.census().Memory();
    std::uint64_t items = 0;
    cache.ForEachLane([&](const Lane& each) { items += each.items.value(); });
    for (const ClassSnapshot& snapshot : cache.census().CleanAndDescribeClasses(lane)) {
      if (snapshot.items() > 0) (void)KeysOf(cache, lane, snapshot.id, 100);
    }
    for (int i = 0; i < 50; ++i) std::this_thread::yield();
  }
}

TEST_CASE("readers see whole values of the right key, whatever happens",
          "[slab][cache][concurrency]") {
  const Wares& wares = GENERATE(std::cref(kAllSizes), std::cref(kSmallItems));
  const auto eviction = GENERATE(EvictionPolicy::kSegmented, EvictionPolicy::kLru);
  CAPTURE(wares.keys, eviction);
  CacheFixture cache(
      {.memory_bytes = wares.memory_bytes, .eviction = eviction, .track_sizes = true});
  const Blocks blocks;
  std::vector<StormWorker> workers;
  workers.reserve(kWorkers);
  for (std::size_t number = 0; number < kWorkers; ++number) {
    workers.emplace_back(cache.cache(), blocks, wares, number);
  }
  workers.front().Fill(wares.fill);
  Walker walker(cache.cache());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(1200);
  std::vector<std::function<void()>> all{[&] { Disturb(cache.cache(), wares, deadline); },
                                         [&] { walker.Run(deadline); }};
  for (StormWorker& worker : workers) {
    all.emplace_back([&worker, deadline] { worker.Run(deadline); });
  }
  RunTogether(all);

  // Of all: on a busy machine one alone may come to little.
  Tally sum;
  for (const StormWorker& worker : workers) sum += worker.tally();
  CAPTURE(sum.hits, sum.stores, sum.appends, sum.rewrites, sum.pins, sum.first_fault);
  CHECK(sum.faults == 0);
  CHECK(sum.hits > 0);
  CHECK(sum.stores > 0);
  CHECK(sum.appends > 0);
  CHECK(sum.rewrites > 0);
  CHECK(sum.pins > 0);
  CHECK(sum.removals > 0);
  walker.LookAtAll();  // On a busy machine it may not have come to the end of a pass yet.
  CHECK(walker.copied() > 0);
  CHECK(walker.faults() == 0);
  CHECK(cache.evicted() > 0);
  CHECK(cache.cache().page_mover().pages_moved() > 0);
  cache.cache().CheckInvariants();

  for (std::uint64_t number = 0; number < wares.keys; ++number) {
    cache.Delete(StormWorker::KeyOf(number));
  }
  for (std::size_t number = 0; number < kWorkers; ++number) {
    cache.Delete("own" + std::to_string(number));
  }
  cache.cache().CheckInvariants();
  CHECK(cache.items() == 0);
  CHECK(cache.bytes() == 0);
  CHECK(cache.alive() == AliveCount{});
  CHECK(cache.used_chunks() == 0);
  REQUIRE(cache.cache().SetMemoryLimit(kPageBytes));
  cache.cache().Maintain(cache.lane());
  CHECK(cache.cache().arena().pages_in_use() <= 1);
}

}  // namespace
}  // namespace larder::slab
