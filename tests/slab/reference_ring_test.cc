#include "slab/mrc/reference_ring.h"

#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <thread>
#include <vector>

#include "slab/mrc/repeat_filter.h"

namespace larder::slab {
namespace {

TEST_CASE("references come out of the ring as they went in", "[slab][mrc]") {
  ReferenceRing ring;
  CHECK_FALSE(ring.Take());
  const Expiry expiry = Expiry::At(77);
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t i = 0; i < ReferenceRing::kSlots; ++i) {
      ring.Add({ReferenceKind::kStore, i, i + 1, expiry});
    }
    CHECK(ring.count() == ReferenceRing::kSlots);
    CHECK_FALSE(ring.TookDrops());
    for (std::uint64_t i = 0; i < ReferenceRing::kSlots; ++i) {
      const auto reference = ring.Take();
      REQUIRE(reference);
      REQUIRE(reference->hash() == i);
      REQUIRE(reference->bytes() == i + 1);
      REQUIRE(reference->expiry() == expiry);
      REQUIRE(reference->kind() == ReferenceKind::kStore);
    }
    CHECK_FALSE(ring.Take());
  }
}

TEST_CASE("a full ring drops what comes, and tells it once", "[slab][mrc]") {
  ReferenceRing ring;
  for (std::uint64_t i = 0; i < ReferenceRing::kSlots + 10; ++i) {
    ring.Add({ReferenceKind::kMiss, i});
  }
  CHECK(ring.TookDrops());
  CHECK_FALSE(ring.TookDrops());
  std::uint64_t taken = 0;
  while (const auto reference = ring.Take()) REQUIRE(reference->hash() == taken++);
  CHECK(taken == ReferenceRing::kSlots);
}

TEST_CASE("items of any size fit into a reference", "[slab][mrc]") {
  CHECK(Reference(ReferenceKind::kRead, 1, std::uint64_t{1} << 40).bytes() == Reference::kBytesMax);
  CHECK(Reference(ReferenceKind::kRead, 1, 1 << 20).bytes() == 1 << 20);
}

TEST_CASE("the references of each thread keep their order", "[slab][mrc]") {
  constexpr std::uint64_t kThreads = 3;
  constexpr std::uint64_t kEach = 20'000;
  ReferenceRing ring;
  std::vector<std::thread> threads;
  std::atomic<std::uint64_t> done = 0;
  for (std::uint64_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&ring, &done, thread] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        ring.Add({ReferenceKind::kRead, thread << 32 | i, 100 + thread});
      }
      done.fetch_add(1);
    });
  }
  std::array<std::uint64_t, kThreads> next{};
  bool is_in_order = true;
  std::uint64_t taken = 0;
  const auto take_all = [&] {
    while (const auto reference = ring.Take()) {
      const std::uint64_t thread = reference->hash() >> 32;
      const std::uint64_t number = reference->hash() & 0xffff'ffffU;
      is_in_order &= number >= next[thread] && reference->bytes() == 100 + thread;
      next[thread] = number + 1;
      ++taken;
    }
  };
  while (done.load() != kThreads) take_all();
  take_all();
  for (std::thread& thread : threads) thread.join();
  CHECK(is_in_order);
  CHECK((taken == kThreads * kEach || ring.TookDrops()));
}

TEST_CASE("a key that is read all the time passes a few times in a round", "[slab][mrc]") {
  RepeatFilter filter;
  for (std::uint32_t round = 1; round < 4; ++round) {
    std::uint32_t passed = 0;
    for (int i = 0; i < 100; ++i) passed += filter.Passes(12'345, round) ? 1 : 0;
    CHECK(passed == RepeatFilter::kPassedMax);
    // Others pass, too, also those that share its slot.
    for (std::uint64_t key = 0; key < 1000; ++key) REQUIRE(filter.Passes(key, round));
    REQUIRE(filter.Passes(12'345 + RepeatFilter::kSlots, round));
  }
}

}  // namespace
}  // namespace larder::slab
