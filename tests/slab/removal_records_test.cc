#include "slab/eviction/removal_records.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <exception>
#include <random>
#include <thread>
#include <vector>

#include "tests/slab/hashes.h"

namespace larder::slab {
namespace {

constexpr std::uint32_t kLeftAtS = 1'800'000'000;
constexpr std::uint64_t kRecordBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kEntries = kRecordBytes / sizeof(std::uint64_t);

// Hashes of the same set, the first.
std::uint64_t InFirstSet(std::uint64_t number) { return number * 0x9e37'79b9 & 0xffff'ffff; }

TEST_CASE("nothing left, nothing is found and no memory is taken", "[slab][removal_records]") {
  const RemovalRecords records(kRecordBytes, kRecordBytes);
  REQUIRE(records.ok());
  CHECK(records.bytes() == kRecordBytes);
  for (const std::uint64_t hash : Hashes(1000, 1)) CHECK_FALSE(records.Find(hash, kLeftAtS));
  CHECK(records.resident_bytes() == 0);
}

TEST_CASE("a removal is told with all that was known of it", "[slab][removal_records]") {
  const auto reason = static_cast<RemovalReason>(GENERATE(range(0, int{kRemovalReasons})));
  const auto class_id = static_cast<ClassId>(GENERATE(0, 1, int{kClassesMax}));
  const std::uint64_t hash = GENERATE(as<std::uint64_t>{}, 0, ~std::uint64_t{0}, 0x123456789abcdef);
  RemovalRecords records(kRecordBytes, kRecordBytes);
  const RemovalRecord record{
      .reason = reason, .class_id = class_id, .idle_s = 3, .age_s = 7, .ago_s = 5};
  records.Add(hash, record, kLeftAtS);
  CHECK(records.Find(hash, kLeftAtS) == record);
  RemovalRecord later = record;
  later.ago_s = 25;
  CHECK(records.Find(hash, kLeftAtS + 20) == later);
  CHECK_FALSE(records.Find(hash ^ 2, kLeftAtS));  // Of 0 and 1, the fingerprints are the same.
  CHECK(records.resident_bytes() == 4096);
}

TEST_CASE("spans of time are told to an eighth, and short ones exactly",
          "[slab][removal_records]") {
  RemovalRecords records(kRecordBytes, kRecordBytes);
  std::uint64_t hash = 1;
  for (std::uint64_t span_s = 0; span_s <= 0xffffffff; span_s += 1 + span_s / 50) {
    const auto exact = static_cast<std::uint32_t>(span_s);
    records.Add(++hash, {.idle_s = exact, .age_s = exact}, kLeftAtS);
    const auto found = records.Find(hash, kLeftAtS);
    REQUIRE(found);
    CAPTURE(span_s);
    for (const std::uint32_t told_s : {found->idle_s, found->age_s}) {
      CHECK(std::abs(static_cast<double>(told_s) - static_cast<double>(span_s)) <=
            (span_s < 8 ? 0 : static_cast<double>(span_s) / 8));
    }
  }
}

TEST_CASE("a later removal takes the place of the earlier one", "[slab][removal_records]") {
  RemovalRecords records(64, 64);  // One set.
  for (std::uint32_t i = 0; i < 7; ++i) records.Add(i, {.ago_s = 0}, kLeftAtS + i);
  for (std::uint32_t round = 0; round < 20; ++round) {
    records.Add(3, {.reason = RemovalReason::kExpired, .class_id = 9}, kLeftAtS + 10 + round);
  }
  for (std::uint32_t i = 0; i < 7; ++i) CHECK(records.Find(i, kLeftAtS + 30));
  CHECK(records.Find(3, kLeftAtS + 30)->reason == RemovalReason::kExpired);
  CHECK(records.Find(3, kLeftAtS + 30)->ago_s == 1);
}

TEST_CASE("a full set forgets its oldest", "[slab][removal_records]") {
  RemovalRecords records(kRecordBytes, kRecordBytes);
  constexpr std::uint32_t kWays = 8;
  for (std::uint32_t i = 1; i <= 100; ++i) {
    records.Add(InFirstSet(i), {}, kLeftAtS + i);
    for (std::uint32_t j = 1; j <= i; ++j) {
      REQUIRE(records.Find(InFirstSet(j), kLeftAtS + i).has_value() == (j + kWays > i));
    }
  }
}

TEST_CASE("of many that leave in one second it remembers as many as fit",
          "[slab][removal_records]") {
  RemovalRecords records(kRecordBytes, kRecordBytes);
  const auto hashes = Hashes(2 * kEntries, 2);
  for (const std::uint64_t hash : hashes) records.Add(hash, {}, kLeftAtS);
  std::size_t recent = 0;
  std::size_t known = 0;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    if (!records.Find(hashes[i], kLeftAtS)) continue;
    ++known;
    if (i >= kEntries) ++recent;
  }
  // Of those that come last, more: that they are overwritten is left to chance.
  CHECK(known > kEntries * 95 / 100);
  CHECK(recent > known * 55 / 100);
  CHECK(records.resident_bytes() == kRecordBytes);
}

TEST_CASE("a key that never left is taken for one that did as often as the header says",
          "[slab][removal_records]") {
  RemovalRecords records(kRecordBytes, kRecordBytes);
  for (const std::uint64_t hash : Hashes(8 * kEntries, 3)) records.Add(hash, {}, kLeftAtS);
  // With this many, 38 false answers are expected; 6 is their standard deviation.
  std::mt19937_64 random(4);
  constexpr int kAsked = 5'000'000;
  int told = 0;
  for (int i = 0; i < kAsked; ++i) told += records.Find(random(), kLeftAtS) ? 1 : 0;
  const double expected = kAsked * RemovalRecords::kFalseOdds;
  CHECK(expected == Approx(38.1).margin(0.1));
  CHECK(told < expected + 25);
  CHECK(told > expected - 25);
}

TEST_CASE("what left long ago is not told, and forgotten before its time comes round again",
          "[slab][removal_records]") {
  RemovalRecords records(kRecordBytes, kRecordBytes);
  constexpr std::uint32_t kRoundS = 1 << 20;
  const auto hashes = Hashes(500, 5);
  for (const std::uint64_t hash : hashes) records.Add(hash, {}, kLeftAtS);
  const std::uint32_t last_s = kLeftAtS + RemovalRecords::kRememberedS;
  std::uint32_t now_s = kLeftAtS;
  for (; now_s <= last_s; now_s += 100) records.ForgetOld(now_s);
  for (const std::uint64_t hash : hashes) {
    REQUIRE(records.Find(hash, last_s));
    REQUIRE_FALSE(records.Find(hash, last_s + 1));
  }
  for (; now_s < kLeftAtS + kRoundS; ++now_s) records.ForgetOld(now_s);
  for (const std::uint64_t hash : hashes) REQUIRE_FALSE(records.Find(hash, now_s));
}

TEST_CASE("a thread whose clock lags sees what left just now", "[slab][removal_records]") {
  RemovalRecords records(kRecordBytes, kRecordBytes);
  records.Add(1, {}, kLeftAtS);
  const auto found = records.Find(1, kLeftAtS - 2);
  REQUIRE(found);
  CHECK(found->ago_s == 0);
}

TEST_CASE("a table of another size has forgotten everything and keeps to its bound",
          "[slab][removal_records]") {
  RemovalRecords records(kRecordBytes, 2 * kRecordBytes);
  const auto hashes = Hashes(100'000, 6);
  const std::uint64_t bytes =
      GENERATE(kRecordBytes / 16, 2 * kRecordBytes, 3 * kRecordBytes, std::uint64_t{0});
  CAPTURE(bytes);
  for (const std::uint64_t hash : hashes) records.Add(hash, {}, kLeftAtS);
  records.Resize(bytes);
  CHECK(records.resident_bytes() == 0);
  for (const std::uint64_t hash : hashes) REQUIRE_FALSE(records.Find(hash, kLeftAtS));
  for (const std::uint64_t hash : hashes) records.Add(hash, {}, kLeftAtS);
  CHECK(records.resident_bytes() <= std::clamp<std::uint64_t>(bytes, 4096, 2 * kRecordBytes));
  CHECK(records.Find(hashes.back(), kLeftAtS));
}

TEST_CASE("threads that meet in a set lose an entry at most",
          "[slab][removal_records][concurrency]") {
  RemovalRecords records(64, 128);
  std::vector<std::thread> threads;
  for (std::uint64_t number = 1; number <= 4; ++number) {
    threads.emplace_back([&records, number] {
      for (std::uint32_t i = 0; i < 20'000; ++i) {
        records.Add(number, {.class_id = static_cast<ClassId>(number)}, kLeftAtS);
        const auto found = records.Find(number, kLeftAtS);
        // Somebody else's is never told.
        if (found && found->class_id != number) std::terminate();
        if (number == 1 && i % 1000 == 0) records.Resize(i % 2000 == 0 ? 64 : 128);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  records.Add(9, {}, kLeftAtS);
  CHECK(records.Find(9, kLeftAtS));
  CHECK(records.resident_bytes() == 4096);
}

}  // namespace
}  // namespace larder::slab
