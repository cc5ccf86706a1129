// How much one session may have served before other clients come first.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace larder::server {

// When its requests have made so much work (Output::work_bytes), a session's turn is over: 10 to
// 25 us. With the largest value on top, it is also the most of replies that is kept for a client
// that does not read. The replies are sent at once, which nothing interrupts: with four times as
// many, a small request beside binary gets waits 1.5 times as long.
inline constexpr std::size_t kWorkPerTurnBytes = 64 * 1024;
// Replies of several sessions are sent when they have made so much work together.
inline constexpr std::size_t kWorkPerFlushBytes = 256 * 1024;
// A turn consists of slices. After each it is asked whether other clients are ready: a turn that
// goes on until it has nothing left costs less, but only alone. A slice is so many requests or
// keys, or so much work: 10 to 40 us.
inline constexpr std::size_t kUnitsPerSlice = 128;
inline constexpr std::size_t kWorkPerSliceBytes = 32 * 1024;
// While others come often a slice is shorter. It becomes longer by kUnitsPerSliceStep each time
// that none came. Until it has its whole length again, only kInputBytesBesideOthers are received at
// once: nothing interrupts the sending of the replies to them.
inline constexpr std::size_t kUnitsPerSliceMin = 32;
inline constexpr std::size_t kUnitsPerSliceStep = 2;
inline constexpr std::size_t kInputBytesBesideOthers = 32 * 1024;

// TurnBudget is what a session has left of its turn, and of the slice that it is in.
//
// Threads: one worker.
class TurnBudget {
 public:
  // `work_bytes`: Output::work_bytes() now. REQUIRES: requests_max > 0.
  void Begin(std::size_t work_bytes, std::uint32_t requests_max) {
    work_begin_ = slice_begin_ = work_bytes;
    requests_left_ = requests_max;
    slice_units_ = 0;
  }

  // Others came often while the last slices were served.
  bool others_come_often() const { return slice_units_max_ < kUnitsPerSlice; }
  std::uint32_t requests_left() const { return requests_left_; }
  // The value of Output::work_bytes() above which the turn is over.
  std::size_t work_bytes_max() const { return work_begin_ + kWorkPerTurnBytes; }

  // All keys of a retrieval line count as one request, and as a unit each.
  void Spend(std::uint32_t requests, std::size_t units) {
    requests_left_ -= requests;
    slice_units_ += units;
  }

  // The turn has made enough work, or its slice has and others are ready.
  template <class AreOthersReady>
  bool IsSpent(std::size_t work_bytes, const AreOthersReady& are_others_ready) {
    if (work_bytes > work_bytes_max()) return true;
    if (slice_units_ < slice_units_max_ && work_bytes - slice_begin_ < kWorkPerSliceBytes) {
      return false;
    }
    slice_begin_ = work_bytes;
    slice_units_ = 0;
    const bool yields = are_others_ready();
    slice_units_max_ = yields ? kUnitsPerSliceMin
                              : std::min(slice_units_max_ + kUnitsPerSliceStep, kUnitsPerSlice);
    return yields;
  }

 private:
  std::size_t work_begin_ = 0;
  std::size_t slice_begin_ = 0;
  std::size_t slice_units_ = 0;
  std::size_t slice_units_max_ = kUnitsPerSlice;
  std::uint32_t requests_left_ = 0;
};

}  // namespace larder::server
