#include "server/watch/watcher.h"

#include <fmt/format.h>

#include <algorithm>

#include "slab/check.h"

namespace larder::server {

Watcher::Watcher(WatchFilter filter, std::uint64_t first_number, std::size_t bytes_max,
                 std::function<void()> wake)
    : filter_(std::move(filter)),
      first_number_(first_number),
      bytes_max_(bytes_max),
      wake_(std::move(wake)) {
  LARDER_ASSERT(wake_ != nullptr);
}

bool Watcher::Append(std::string_view line) {
  std::string notice;
  if (skipped_ != 0) notice = fmt::format("skipped={}\n", skipped_);
  if (lines_.size() - taken_ + notice.size() + line.size() > bytes_max_) {
    ++skipped_;
    return false;
  }
  skipped_ = 0;
  // What was taken is removed when it is half of the bound, so that each byte moves once at most.
  if (taken_ > bytes_max_ / 2 || taken_ == lines_.size()) {
    lines_.erase(0, std::exchange(taken_, 0));
  }
  lines_.append(notice).append(line);
  return true;
}

bool Watcher::Take(std::size_t bytes_max, Output& output) {
  const MutexLock lock(mutex_);
  LARDER_ASSERT(taken_ <= lines_.size());
  awaits_lines_ = !has_lines();
  if (awaits_lines_) return false;
  const std::string_view taken = std::string_view(lines_).substr(taken_, bytes_max);
  output.Append(taken);
  taken_ += taken.size();
  return true;
}

}  // namespace larder::server
