#include "server/clock.h"

namespace larder::server {

using std::chrono::seconds;

Clock::Reading Clock::Read() {
  using std::chrono::steady_clock;
  // Two readings that are further apart than this are not taken for one moment.
  constexpr std::chrono::milliseconds kAtOnce{100};
  constexpr int kTriesMax = 10;
  Reading reading;
  for (int tries = 0; tries < kTriesMax; ++tries) {
    reading = {.own = steady_clock::now(), .wall = std::chrono::system_clock::now()};
    // If the thread was interrupted between the two readings, they do not belong to one moment.
    if (steady_clock::now() - reading.own <= kAtOnce) break;
  }
  return reading;
}

void Clock::FollowWall(const Reading& now) {
  // Differences up to this are not a sign that the system's time was set.
  constexpr seconds kToleratedMax{2};
  const auto ahead = (now.wall - wall_at_start_) - (now.own - started_at_) +
                     seconds(stepped_s_.load(std::memory_order_relaxed));
  const seconds shown(wall_ahead_s_.load(std::memory_order_relaxed));
  if (std::chrono::abs(ahead - shown) <= kToleratedMax) return;
  wall_ahead_s_.store(static_cast<std::int32_t>(std::chrono::round<seconds>(ahead).count()),
                      std::memory_order_relaxed);
}

}  // namespace larder::server
