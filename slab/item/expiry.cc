#include "slab/item/expiry.h"

#include "slab/check.h"

namespace larder::slab {

Expiry Expiry::AtUnixTime(std::uint32_t unix_s, const Now& now) {
  const std::int64_t left_s = std::int64_t{unix_s} - now.wall_s();
  // A time that has passed is stored as long past, so that it stays expired if the wall clock is
  // set back.
  if (left_s <= 0) return LongPast();
  if (unix_s >= kWallEpochS && unix_s - kWallEpochS <= kSecondMask) {
    return Expiry(kByWall | (unix_s - kWallEpochS));
  }
  // The code has no room for the Unix time. The server's own clock is used, as far as it reaches.
  return At(now.now_s + static_cast<std::uint32_t>(std::min(left_s, kFarthestS)));
}

std::int64_t Expiry::SecondsLeft(const Now& now) const {
  LARDER_ASSERT(is_set());
  if ((code_ & kByWall) != 0) {
    return std::int64_t{kWallEpochS} + (code_ & kSecondMask) - now.wall_s();
  }
  return code_ == kLongPast ? -kFarthestS : OwnSecondsLeft(now);
}

bool Expiry::IsOverByWall(const Now& now) const { return SecondsLeft(now) <= 0; }

Expiry Expiry::OnWallTime(const Now& now) const {
  // By the wall clock, or without a time: valid in any process as it is.
  if ((code_ & kByWall) != 0 || code_ <= kLongPast) return *this;
  return At(code_ + static_cast<std::uint32_t>(now.wall_ahead_s));
}

Expiry Expiry::Sooner() const {
  LARDER_ASSERT(is_set());
  if ((code_ & kByWall) != 0) return (code_ & kSecondMask) != 0 ? Expiry(code_ - 1) : *this;
  return code_ <= kLongPast ? *this : At(code_ - 1);
}

}  // namespace larder::slab
