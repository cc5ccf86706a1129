#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "slab/memory/memory_file.h"
#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"
#include "tests/slab/restart_fixture.h"
#include "tests/temporary_folder.h"

namespace larder::slab {
namespace {

using Catch::Contains;

TEST_CASE_METHOD(RestartTest, "a new file begins empty and says so", "[restart]") {
  CHECK(Complaint() == "it is new");
  CHECK(IsEmpty());
}

TEST_CASE_METHOD(RestartTest, "all that a reader sees survives a restart", "[restart]") {
  std::map<std::string, SeenItem> before;
  const std::vector<std::size_t> sizes = {0, 1, 100, 5000, 131'000, 300'000, 1'000'000};
  for (const std::size_t size : sizes) {
    for (const std::uint32_t flags : {0U, 77U}) {
      const std::string key = "key" + std::to_string(size) + "." + std::to_string(flags);
      const auto expires_at_s = flags == 0 ? 0 : CacheFixture::kStartS + 100;
      REQUIRE(cache().Store({.key = key,
                             .value = Noise(size, size + flags),
                             .flags = flags,
                             .expires_at_s = expires_at_s}) == StoreStatus::kStored);
      before[key] = cache().See(key).value();
    }
  }
  const std::uint64_t bytes = cache().bytes();
  const std::uint64_t used = cache().used_chunks();

  for (int round = 0; round < 2; ++round) {
    CHECK(Stop() == before.size());
    Start();
    CHECK(Complaint().empty());
    CHECK_THAT(told(), Contains("restored " + std::to_string(before.size()) + " items in "));
    for (const auto& [key, seen] : before) CHECK(cache().See(key) == seen);
    CHECK(cache().items() == before.size());
    CHECK(cache().bytes() == bytes);
    CHECK(cache().used_chunks() == used);
  }
}

TEST_CASE_METHOD(RestartTest, "time passes while the cache is down", "[restart]") {
  REQUIRE(
      cache().Store({.key = "short", .value = "v", .expires_at_s = CacheFixture::kStartS + 10}) ==
      StoreStatus::kStored);
  REQUIRE(
      cache().Store({.key = "long", .value = "v", .expires_at_s = CacheFixture::kStartS + 11}) ==
      StoreStatus::kStored);
  options().now_s += 10;
  Restart();
  CHECK(cache().Look("short") == Presence::kExpired);
  CHECK(cache().Look("long") == Presence::kHit);
}

TEST_CASE_METHOD(RestartTest, "what was flushed and not removed yet is not alive after a restart",
                 "[restart][flush_all]") {
  for (int i = 0; i < 100; ++i)
    REQUIRE(cache().Set("k" + std::to_string(i), "v") == StoreStatus::kStored);
  cache().cache().FlushAll();
  for (int i = 0; i < 7; ++i)
    REQUIRE(cache().Set("n" + std::to_string(i), "v") == StoreStatus::kStored);
  const AliveCount alive = cache().alive();
  CHECK(alive.items == 7);
  CHECK(Stop() == 7);
  Start();
  CHECK_THAT(told(), Contains("restored 7 items in "));
  CHECK(cache().alive() == alive);
  CHECK(cache().items() == 107);
  CHECK(cache().Look("k1") == Presence::kFlushed);
  CHECK(cache().Delete("n1"));
  CHECK(cache().alive().items == 6);
  cache().cache().CheckInvariants();
}

TEST_CASE_METHOD(RestartTest, "what had expired stays so when the clock went back", "[restart]") {
  constexpr std::uint32_t kStartS = CacheFixture::kStartS;
  REQUIRE(cache().Store({.key = "dead", .value = "v", .expires_at_s = kStartS + 30}) ==
          StoreStatus::kStored);
  REQUIRE(cache().Store({.key = "alive", .value = "v", .expires_at_s = kStartS + 31}) ==
          StoreStatus::kStored);
  REQUIRE(cache().Set("immortal", "v") == StoreStatus::kStored);
  cache().lane().now_s += 30;  // Nobody asked for it since, and nothing was swept.
  options().now_s = kStartS - 20;
  Restart();
  CHECK(cache().See("alive")->expires_at_s == kStartS + 31);
  CHECK(cache().Look("immortal") == Presence::kHit);
  const bool is_asked_for_now = GENERATE(true, false);
  if (!is_asked_for_now) Restart();  // Neither does it come back with another one.
  CHECK(cache().Look("dead") == Presence::kExpired);
  CHECK(cache().items() == 2);
}

TEST_CASE_METHOD(RestartTest, "times are saved by the wall clock, though it was set", "[restart]") {
  constexpr std::uint32_t kBeginS = 1'800'000'000;
  const std::int32_t step_s = GENERATE(3600, -3600);
  options().now_s = kBeginS;
  Restart();
  for (const char* key : {"own", "wall", "idle"}) {
    REQUIRE(cache().Store({.key = key, .value = "v", .expires_at_s = kBeginS + 500}) ==
            StoreStatus::kStored);
  }
  const Expiry by_wall = Expiry::AtUnixTime(kBeginS + 5000, cache().lane());
  REQUIRE(cache().Visit("wall", [&](Item& item) { CHECK(item.SetExpiry(by_wall)); }) ==
          Presence::kHit);
  cache().lane().now_s += 100;
  REQUIRE(cache().cache().Save({.now_s = cache().lane().now_s,
                                .wall_ahead_s = step_s,
                                .flush_due = Expiry::At(kBeginS + 200)}));
  Kill();
  options().now_s = kBeginS + 100 + static_cast<std::uint32_t>(step_s);
  Start();
  Lane& lane = cache().lane();
  CHECK(cache().Visit("idle", [&](Item& item) { CHECK(item.idle_s(lane.now_s) == 100); }) ==
        Presence::kHit);
  CHECK(cache().Visit("own", [&](Item& item) { CHECK(item.expiry().SecondsLeft(lane) == 400); }) ==
        Presence::kHit);
  CHECK(cache().Visit("wall", [&](Item& item) { CHECK(item.expiry() == by_wall); }) ==
        Presence::kHit);
  CHECK(cache().cache().restored_flush_due().SecondsLeft(lane) == 100);
}

TEST_CASE_METHOD(RestartTest, "what had expired stays so when the clock has gone on by decades",
                 "[restart]") {
  REQUIRE(cache().Store({.key = "dead", .value = "v", .expires_at_s = CacheFixture::kStartS + 5}) ==
          StoreStatus::kStored);
  REQUIRE(cache().cache().Save(
      {.now_s = CacheFixture::kStartS, .flush_due = Expiry::At(CacheFixture::kStartS + 5)}));
  Kill();
  options().now_s = 2'000'000'000;
  Start();
  CHECK(cache().Look("dead") == Presence::kExpired);
  CHECK(cache().cache().restored_flush_due().IsOver(cache().lane()));
}

TEST_CASE_METHOD(RestartTest, "a clock that went back far begins empty", "[restart]") {
  REQUIRE(cache().Set("key", "value") == StoreStatus::kStored);
  options().now_s -= 60;
  Restart();
  CHECK(cache().Look("key") == Presence::kHit);
  cache().lane().now_s += 61;
  Restart();
  CHECK_THAT(Complaint(), Contains("clock went back"));
  CHECK(IsEmpty());
}

TEST_CASE_METHOD(RestartTest, "CAS numbers go on behind those that were given", "[restart]") {
  REQUIRE(cache().Set("old", "value") == StoreStatus::kStored);
  const std::uint64_t old_cas = cache().See("old")->cas;
  Restart();
  REQUIRE(cache().Set("new", "value") == StoreStatus::kStored);
  CHECK(cache().See("new")->cas > old_cas);
  CHECK(cache().Cas("old", "changed", old_cas + 1) == StoreStatus::kExists);
  CHECK(cache().Cas("old", "changed", old_cas) == StoreStatus::kStored);
}

TEST_CASE_METHOD(RestartTest, "a chosen CAS, and the marks of an item, survive", "[restart]") {
  constexpr std::uint64_t kChosen = 0x123456789abcdef0;
  REQUIRE(cache().PublishChosen("key", Noise(1000, 1), {}, kChosen).status == StoreStatus::kStored);
  REQUIRE(cache().Visit("key", [](Item& item) {
    item.size_and_state |= Item::kIsStale | Item::kWinTokenSent | Item::kHasBinaryKey;
  }) == Presence::kHit);
  Restart();
  CHECK(cache().See("key")->cas == kChosen);
  cache().Visit("key", [](Item& item) {
    CHECK(item.is_stale());
    CHECK(item.is_win_token_sent());
    CHECK(item.has_binary_key());
  });
}

TEST_CASE_METHOD(RestartTest, "what was flushed stays flushed", "[restart]") {
  REQUIRE(cache().Set("old", "value") == StoreStatus::kStored);
  cache().cache().FlushAll();
  REQUIRE(cache().Set("new", "value") == StoreStatus::kStored);
  Restart();
  CHECK(cache().Look("old") == Presence::kFlushed);
  CHECK(cache().Look("new") == Presence::kHit);
}

TEST_CASE_METHOD(RestartTest, "a flush that is still to come is handed on", "[restart]") {
  CHECK_FALSE(cache().cache().restored_flush_due().is_set());
  REQUIRE(
      cache().cache().Save({.now_s = CacheFixture::kStartS, .flush_due = Expiry::At(1'234'567)}));
  Kill();
  Start();
  CHECK(cache().cache().restored_flush_due() == Expiry::At(1'234'567));
}

TEST_CASE_METHOD(RestartTest, "segments, their order and their sizes survive", "[restart]") {
  const int count = cache().Fill(1000, 1);
  for (int i = 0; i < count; i += 3) (void)cache().Hit("fill" + std::to_string(i));
  (void)cache().Fill(1000, 2);
  const auto shape = [&] {
    std::vector<std::string> seen;
    for (const ClassSnapshot& c :
         cache().cache().census().CleanAndDescribeClasses(cache().lane())) {
      seen.push_back(std::to_string(c.probation_items) + " " + std::to_string(c.main_items) + " " +
                     std::to_string(c.probation_target) + " " + std::to_string(c.pages));
      for (const std::string& key : KeysOf(cache().cache(), cache().lane(), c.id))
        seen.push_back(key);
    }
    return seen;
  };
  const auto before = shape();
  Restart();
  CHECK(Complaint().empty());
  CHECK(shape() == before);
}

TEST_CASE_METHOD(RestartTest, "a full cache evicts, and moves pages, after a restart",
                 "[restart]") {
  const auto policy = GENERATE(EvictionPolicy::kSegmented, EvictionPolicy::kLru);
  cache().cache().SetEvictionPolicy(policy);
  (void)cache().Fill(100);
  options().eviction = policy;
  Restart();
  REQUIRE(Complaint().empty());
  const std::uint64_t items = cache().items();
  CHECK(cache().evicted() == 0);
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(cache().Set("new" + std::to_string(i), Noise(100, 7)) == StoreStatus::kStored);
  }
  CHECK(cache().evicted() >= 900);
  CHECK(cache().items() <= items + 100);
  REQUIRE(cache().Set("large", Noise(900'000, 3)) == StoreStatus::kStored);
  CHECK(cache().Get("large") == Noise(900'000, 3));
  cache().cache().CheckInvariants();
}

TEST_CASE_METHOD(RestartTest, "free chunks and free pages are used again", "[restart]") {
  const int count = cache().Fill(100, 1);
  for (int i = 0; i < count; ++i) {
    if (i % 10 != 0 || i > count / 2) (void)cache().Delete("fill" + std::to_string(i));
  }
  const PageIndex free_pages = cache().cache().arena().free_pages();
  REQUIRE(free_pages > 0);
  const std::uint64_t items = cache().items();
  Restart();
  REQUIRE(Complaint().empty());
  CHECK(cache().cache().arena().free_pages() == free_pages);
  for (int i = 0; i < count / 2; ++i) {
    REQUIRE(cache().Set("new" + std::to_string(i), Noise(100, 7)) == StoreStatus::kStored);
  }
  CHECK(cache().evicted() == 0);
  CHECK(cache().items() == items + static_cast<std::uint64_t>(count / 2));
  cache().cache().CheckInvariants();
}

TEST_CASE_METHOD(RestartTest, "without an orderly stop the next start is empty", "[restart]") {
  REQUIRE(cache().Set("key", "value") == StoreStatus::kStored);
  Restart();
  CHECK(cache().Look("key") == Presence::kHit);
  Kill();
  Start();
  CHECK(Complaint() == "the server that used it did not stop in order");
  CHECK(IsEmpty());
  CHECK(cache().Look("key") == Presence::kMiss);
}

TEST_CASE_METHOD(RestartTest, "nothing is saved while an item is in use", "[restart]") {
  REQUIRE(cache().Set("key", Noise(20'000, 1)) == StoreStatus::kStored);
  {
    const auto pinned = cache().Pin("key");
    CHECK(cache().cache().Save({}).error() == "an item is still in use");
    REQUIRE(cache().Delete("key"));
    CHECK(cache().cache().Save({}).error() == "an item is still in use");
  }
  {
    const auto reserved = cache().cache().Reserve(cache().Spec("other", 10), cache().lane());
    CHECK(cache().cache().Save({}).error() == "an item is still in use");
  }
  Kill();
  Start();
  CHECK(Complaint() == "the server that used it did not stop in order");
}

TEST_CASE_METHOD(RestartTest, "options that change what fits begin empty", "[restart]") {
  REQUIRE(cache().Set("key", "value") == StoreStatus::kStored);
  Stop();
  SECTION("-n") {
    options().chunk_room_min = 64;
    Start();
    CHECK(Complaint() == "-f or -n is not what it was");
  }
  SECTION("-f") {
    options().growth_factor = 1.5;
    Start();
    CHECK(Complaint() == "-f or -n is not what it was");
  }
  SECTION("-I below what it was") {
    options().item_bytes_max = 1000;
    Start();
    CHECK(Complaint() == "-I is smaller than it was");
  }
  CHECK(IsEmpty());
  CHECK(cache().Set("key", "value") == StoreStatus::kStored);
}

TEST_CASE_METHOD(RestartTest, "options that change nothing stored keep it", "[restart]") {
  REQUIRE(cache().Set("key", "value") == StoreStatus::kStored);
  options().item_bytes_max *= 2;
  options().evict = false;
  options().track_sizes = true;
  options().prefault = true;
  options().eviction = EvictionPolicy::kLru;
  Restart();
  CHECK(cache().Get("key") == "value");
}

TEST_CASE_METHOD(RestartTest, "the cache may be larger after a restart", "[restart]") {
  const int count = cache().Fill(1000);
  const std::string kept = "fill" + std::to_string(count - 1);
  const std::uint64_t items = cache().items();
  options().memory_bytes *= 2;
  Restart();
  CHECK(cache().Get(kept) == Noise(1000, 1));
  CHECK(cache().items() == items);
  for (int i = 0; i < static_cast<int>(items) / 2; ++i) {
    REQUIRE(cache().Set("new" + std::to_string(i), Noise(1000, 7)) == StoreStatus::kStored);
  }
  CHECK(cache().evicted() == 0);
  Restart();
  CHECK(cache().Get(kept) == Noise(1000, 1));
  cache().cache().CheckInvariants();
}

TEST_CASE_METHOD(RestartTest, "the cache may be smaller if all was in its first part",
                 "[restart]") {
  REQUIRE(cache().Set("key", "value") == StoreStatus::kStored);
  options().memory_bytes = 4 * kMiB;
  Restart();
  CHECK(cache().Get("key") == "value");
  (void)cache().Fill(1000);
  options().memory_bytes = 2 * kMiB;
  Restart();
  CHECK(Complaint() == "-m is too small for it");
  CHECK(IsEmpty());
}

TEST_CASE_METHOD(RestartTest, "a lowered limit gives the file's space back, a raised one takes it",
                 "[restart]") {
  const auto taken = [&] {
    struct stat facts = {};
    REQUIRE(stat(path().c_str(), &facts) == 0);
    return static_cast<std::uint64_t>(facts.st_blocks) * 512;
  };
  (void)cache().Fill(1000);
  CHECK(taken() >= 8 * kMiB);
  CHECK_FALSE(cache().cache().SetMemoryLimit(8 * kMiB + kPageBytes));
  REQUIRE(cache().cache().SetMemoryLimit(2 * kMiB));
  cache().cache().Maintain(cache().lane());
  CHECK(taken() <= 3 * kMiB);
  REQUIRE(cache().cache().SetMemoryLimit(8 * kMiB));
  (void)cache().Fill(1000);
  CHECK(cache().cache().arena().pages_in_use() == 8 * kMiB / kPageBytes);
  CHECK(taken() >= 8 * kMiB);
  REQUIRE(cache().cache().SetMemoryLimit(2 * kMiB));
  cache().cache().Maintain(cache().lane());
  const std::uint64_t items = cache().items();
  Restart();
  CHECK(cache().items() == items);
  CHECK(cache().cache().memory_limit_bytes() == 8 * kMiB);
  CHECK(taken() >= 8 * kMiB);
  (void)cache().Fill(1000);
  cache().cache().CheckInvariants();
}

TEST_CASE("a lowered limit gives back what was never used", "[restart]") {
  const TemporaryFolder folder;
  const std::string path = folder / "items";
  CacheFixture cache(Cache::Options{.memory_bytes = 8 * kMiB, .memory_file = path});
  REQUIRE(cache.Set("key", "value") == StoreStatus::kStored);
  REQUIRE(cache.cache().SetMemoryLimit(kMiB));
  struct stat facts = {};
  REQUIRE(stat(path.c_str(), &facts) == 0);
  CHECK(static_cast<std::uint64_t>(facts.st_blocks) * 512 < 2 * kMiB);
}

// --- Starts that come to nothing -----------------------------------------------------------------

TEST_CASE_METHOD(RestartTest, "a start that never serves leaves the items to the next",
                 "[restart]") {
  const int stored = cache().Fill(2000);
  REQUIRE(stored > 0);
  const std::uint64_t saved = Stop();
  for (const std::uint64_t megabytes : {8u, 32u, 12u}) {
    Cache::Options other = options();
    other.memory_bytes = megabytes * kMiB;
    const auto created = Cache::Create(other);
    REQUIRE(created);
  }
  Start();
  CHECK(cache().items() == saved);
}

TEST_CASE_METHOD(RestartTest, "a restart may be ended, or killed, at any moment", "[restart]") {
  for (std::size_t number = 0; number < 4000; ++number) {
    cache().Set("key" + std::to_string(number), Noise(number % 7 * 200, number));
  }
  for (int number = 0; number < 4000; number += 3) cache().Delete("key" + std::to_string(number));
  const std::uint64_t saved = Stop();
  REQUIRE(saved > 1000);
  const TemporaryFolder folder;
  const std::string killed = folder / "killed";
  { REQUIRE(MemoryFile::Open(killed)); }

  const auto restored = [](const Cache::Options& other) {
    CacheFixture again(other);
    again.cache().CheckInvariants();
    return again.items();
  };
  for (int last = 1;; last += 3) {
    CAPTURE(last);
    Cache::Options other = options();
    int asked = 0;
    other.is_cancelled = [&] {
      if (++asked < last) return false;
      if (asked == last) WriteFile(killed, Contents(path()));
      return true;
    };
    const auto created = Cache::Create(other);
    if (asked < last) {
      REQUIRE(created);
      break;
    }
    REQUIRE_FALSE(created);
    CHECK(created.error() ==
          "memory file " + path() + ": stopped while its items were read: it stays as it was");
    Cache::Options after_kill = options();
    after_kill.memory_file = killed;
    CHECK(restored(after_kill) == saved);
  }
  Start();
  CHECK(Complaint().empty());
  CHECK(cache().items() == saved);
}

}  // namespace
}  // namespace larder::slab
