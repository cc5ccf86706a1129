// When items expire, and by which clock.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace larder::slab {

// The time by two clocks. The server's own one counts the seconds that went by since it started,
// from the Unix time of then. The wall clock is what the system says now: it may be set.
struct Now {
  std::uint32_t now_s = 0;        // By the server's own clock.
  std::int32_t wall_ahead_s = 0;  // What the wall clock shows less that.

  // Unix time.
  std::uint32_t wall_s() const { return now_s + static_cast<std::uint32_t>(wall_ahead_s); }
};

// Expiry is a moment by one of the clocks, or never, in the 4 bytes that an item has for it.
//
//   0                         never
//   1                         over, whatever the time is
//   |0|second            31|  by the server's own clock: the low bits, enough for 34 years around
//   now |1|second - kWallEpochS|  by the wall clock
//
// Threads: a plain value.
class Expiry {
 public:
  constexpr Expiry() = default;  // Never.
  static constexpr Expiry LongPast() { return Expiry(kLongPast); }
  // At this second of the server's own clock.
  static constexpr Expiry At(std::uint32_t second) {
    // The codes with a meaning of their own come round once in 68 years, and are two seconds late.
    return Expiry(std::max(second & kSecondMask, kLongPast + 1));
  }
  // At this Unix time, whatever happens to the wall clock until then. One that is not to come is
  // long past, and stays so. What the code has no room for, from 2078 on, goes by the server's own
  // clock, for 34 years at most.
  static Expiry AtUnixTime(std::uint32_t unix_s, const Now& now);

  constexpr bool is_set() const { return code_ != 0; }
  bool IsOver(const Now& now) const {
    if ((code_ & kByWall) != 0) return IsOverByWall(now);
    if (code_ <= kLongPast) return code_ == kLongPast;
    return OwnSecondsLeft(now) <= 0;
  }
  // Negative when it was over before, by far if it is long past. REQUIRES: is_set().
  std::int64_t SecondsLeft(const Now& now) const;
  // As the wall clock will show it. REQUIRES: is_set().
  std::uint32_t UnixTime(const Now& now) const {
    return static_cast<std::uint32_t>(now.wall_s() + SecondsLeft(now));
  }
  // As far from now, where the server's own clock shows what the wall clock shows now: in the
  // process after a restart.
  Expiry OnWallTime(const Now& now) const;
  // A second sooner. REQUIRES: is_set().
  Expiry Sooner() const;

  friend constexpr bool operator==(Expiry, Expiry) = default;

 private:
  static constexpr std::uint32_t kLongPast = 1;
  static constexpr std::uint32_t kByWall = 1U << 31;
  static constexpr std::uint32_t kSecondMask = kByWall - 1;
  static constexpr std::uint32_t kWallEpochS = 1'262'304'000;  // 2010.
  static constexpr std::int64_t kFarthestS = (1 << 30) - 1;    // By the server's own clock.

  explicit constexpr Expiry(std::uint32_t code) : code_(code) {}

  std::int32_t OwnSecondsLeft(const Now& now) const {
    // The difference of 31 bits, with the sign that they give.
    return static_cast<std::int32_t>((code_ - now.now_s) << 1) >> 1;
  }
  // Apart: most items that expire do so by the server's own clock.
  [[gnu::noinline]] bool IsOverByWall(const Now& now) const;

  std::uint32_t code_ = 0;
};
static_assert(sizeof(Expiry) == 4 && std::is_trivially_copyable_v<Expiry>);

}  // namespace larder::slab
