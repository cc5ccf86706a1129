#include "server/watch/watcher.h"

#include <fmt/format.h>

#include <algorithm>

#include "slab/check.h"

namespace larder::server {
namespace {

// The longest line that tells of skipped lines, with a number of 20 digits.
constexpr std::size_t kNoticeBytesMax = sizeof("skipped=\n") - 1 + 20;

}  // namespace

Watcher::Watcher(WatchFilter filter, std::uint64_t first_number, std::size_t bytes_max,
                 std::function<void()> wake)
    : filter_(std::move(filter)),
      first_number_(first_number),
      bytes_max_(bytes_max),
      wake_(std::move(wake)) {
  LARDER_ASSERT(wake_ != nullptr);
}

std::string Watcher::TakeNotice() {
  const std::uint64_t skipped = std::exchange(skipped_, 0);
  return skipped == 0 ? "" : fmt::format("skipped={}\n", skipped);
}

bool Watcher::Append(std::string_view line) {
  const std::size_t notice_bytes = skipped_ == 0 ? 0 : kNoticeBytesMax;
  if (lines_.size() - taken_ + notice_bytes + line.size() > bytes_max_) {
    ++skipped_;
    return false;
  }
  // What was taken is removed when it is half of the bound, so that each byte moves once at most.
  if (taken_ > bytes_max_ / 2 || taken_ == lines_.size()) {
    lines_.erase(0, std::exchange(taken_, 0));
  }
  lines_.append(TakeNotice()).append(line);
  return true;
}

bool Watcher::Take(std::size_t bytes_max, Output& output) {
  const MutexLock lock(mutex_);
  LARDER_ASSERT(taken_ <= lines_.size());
  if (!has_lines()) {
    const std::string notice = TakeNotice();
    awaits_lines_ = notice.empty();
    output.Append(notice);
    return !awaits_lines_;
  }
  const std::string_view taken = std::string_view(lines_).substr(taken_, bytes_max);
  output.Append(taken);
  taken_ += taken.size();
  return true;
}

}  // namespace larder::server
