#include "slab/expiry_sweep.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "slab/check.h"

namespace larder::slab {

using std::chrono::duration_cast;
using std::chrono::microseconds;

// Each call does at most one slice. A pass may begin and end within it.
microseconds ExpirySweep::Slice(Clock::time_point now, Lane& lane) {
  if (!is_enabled()) {
    is_running_.store(false, std::memory_order_relaxed);
    is_wanted_.store(false, std::memory_order_relaxed);
    return kPauseMax;
  }
  const microseconds pause_min{pause_min_us()};
  // A pause longer than kPauseMax is cut into several calls, so that commands take effect soon.
  if (pause_min > kPauseMax && now - last_slice_ < pause_min) return kPauseMax;
  if (is_running() ? IsHurryDue() : IsPassDue(lane)) {
    BeginPass(now, lane);
  } else if (!is_running()) {
    return kPauseMax;
  }
  const std::uint32_t chunks = ChunksDue(now);
  last_slice_ = now;
  // A slice that takes too long shows that the machine is busy: the next pause is doubled.
  const auto begin = Clock::now();
  Walk(chunks, lane);
  is_loaded_ = Clock::now() - begin > kSliceTimeMax;
  if (cache_.walker().IsAtEnd(walk_)) EndPass(lane);

  const auto pause = microseconds(std::uint64_t{kSliceChunks} * 1'000'000 / ChunksPerSecond());
  return std::min(std::max(is_loaded_ ? 2 * pause : pause, pause_min), kPauseMax);
}

// Read before a pass begins, and compared when the next one may be due.
ExpirySweep::Signs ExpirySweep::ReadSigns() const {
  Signs signs{.flush_mark = cache_.flush_mark()};
  cache_.ForEachLane([&](const Lane& lane) { signs.expiries += lane.expiries.value(); });
  return signs;
}

bool ExpirySweep::IsPassDue(const Lane& lane) const {
  if (is_wanted_.load(std::memory_order_relaxed)) return true;
  if (passes_begun() == 0) return true;
  // At most one pass per second: what expires does so when the clock's second changes.
  if (lane.now_s == begun_at_s_) return false;
  return barren_passes_ < kBarrenPassesEnough || lane.now_s - begun_at_s_ >= kSettledPassS ||
         ReadSigns() != signs_at_begin_;
}

// A hurried pass goes on to its end, so that flushes in a row do not keep it at the front.
bool ExpirySweep::IsHurryDue() const {
  return !is_hurried_ && cache_.flush_mark() != signs_at_begin_.flush_mark;
}

// A pass that is under way is abandoned.
void ExpirySweep::BeginPass(Clock::time_point now, const Lane& lane) {
  const Signs signs = ReadSigns();
  is_hurried_ = signs.flush_mark != signs_at_begin_.flush_mark;
  // Something new may expire or was flushed, so earlier passes without a find no longer count.
  if (signs != signs_at_begin_) barren_passes_ = 0;
  signs_at_begin_ = signs;
  pass_time_ = ChoosePassTime();
  walk_ = {};
  walked_ = 0;
  freed_ = 0;
  answers_request_ = is_wanted_.load(std::memory_order_relaxed);
  has_found_some_ = false;
  begun_at_s_ = lane.now_s;
  last_slice_ = now;
  passes_begun_.store(passes_begun() + 1, std::memory_order_relaxed);
  is_running_.store(true, std::memory_order_relaxed);
}

void ExpirySweep::EndPass(const Lane& lane) {
  LARDER_ASSERT(is_running());
  // No expiry was ever given, so no store with one can have been in progress.
  const bool is_sure = signs_at_begin_.expiries == 0;
  barren_passes_ = is_sure ? kBarrenPassesEnough : barren_passes_ + 1;
  // A find resets the count; otherwise it stops at what is enough.
  barren_passes_ = has_found_some_ ? 0 : std::min(barren_passes_, kBarrenPassesEnough);
  walked_last_pass_ = std::exchange(walked_, 0);
  freed_last_pass_ = std::exchange(freed_, 0);
  is_running_.store(false, std::memory_order_relaxed);
  if (answers_request_) is_wanted_.store(false, std::memory_order_relaxed);
  if (lane.observer == nullptr) return;
  lane.observer->OnSweepPass({.examined = walked_last_pass_,
                              .freed = freed_last_pass_,
                              .elapsed_s = lane.now_s - begun_at_s_});
}

std::chrono::seconds ExpirySweep::ChoosePassTime() const {
  const Arena& arena = cache_.arena();
  if (arena.pages_in_use() < arena.limit_pages()) return kPassTime;
  const auto before = std::min(pass_time_, kPassTimeFull);
  if (freed_last_pass_ * kManyFreed > walked_last_pass_) return std::max(before / 2, kPassTimeMin);
  if (freed_last_pass_ * kFewFreed < walked_last_pass_) return std::min(before * 2, kPassTimeFull);
  return before;
}

std::uint64_t ExpirySweep::ChunksPerSecond() const {
  if (is_hurried_) return kChunksPerSecondMax;
  std::uint64_t items = 0;
  cache_.ForEachLane([&](const Lane& lane) { items += lane.items.value(); });
  // Free chunks have to be walked over too, and the number of items falls as the pass frees them.
  // So the largest of the known numbers is used.
  const std::uint64_t chunks = std::max({items, walked_, walked_last_pass_});
  // At least one slice per kPauseMax.
  constexpr std::uint64_t kMin = std::uint64_t{kSliceChunks} * 1'000'000 / kPauseMax.count();
  const auto seconds = static_cast<std::uint64_t>(pass_time_.count());
  return std::clamp(chunks / seconds, kMin, kChunksPerSecondMax);
}

std::uint32_t ExpirySweep::ChunksDue(Clock::time_point now) const {
  std::uint64_t due = kSliceChunks;
  // After a pause that was too long, the slice makes up for it, up to its maximum.
  if (!is_loaded_) {
    const auto elapsed = duration_cast<microseconds>(now - last_slice_).count();
    const auto elapsed_us = static_cast<std::uint64_t>(std::max<std::int64_t>(elapsed, 0));
    due = std::clamp<std::uint64_t>(ChunksPerSecond() * elapsed_us / 1'000'000, kSliceChunks,
                                    kSliceChunksMax);
  }
  const std::uint32_t bound = slice_max();
  return static_cast<std::uint32_t>(bound != 0 ? std::min<std::uint64_t>(due, bound) : due);
}

void ExpirySweep::Walk(std::uint32_t chunks, Lane& lane) {
  for (std::uint32_t walked = 0; walked < chunks && !cache_.walker().IsAtEnd(walk_);) {
    const SweepTally tally = cache_.walker().Sweep(walk_, lane);
    if (tally.expiring + tally.passed_over != 0) has_found_some_ = true;
    walked += tally.chunks;
    walked_ += tally.chunks;
    freed_ += tally.reclaimed;
    // Lets a worker run that waits for this core.
    std::this_thread::yield();
  }
}

}  // namespace larder::slab
