// Expiry: when an item expires, and by which clock.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace larder::slab {

// The present time by two clocks. The server's own clock counts the seconds that have passed since
// the server started, from the Unix time of its start. The wall clock is the system's time, which
// can be set to another time while the server runs.
struct Now {
  // Seconds by the server's own clock.
  std::uint32_t now_s = 0;
  // Wall clock less the server's own clock, in seconds.
  std::int32_t wall_ahead_s = 0;

  // Unix time by the wall clock, in seconds.
  std::uint32_t wall_s() const { return now_s + static_cast<std::uint32_t>(wall_ahead_s); }
};

// Expiry is a moment by one of the two clocks, or never, in the 4 bytes that an item has for it.
//
//   0                             never
//   1                             expired, whatever the time is
//   |0|second               31|   by the server's own clock: the low bits, 34 years around now
//   |1|second - kWallEpochS 31|   by the wall clock
//
// Threads:    immutable value.
class Expiry {
 public:
  // Never.
  constexpr Expiry() = default;
  // A time that has passed by any clock.
  static constexpr Expiry LongPast() { return Expiry(kLongPast); }
  // The moment at which the server's own clock shows `second`. Moments more than 34 years away are
  // misread.
  static constexpr Expiry At(std::uint32_t second) {
    // The seconds whose code has another meaning come once in 68 years. They are two seconds late.
    return Expiry(std::max(second & kSecondMask, kLongPast + 1));
  }
  // The moment at which the wall clock will show `unix_s`, even if the wall clock is set until
  // then. A time that is not in the future becomes LongPast(), and stays so. Times from 2078 on do
  // not fit into the code and go by the server's own clock, for 34 years at most.
  static Expiry AtUnixTime(std::uint32_t unix_s, const Now& now);

  // False: never.
  constexpr bool is_set() const { return code_ != 0; }
  // True if the moment has come, by the clock that it goes by.
  bool IsOver(const Now& now) const {
    if ((code_ & kByWall) != 0) return IsOverByWall(now);
    if (code_ <= kLongPast) return code_ == kLongPast;
    return OwnSecondsLeft(now) <= 0;
  }
  // Seconds until the moment; 0 or negative if it has come, a large negative number for LongPast().
  // REQUIRES: is_set().
  std::int64_t SecondsLeft(const Now& now) const;
  // The Unix time that the wall clock will show at that moment. REQUIRES: is_set().
  std::uint32_t UnixTime(const Now& now) const {
    return static_cast<std::uint32_t>(now.wall_s() + SecondsLeft(now));
  }
  // Returns the expiry that is as far from now for a process whose own clock starts with the
  // present wall time. It is saved for the process after a restart.
  Expiry OnWallTime(const Now& now) const;
  // The moment one second earlier; LongPast() and the first second of the wall clock's codes stay
  // as they are. REQUIRES: is_set().
  Expiry Sooner() const;

  friend constexpr bool operator==(Expiry, Expiry) = default;

 private:
  static constexpr std::uint32_t kLongPast = 1;
  static constexpr std::uint32_t kByWall = 1U << 31;
  static constexpr std::uint32_t kSecondMask = kByWall - 1;
  // The wall clock's codes count from 2010, in Unix time.
  static constexpr std::uint32_t kWallEpochS = 1'262'304'000;
  // The furthest moment in seconds that a code by the server's own clock can reach.
  static constexpr std::int64_t kFarthestS = (1 << 30) - 1;

  explicit constexpr Expiry(std::uint32_t code) : code_(code) {}

  std::int32_t OwnSecondsLeft(const Now& now) const {
    // The difference has 31 bits; the shift extends its highest bit to the sign.
    return static_cast<std::int32_t>((code_ - now.now_s) << 1) >> 1;
  }
  // Not inlined, because most items that expire do so by the server's own clock.
  [[gnu::noinline]] bool IsOverByWall(const Now& now) const;

  // As the table above says.
  std::uint32_t code_ = 0;
};
static_assert(sizeof(Expiry) == 4 && std::is_trivially_copyable_v<Expiry>);

}  // namespace larder::slab
