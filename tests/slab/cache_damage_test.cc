// Memory files that were damaged between a stop and the next start.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "slab/engine/snapshot.h"
#include "slab/memory/memory_file.h"
#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"
#include "tests/slab/restart_fixture.h"
#include "tests/slab/turns.h"

namespace larder::slab {
namespace {

using Catch::Contains;

class DamageTest : public RestartTest {
 protected:
  static std::size_t SizeOf(int number) {
    return number % 50 == 0 ? 200'000 : static_cast<std::size_t>(number % 8) * 250;
  }
  // Items of every kind, and some free chunks. Keys are "a<size>.<number>".
  void FillMixed() {
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 300; ++i) {
        const std::size_t size = SizeOf(i);
        const std::string key = "a" + std::to_string(size) + "." + std::to_string(i);
        (void)cache().Store({.key = key,
                             .value = std::string(size, 'v'),
                             .flags = static_cast<std::uint32_t>(i % 2)});
        if (i % 5 == 0) (void)cache().Hit(key);
        if (i % 7 == 0 && round == 2) (void)cache().Delete(key);
      }
    }
  }
  // A value may have been hit, but is as long as its key says.
  void CheckSizes() {
    for (int i = 0; i < 300; ++i) {
      const auto value = cache().Get("a" + std::to_string(SizeOf(i)) + "." + std::to_string(i));
      if (value) CHECK(value->size() == SizeOf(i));
    }
  }
  // That whatever is there behaves.
  void UseAll() {
    cache().cache().CheckInvariants();
    for (int i = 0; i < 300; ++i) {
      (void)cache().Get("a" + std::to_string(SizeOf(i)) + "." + std::to_string(i));
    }
    FillMixed();
    (void)cache().Fill(500);
    cache().cache().CheckInvariants();
  }
};

TEST_CASE_METHOD(DamageTest, "a file with flipped bytes never breaks the cache", "[restart]") {
  FillMixed();
  Stop();
  const std::string good = Contents(path());
  const auto seed = GENERATE(range(1U, 1U + Turns(40)));
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::string bad = good;
  // Few, so that some starts succeed: most bytes are of values.
  for (std::uint32_t flips = 1 + seed % 4; flips > 0; --flips) {
    const std::size_t at = random() % 4 == 0 ? MemoryFile::kArenaOffset + 8 * kMiB + random() % 4096
                                             : random() % bad.size();
    bad[at] = static_cast<char>(bad[at] ^ (1 << random() % 8));
  }
  WriteFile(path(), bad);
  Start();
  CheckSizes();
  UseAll();
  Restart();
  CHECK(Complaint().empty());
}

TEST_CASE_METHOD(DamageTest, "a flipped byte of what is not a value begins empty", "[restart]") {
  REQUIRE(cache().Store({.key = "key", .value = "value", .flags = 5}) == StoreStatus::kStored);
  Stop();
  const std::string good = Contents(path());
  // The only item is in the first chunk: header, key, flags, value.
  constexpr std::size_t kValueAt = sizeof(Item) + 3 + 4;
  for (std::size_t at = 0; at < kValueAt + 5; ++at) {
    CAPTURE(at);
    std::string bad = good;
    bad[MemoryFile::kArenaOffset + at] ^= '\x10';
    WriteFile(path(), bad);
    Start();
    if (at < kValueAt) {
      CHECK(IsEmpty());
    } else {
      CHECK(cache().Get("key")->size() == 5);
    }
    Kill();
  }
}

TEST_CASE_METHOD(DamageTest, "items that were broken before they were saved begin empty",
                 "[restart]") {
  // So that the digest is of broken items, and the checks of each have to find it.
  FillMixed();
  const Arena& arena = cache().cache().arena();
  const auto seed = GENERATE(range(1U, 1U + Turns(60)));
  CAPTURE(seed);
  std::mt19937 random(seed);
  ItemRef ref = kNoItem;
  bool is_large = false;
  REQUIRE(cache().Visit("a1000.4", [&](Item& item) { ref = arena.RefOf(&item); }) ==
          Presence::kHit);
  if (seed % 2 == 0) {
    is_large = true;
    REQUIRE(cache().Visit("a200000.50", [&](Item& item) { ref = arena.RefOf(&item); }) ==
            Presence::kHit);
    if (seed % 4 == 0) ref = arena.At(ref).first_continuation();
  }
  // Of next, prev, sizes and state, key length, use; of a large item, where its pieces are.
  const std::size_t places[] = {0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 18, 19, 23};
  const std::size_t at = is_large && seed % 8 == 2
                             ? sizeof(Item) + 10 + random() % Item::kChainBytes
                             : places[random() % std::size(places)];
  CAPTURE(at);
  auto* bytes = reinterpret_cast<unsigned char*>(&arena.At(ref));
  bytes[at] = static_cast<unsigned char>(bytes[at] ^ (1U << random() % 8));
  (void)cache().cache().Save({.now_s = CacheFixture::kStartS});
  Kill();
  Start();
  UseAll();
}

TEST_CASE_METHOD(DamageTest, "a queue that does not hold together begins empty", "[restart]") {
  FillMixed();
  const Arena& arena = cache().cache().arena();
  ItemRef ref = kNoItem;
  REQUIRE(cache().Visit("a1000.4", [&](Item& item) { ref = arena.RefOf(&item); }) ==
          Presence::kHit);
  const auto damage = GENERATE(0, 1, 2);
  Item& item = arena.At(ref);
  if (damage == 0) item.next = ref;
  if (damage == 1) item.prev = item.prev == kNoItem ? ref : kNoItem;
  if (damage == 2) item.set_eviction_state(EvictionState::Main(3));
  REQUIRE(cache().cache().Save({.now_s = CacheFixture::kStartS}));
  Kill();
  Start();
  CHECK_THAT(Complaint(), Contains("a queue does not hold together"));
  CHECK(IsEmpty());
  UseAll();
}

TEST_CASE_METHOD(DamageTest, "a state of random bytes begins empty", "[restart]") {
  FillMixed();
  Stop();
  Start();
  const auto seed = GENERATE(range(1U, 21U));
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto told = [](const std::string&) {};
  const auto state =
      CacheSnapshot::Take(cache().cache().engine(), {.now_s = CacheFixture::kStartS});
  REQUIRE(state);
  std::vector<std::byte> bad = *state;
  for (std::uint32_t flips = 1 + seed % 3; flips > 0; --flips) {
    bad[random() % std::min<std::size_t>(bad.size(), seed % 2 == 0 ? 64 : 100'000)] ^=
        static_cast<std::byte>(1U << random() % 8);
  }
  if (seed % 5 == 0) bad.resize(random() % bad.size());
  // On other memory there are no such items.
  const Cache::Options terms = {.memory_bytes = 8 * kMiB, .now_s = CacheFixture::kStartS};
  CacheFixture other(terms);
  CHECK_FALSE(CacheSnapshot::Restore(other.cache().engine(), bad, terms, told));
}

}  // namespace
}  // namespace larder::slab
