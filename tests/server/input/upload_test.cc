#include "server/input/upload.h"

#include <catch2/catch.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "slab/cache.h"

namespace larder::server {
namespace {

constexpr std::uint64_t kLimit = 800;
constexpr std::uint64_t kValue = 100;
constexpr std::uint32_t kNow = 10;

struct Staging {
  std::unique_ptr<slab::Cache> cache = std::move(*slab::Cache::Create({}));
  UploadMemory memory{*cache, 3, kLimit};
};

TEST_CASE_METHOD(Staging, "stages share a limit, of which a quarter is for the young", "[upload]") {
  UploadMemory::Stage first(memory, kValue, kNow);
  UploadMemory::Stage old(memory, kValue, kNow);
  REQUIRE(first.Grow(1, kNow));
  REQUIRE(old.Grow(1, kNow));
  std::deque<UploadMemory::Stage> young;
  const auto begin = [&](std::uint32_t now_s) -> UploadMemory::Stage& {
    return young.emplace_back(memory, kValue, now_s);
  };
  for (int i = 0; i < 4; ++i) REQUIRE(begin(kNow + 2).Grow(100, kNow + 2));
  REQUIRE(old.Grow(98, kNow + 2));
  CHECK(memory.staging_bytes() == 500);
  CHECK_FALSE(old.Grow(1, kNow + 2));
  CHECK(old.bytes() == 99);
  // Those that have just begun find the quarter, for a second or two.
  UploadMemory::Stage& last = begin(kNow + 2);
  CHECK(begin(kNow + 2).Grow(100, kNow + 3));
  CHECK(last.Grow(99, kNow + 3));
  CHECK_FALSE(last.Grow(1, kNow + 4));
  CHECK(last.Grow(1, kNow + 3));
  CHECK(memory.staging_bytes() == 700);
  CHECK_FALSE(begin(kNow + 3).Grow(1, kNow + 3));
  CHECK(young.back().bytes() == 0);
  // What nobody else may take is there for the first one, however old.
  CHECK(first.Grow(99, kNow + 1000));
  CHECK(memory.staging_bytes() <= kLimit);
  young.clear();
  CHECK(memory.staging_bytes() == 199);
}

TEST_CASE_METHOD(Staging, "when the first stage ends, the next one always grows", "[upload]") {
  std::optional<UploadMemory::Stage> first(std::in_place, memory, kValue, kNow);
  UploadMemory::Stage second(memory, kValue, kNow);
  std::deque<UploadMemory::Stage> others;
  REQUIRE(first->Grow(1, kNow));
  REQUIRE(second.Grow(1, kNow));
  for (int i = 0; i < 7; ++i) {
    (void)others.emplace_back(memory, kValue, kNow).Grow(i < 6 ? 100 : 98, kNow);
  }
  REQUIRE(memory.staging_bytes() == 700);
  CHECK_FALSE(second.Grow(1, kNow));
  first.reset();
  CHECK(second.Grow(99, kNow + 1000));
  CHECK(memory.staging_bytes() == 798);
}

TEST_CASE_METHOD(Staging, "a value that could take more than an eighth of the limit is not staged",
                 "[upload]") {
  UploadMemory::Stage fits(memory, kLimit / 8, kNow);
  UploadMemory::Stage large(memory, kLimit / 8 + 1, kNow);
  CHECK(fits.Grow(1, kNow));
  CHECK_FALSE(large.Grow(1, kNow));
  UploadMemory nothing(*cache, 3, 0);
  UploadMemory::Stage small(nothing, 1, kNow);
  CHECK_FALSE(small.Grow(1, kNow));
}

constexpr std::uint64_t kRateMin = 65536;
constexpr std::uint32_t kLargeBytes = 1'000'000;

struct SlowUploads {
  std::unique_ptr<slab::Cache> cache = std::move(*slab::Cache::Create({}));
  slab::Lane& lane = cache->AddLane();
  StorePlan plan = {
      .spec = {.key = {.bytes = "k", .hash = cache->Hash("k")}, .value_bytes = kLargeBytes}};

  // Writes so many bytes of the value, as they come from the client.
  static void Write(Upload& upload, std::size_t bytes) { upload.Write(std::string(bytes, 'v')); }
};

TEST_CASE_METHOD(SlowUploads, "the time of a wait does not count against who has staged bytes",
                 "[upload]") {
  UploadMemory memory(*cache, 100, 16 * kLargeBytes);
  Upload upload(plan, {});
  Write(upload, kStagedBytesMax);
  REQUIRE(upload.GrowStaged(memory, 20'000, kNow));
  Write(upload, 20'000);
  const std::uint32_t end_s = kNow + 10;
  upload.ExcuseWait(kNow, end_s);
  CHECK_FALSE(upload.CheckForSlowness(end_s + 1, kRateMin));
  Write(upload, 5'000);
  // What came is little for two seconds, too.
  CHECK(upload.CheckForSlowness(end_s + 2, kRateMin));
}

TEST_CASE_METHOD(SlowUploads, "the time of a wait does not count against who has staged nothing",
                 "[upload]") {
  UploadMemory memory(*cache, 100, 0);
  Upload upload(plan, {});
  Write(upload, kStagedBytesMax);
  REQUIRE_FALSE(upload.GrowStaged(memory, 1, kNow));
  const std::uint32_t end_s = kNow + 10;
  auto share = memory.Take(upload.plan(), &upload);
  REQUIRE(share);
  upload.ExcuseWait(kNow, end_s);
  auto item = cache->Reserve(upload.plan().spec, lane);
  REQUIRE(item);
  upload.Reserve(std::move(*item), std::move(*share), end_s);
  CHECK_FALSE(upload.CheckForSlowness(end_s + 1, kRateMin));
  Write(upload, 5'000);
  CHECK(upload.CheckForSlowness(end_s + 2, kRateMin));
}

TEST_CASE_METHOD(SlowUploads, "silence before a wait does not add to silence after it",
                 "[upload]") {
  UploadMemory memory(*cache, 100, 16 * kLargeBytes);
  Upload upload(plan, {});
  Write(upload, kStagedBytesMax);
  REQUIRE(upload.GrowStaged(memory, 1, kNow));
  Write(upload, 1);
  // The first check sees the bytes that came; the fourth quiet one after it is too many.
  for (int i = 0; i < 4; ++i) CHECK_FALSE(upload.CheckForSlowness(kNow, kRateMin));
  upload.ExcuseWait(kNow, kNow);
  for (int i = 0; i < 3; ++i) CHECK_FALSE(upload.CheckForSlowness(kNow, kRateMin));
  CHECK(upload.CheckForSlowness(kNow, kRateMin));
}

}  // namespace
}  // namespace larder::server
