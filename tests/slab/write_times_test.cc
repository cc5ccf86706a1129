#include "slab/engine/write_times.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace larder::slab {
namespace {

constexpr std::uint32_t kStartS = 1'000'000;

TEST_CASE("without a note no time is known", "[slab][write_times]") {
  const WriteTimes times;
  CHECK(times.SecondOf(0) == 0);
  CHECK(times.SecondOf(5) == 0);
  CHECK(times.count() == 0);
}

TEST_CASE("numbers of the last seconds are told to the second", "[slab][write_times]") {
  WriteTimes times;
  for (std::uint32_t i = 0; i < 500; ++i) times.Note(kStartS + i, 10 + 7 * i);
  for (std::uint32_t i = 0; i < 500; ++i) {
    CAPTURE(i);
    CHECK(times.SecondOf(10 + 7 * i) == kStartS + i);
    CHECK(times.SecondOf(10 + 7 * i + 6) == kStartS + i);
  }
}

TEST_CASE("a number from before the first note has its second", "[slab][write_times]") {
  WriteTimes times;
  times.Note(kStartS, 100);
  times.Note(kStartS + 1, 200);
  CHECK(times.SecondOf(3) == kStartS);
}

TEST_CASE("seconds in which no number is drawn take no room", "[slab][write_times]") {
  WriteTimes times;
  times.Note(kStartS, 100);
  for (std::uint32_t i = 0; i < 5000; ++i) times.Note(kStartS + i, 200);
  CHECK(times.count() == 2);
  // Numbers from 200 on were not drawn before the last second.
  CHECK(times.SecondOf(200) == kStartS + 4999);
  CHECK(times.SecondOf(199) == kStartS);
}

TEST_CASE("a clock that stands still or falls is not believed", "[slab][write_times]") {
  WriteTimes times;
  times.Note(kStartS, 100);
  times.Note(kStartS, 200);
  times.Note(kStartS - 5, 300);
  CHECK(times.count() == 1);
  CHECK(times.SecondOf(250) == kStartS);
}

TEST_CASE("older numbers are told to a sixteenth of their age, in bounded room",
          "[slab][write_times][property]") {
  const std::uint64_t seed = GENERATE(take(3, random(std::uint64_t{1}, std::uint64_t{1} << 60)));
  const std::uint32_t pause_max_s = GENERATE(1U, 10U, 1000U);
  CAPTURE(seed, pause_max_s);
  std::mt19937_64 random(seed);
  WriteTimes times;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> all;
  std::uint32_t now_s = kStartS;
  std::uint64_t number = 1;
  std::size_t rows_max = 0;
  for (int i = 0; i < 200'000; ++i) {
    now_s += 1 + static_cast<std::uint32_t>(random() % pause_max_s);
    number += 1 + random() % 10000;
    times.Note(now_s, number);
    all.emplace_back(now_s, number);
    rows_max = std::max(rows_max, times.count());
  }
  CHECK(rows_max <= 1024);
  std::size_t wrong = 0;
  for (const auto& [second, first] : all) {
    const std::uint32_t told_s = times.SecondOf(first);
    if (told_s > second || second - told_s > (now_s - second) / WriteTimes::kErrorDivisor) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("who reads while rows are thinned out is told nothing wrong",
          "[slab][write_times][concurrency]") {
  WriteTimes times;
  times.Note(kStartS, 1);
  std::atomic<bool> is_over{false};
  std::atomic<int> faults{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!is_over) {
        // Number n is drawn in second n; how far the writer is, a number beyond tells.
        const std::uint32_t now_s = times.SecondOf(~std::uint64_t{0});
        const std::uint32_t told_s = times.SecondOf(now_s - kStartS - (now_s - kStartS) / 3 + 1);
        const std::uint32_t wanted_s = now_s - (now_s - kStartS) / 3;
        const std::uint32_t later_s = times.SecondOf(~std::uint64_t{0});
        if (told_s > wanted_s || wanted_s - told_s > (later_s - wanted_s) / 16 + 1) ++faults;
      }
    });
  }
  for (std::uint32_t i = 1; i < 300'000; ++i) times.Note(kStartS + i, i + 1);
  is_over = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(faults == 0);
}

}  // namespace
}  // namespace larder::slab
