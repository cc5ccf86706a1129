// Operations that must not be lost when threads make them at once.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "slab/check.h"
#include "tests/slab/cache_fixture.h"
#include "tests/slab/run_together.h"

namespace larder::slab {
namespace {

// A thread's own side of a cache with room for all.
class Client {
 public:
  explicit Client(Cache& cache) : cache_(cache), lane_(cache.AddLane()) { lane_.now_s = 1000; }

  StoreStatus Store(StoreMode mode, std::string_view name, std::string_view value,
                    std::uint64_t cas = 0) {
    const ItemSpec spec{.key = {name, cache_.Hash(name)},
                        .value_bytes = static_cast<std::uint32_t>(value.size())};
    return cache_.Store(mode, spec, value, cas, lane_).status;
  }
  template <class Fn>
  Presence Visit(std::string_view name, Fn&& fn) {
    return cache_.Visit({name, cache_.Hash(name)}, lane_, fn);
  }
  Cache& cache() { return cache_; }
  Lane& lane() { return lane_; }

 private:
  Cache& cache_;
  Lane& lane_;
};

TEST_CASE("of threads that add a key one succeeds", "[slab][cache][concurrency]") {
  constexpr int kRounds = 2000;
  CacheFixture cache;
  std::vector<int> added(kWorkers, 0);
  std::vector<std::function<void()>> all;
  for (int& mine : added) {
    all.emplace_back([&] {
      Client client(cache.cache());
      for (int round = 0; round < kRounds; ++round) {
        const std::string value(static_cast<std::size_t>(round % 100), 'v');
        if (client.Store(StoreMode::kAdd, std::to_string(round), value) == StoreStatus::kStored) {
          ++mine;
        }
      }
    });
  }
  RunTogether(all);
  CHECK(std::accumulate(added.begin(), added.end(), 0) == kRounds);
  CHECK(cache.items() == kRounds);
  cache.cache().CheckInvariants();
}

TEST_CASE("no append is lost", "[slab][cache][concurrency]") {
  constexpr int kAppends = 1500;
  CacheFixture cache;
  REQUIRE(cache.Set("k", "") == StoreStatus::kStored);
  std::vector<std::function<void()>> all;
  for (std::size_t number = 0; number < kWorkers; ++number) {
    all.emplace_back([&cache, number] {
      Client client(cache.cache());
      const std::string letter(1, static_cast<char>('a' + number));
      for (int i = 0; i < kAppends;) {
        if (client.Store(StoreMode::kAppend, "k", letter) == StoreStatus::kStored) ++i;
      }
    });
  }
  RunTogether(all);
  const std::string value = cache.Get("k").value_or("");
  CHECK(value.size() == kWorkers * kAppends);
  for (std::size_t number = 0; number < kWorkers; ++number) {
    CHECK(std::ranges::count(value, static_cast<char>('a' + number)) == kAppends);
  }
  CHECK(cache.used_chunks() == 1);
  cache.cache().CheckInvariants();
}

TEST_CASE("no append to a large value is refused or lost, however many come at once",
          "[slab][cache][concurrency]") {
  constexpr int kAppends = 40;
  constexpr std::size_t kBytes = 400'000;
  CacheFixture cache;
  REQUIRE(cache.Set("k", std::string(kBytes, '-')) == StoreStatus::kStored);
  std::atomic<int> refused{0};
  std::vector<std::function<void()>> all;
  for (std::size_t number = 0; number < kWorkers; ++number) {
    all.emplace_back([&cache, &refused, number] {
      Client client(cache.cache());
      const HashedKey key{"k", cache.cache().Hash("k")};
      const std::string letter(1, static_cast<char>('a' + number));
      for (int i = 0; i < kAppends; ++i) {
        const StoreMode mode = i % 2 == 0 ? StoreMode::kAppend : StoreMode::kPrepend;
        if (client.Store(mode, "k", letter) != StoreStatus::kStored) ++refused;
        const auto expiry = Expiry::At(CacheFixture::kStartS + 1 + static_cast<std::uint32_t>(i));
        const Presence touched =
            cache.cache().VisitToExpire(key, expiry, client.lane(), [&](Item& item) {
              LARDER_CHECK(item.SetExpiry(expiry));
              item.set_cas(cache.cache().NextCas(client.lane()));
            });
        if (touched != Presence::kHit) ++refused;
      }
    });
  }
  RunTogether(all);
  CHECK(refused == 0);
  const std::string value = cache.Get("k").value_or("");
  CHECK(value.size() == kBytes + kWorkers * kAppends);
  for (std::size_t number = 0; number < kWorkers; ++number) {
    CHECK(std::ranges::count(value, static_cast<char>('a' + number)) == kAppends);
  }
  CHECK(cache.Delete("k"));
  CHECK(cache.used_chunks() == 0);
  cache.cache().CheckInvariants();
}

TEST_CASE("pins of one value come and go on many threads, while it is replaced and deleted",
          "[slab][cache][concurrency][pins]") {
  constexpr int kRounds = 150;
  constexpr std::size_t kPins = 120;  // Of each of four threads: twice what a header counts.
  CacheFixture cache;
  REQUIRE(cache.Set("k", std::string(9000, 'a')) == StoreStatus::kStored);
  struct Pinned {
    ItemHandle handle;
    ValueCursor value;
  };
  std::atomic<int> faults{0};
  std::vector<std::function<void()>> all;
  for (std::size_t number = 0; number < kWorkers; ++number) {
    all.emplace_back([&cache, &faults, number] {
      Client client(cache.cache());
      std::mt19937 random(static_cast<unsigned>(number));
      std::vector<Pinned> pins;
      for (int round = 0; round < kRounds; ++round) {
        while (pins.size() < kPins) {
          Pinned pinned;
          const Presence presence = client.Visit("k", [&](Item& item) {
            pinned = {cache.cache().Pin(item), cache.cache().Value(item)};
          });
          if (presence != Presence::kHit) {
            (void)client.Store(StoreMode::kAdd, "k", std::string(9000, 'a'));
            continue;
          }
          pins.push_back(std::move(pinned));
        }
        // All the bytes of a value are one letter.
        const auto piece = pins[random() % kPins].value.piece();
        if (piece.front() != piece.back()) ++faults;
        std::shuffle(pins.begin(), pins.end(), random);
        pins.resize(random() % kPins);
        if (random() % 4 == 0) {
          const std::string value(9000, static_cast<char>('a' + random() % 26));
          (void)client.Store(StoreMode::kSet, "k", value);
        }
        if (random() % 8 == 0) {
          (void)cache.cache().Delete({"k", cache.cache().Hash("k")}, client.lane());
        }
      }
    });
  }
  RunTogether(all);
  CHECK(faults == 0);
  (void)cache.Delete("k");
  CHECK(cache.used_chunks() == 0);
  CHECK(cache.bytes() == 0);
  cache.cache().CheckInvariants();
}

TEST_CASE("no increment is lost, by cas or in place", "[slab][cache][concurrency]") {
  constexpr std::uint64_t kIncrements = 3000;
  CacheFixture cache;
  const std::uint64_t zero = 0;
  const std::string_view zero_bytes(reinterpret_cast<const char*>(&zero), sizeof zero);
  REQUIRE(cache.Set("k", zero_bytes) == StoreStatus::kStored);
  const auto by_cas = [&] {
    Client client(cache.cache());
    for (std::uint64_t i = 0; i < kIncrements;) {
      std::uint64_t number = 0;
      std::uint64_t cas = 0;
      client.Visit("k", [&](const Item& item) {
        std::memcpy(&number, item.value(), sizeof number);
        cas = item.cas();
      });
      ++number;
      const std::string_view bytes(reinterpret_cast<const char*>(&number), sizeof number);
      if (client.Store(StoreMode::kCas, "k", bytes, cas) == StoreStatus::kStored) ++i;
    }
  };
  const auto in_place = [&] {
    Client client(cache.cache());
    for (std::uint64_t i = 0; i < kIncrements;) {
      client.Visit("k", [&](Item& item) {
        if (!item.is_rewritable()) return;
        std::uint64_t number = 0;
        std::memcpy(&number, item.value(), sizeof number);
        ++number;
        std::memcpy(item.value(), &number, sizeof number);
        cache.cache().Renumber(item, client.lane());
        ++i;
      });
    }
  };
  RunTogether({by_cas, by_cas, in_place, in_place});
  const std::string bytes = cache.Get("k").value_or("");
  std::uint64_t sum = 0;
  REQUIRE(bytes.size() == sizeof sum);
  std::memcpy(&sum, bytes.data(), sizeof sum);
  CHECK(sum == 4 * kIncrements);
}

TEST_CASE("a store that began before a flush does not undo what was written after it",
          "[slab][cache][concurrency]") {
  CacheFixture cache;
  Client writer(cache.cache());
  Client flusher(cache.cache());
  const std::string_view value = GENERATE("same size", "a longer value, which takes another chunk");
  REQUIRE(flusher.Store(StoreMode::kSet, "k", "same size") == StoreStatus::kStored);
  std::atomic<bool> has_started{false};
  std::thread thread;
  flusher.Visit("k", [&](Item& item) {
    thread = std::thread([&] {
      has_started = true;
      (void)writer.Store(StoreMode::kSet, "k", value);  // Waits for the bucket.
    });
    while (!has_started) std::this_thread::yield();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    std::thread([&] { cache.cache().FlushAll(); }).join();
    cache.cache().Renumber(item, flusher.lane());  // As incr does.
  });
  thread.join();
  CHECK(cache.Look("k") == Presence::kHit);
}

}  // namespace
}  // namespace larder::slab
