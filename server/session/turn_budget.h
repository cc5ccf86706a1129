// How much one session may do before other clients are served.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "slab/check.h"

namespace larder::server {

// The turn of a session is over when its requests have made so much work (see Output::work_bytes):
// 10 to 25 us. Together with the largest value, this also bounds the replies that are kept for a
// client that does not read. The replies are sent at once, and nothing interrupts that: with four
// times as many, a small request beside binary gets waits 1.5 times as long.
inline constexpr std::size_t kWorkPerTurnBytes = 64 * 1024;
// The replies of several sessions are sent when they have made so much work together.
inline constexpr std::size_t kWorkPerFlushBytes = 256 * 1024;
// A turn consists of slices. After each slice the session asks whether other clients are ready: if
// none is, it continues without giving up its turn, which costs less. A slice ends after so many
// requests or keys, or after so much work, 10 to 40 us.
inline constexpr std::uint16_t kUnitsPerSlice = 128;
inline constexpr std::size_t kWorkPerSliceBytes = 32 * 1024;
// When other clients were found ready, the next slice is shortened to kUnitsPerSliceMin. It becomes
// longer by kUnitsPerSliceStep each time that none was. Until it has its full length again, a
// session receives at most kInputBytesBesideOthers at once, because nothing interrupts the sending
// of the replies to that input.
inline constexpr std::uint16_t kUnitsPerSliceMin = 32;
inline constexpr std::uint16_t kUnitsPerSliceStep = 2;
inline constexpr std::size_t kInputBytesBesideOthers = 32 * 1024;
static_assert(kUnitsPerSliceMin > 0 && kUnitsPerSliceMin <= kUnitsPerSlice);
static_assert(kUnitsPerSliceStep > 0);
static_assert(kWorkPerSliceBytes <= kWorkPerTurnBytes);
static_assert(kWorkPerTurnBytes <= kWorkPerFlushBytes);

// TurnBudget counts what a session has left of its turn and of the slice that it is in.
//
// Threads:    one worker.
// Invariants: slice_units_max_ is at least kUnitsPerSliceMin and at most kUnitsPerSlice.
class TurnBudget {
 public:
  // Begins a turn. `work_bytes` is Output::work_bytes() now. The length of slices carries over from
  // the last turn. REQUIRES: requests_max > 0.
  void Begin(std::size_t work_bytes, std::uint32_t requests_max) {
    LARDER_ASSERT(requests_max > 0);
    work_begin_ = slice_begin_ = work_bytes;
    requests_left_ = requests_max;
    slice_units_ = 0;
  }

  // Whether other clients were often ready when the last slices ended.
  bool others_come_often() const { return slice_units_max_ < kUnitsPerSlice; }
  // Requests that the turn still has, of the number that the configuration allows for a turn.
  std::uint32_t requests_left() const { return requests_left_; }
  // The value of Output::work_bytes() above which the turn is over.
  std::size_t work_bytes_max() const { return work_begin_ + kWorkPerTurnBytes; }

  // Subtracts what was served. All keys of a retrieval line are one request, and one unit each.
  // REQUIRES: requests <= requests_left(), and units are those of one batch.
  void Spend(std::uint32_t requests, std::size_t units) {
    LARDER_ASSERT(requests <= requests_left_);
    requests_left_ -= requests;
    slice_units_ = static_cast<std::uint16_t>(slice_units_ + units);
  }

  // Whether the turn is over: it has made enough work, or its slice has ended and other clients are
  // ready. `are_others_ready` is called at the end of a slice only, because it looks for events.
  // REQUIRES: work_bytes is not less than in the last call of Begin() or IsSpent().
  template <class AreOthersReady>
  bool IsSpent(std::size_t work_bytes, const AreOthersReady& are_others_ready) {
    LARDER_ASSERT(work_bytes >= slice_begin_);
    LARDER_ASSERT(slice_units_max_ >= kUnitsPerSliceMin && slice_units_max_ <= kUnitsPerSlice);
    if (work_bytes > work_bytes_max()) return true;
    // The slice continues.
    if (slice_units_ < slice_units_max_ && work_bytes - slice_begin_ < kWorkPerSliceBytes) {
      return false;
    }
    slice_begin_ = work_bytes;
    slice_units_ = 0;
    const bool yields = are_others_ready();
    slice_units_max_ = yields ? kUnitsPerSliceMin
                              : static_cast<std::uint16_t>(std::min<int>(
                                    slice_units_max_ + kUnitsPerSliceStep, kUnitsPerSlice));
    return yields;
  }

 private:
  // Output::work_bytes() at the start of the turn and of the slice.
  std::size_t work_begin_ = 0;
  std::size_t slice_begin_ = 0;
  // Requests or keys of this slice, and how many it may have.
  std::uint16_t slice_units_ = 0;
  std::uint16_t slice_units_max_ = kUnitsPerSlice;
  std::uint32_t requests_left_ = 0;
};

}  // namespace larder::server
