#include "slab/eviction/missed_keys.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdint>
#include <thread>
#include <vector>

namespace larder::slab {
namespace {

// Adds a miss as a lane does. Returns false if there was no room.
bool Add(MissedKeys& keys, std::uint64_t hash) {
  if (!keys.Count()) return false;
  keys.Add({.hash = hash, .ghost = {}, .class_id = 1});
  return true;
}

std::vector<std::uint64_t> TakeAll(MissedKeys& keys, std::uint32_t rounds) {
  std::vector<std::uint64_t> hashes;
  while (const auto missed = keys.Take(rounds)) hashes.push_back(missed->hash);
  return hashes;
}

TEST_CASE("missed keys are taken in their order, some rounds later", "[slab][missed_keys]") {
  MissedKeys keys;
  CHECK(Add(keys, 1));
  CHECK(TakeAll(keys, 2).empty());
  keys.BeginRound();
  CHECK(Add(keys, 2));
  CHECK(TakeAll(keys, 2).empty());
  keys.BeginRound();
  CHECK(TakeAll(keys, 2) == std::vector<std::uint64_t>{1});
  keys.BeginRound();
  CHECK(TakeAll(keys, 2) == std::vector<std::uint64_t>{2});
  CHECK(keys.counted() == 2);
}

TEST_CASE("when there are more misses than room, they are counted and not kept",
          "[slab][missed_keys]") {
  MissedKeys keys;
  // So often that the numbers of the slots come round.
  for (std::uint64_t turn = 0; turn < 5; ++turn) {
    for (std::uint64_t i = 0; i < 2 * MissedKeys::kSlots; ++i) {
      CHECK(Add(keys, i) == (i < MissedKeys::kSlots));
    }
    CHECK(keys.sampled() == (turn + 1) * MissedKeys::kSlots);
    keys.BeginRound();
    CHECK(TakeAll(keys, 1).size() == MissedKeys::kSlots);
    CHECK(keys.counted() == (turn + 1) * 2 * MissedKeys::kSlots);
  }
}

TEST_CASE("one thread adds missed keys while another takes them", "[slab][missed_keys]") {
  constexpr std::uint64_t kKeys = 20'000;
  MissedKeys keys;
  std::atomic<bool> is_done{false};
  std::vector<std::uint64_t> taken;
  std::thread reviewer([&] {
    bool was_done = false;
    do {
      was_done = is_done.load();
      keys.BeginRound();
      while (const auto missed = keys.Take(0)) taken.push_back(missed->hash);
    } while (!was_done);
  });
  std::vector<std::uint64_t> added;
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    if (Add(keys, i)) added.push_back(i);
  }
  is_done = true;
  reviewer.join();
  CHECK(added.size() >= MissedKeys::kSlots);
  CHECK(taken == added);
  CHECK(keys.counted() == kKeys);
  CHECK(keys.sampled() == added.size());
}

TEST_CASE("a round has a sample of bounded size, whether or not its misses are added",
          "[slab][missed_keys]") {
  MissedKeys keys;
  for (int turn = 0; turn < 3; ++turn) {
    for (std::uint32_t i = 0; i < 2 * MissedKeys::kSlots; ++i) {
      CHECK(keys.Count() == (i < MissedKeys::kSlots));
    }
    keys.BeginRound();
  }
  CHECK(keys.sampled() == 3 * MissedKeys::kSlots);
}

}  // namespace
}  // namespace larder::slab
