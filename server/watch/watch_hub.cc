#include "server/watch/watch_hub.h"

#include <poll.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "server/watch/event_line.h"
#include "slab/check.h"
#include "slab/sync/thread.h"

namespace larder::server {
namespace {

// How long the thread waits for more events after the first one, in milliseconds: one wake-up of
// the thread and of the watchers' workers then serves many.
constexpr int kGatherMs = 1;

// Waits until the descriptor is readable, or for `timeout_ms` milliseconds; -1: for ever.
void AwaitReadable(int fd, int timeout_ms) {
  pollfd polled{.fd = fd, .events = POLLIN, .revents = 0};
  // An interrupted wait ends early, which does no harm.
  (void)poll(&polled, 1, timeout_ms);
}

}  // namespace

void WatchHub::Start() {
  LARDER_ASSERT(!thread_.joinable());
  thread_ = StartThread([this] { Run(); });
}

void WatchHub::Stop() {
  if (!thread_.joinable()) return;
  is_stopping_.store(true, std::memory_order_release);
  numbers_.wake.Wake();
  thread_.join();
}

EventSource& WatchHub::SourceOf(slab::Lane& lane) {
  const MutexLock lock(sources_mutex_);
  const auto [found, is_new] = sources_.try_emplace(lane.number, numbers_, limits_.source_bytes);
  EventSource& source = found->second;
  if (is_new) {
    source.SetWanted(wanted_, slow_us_);
    lane.observer = &source;
  }
  return source;
}

std::shared_ptr<Watcher> WatchHub::Add(WatchFilter filter, std::function<void()> wake) {
  const MutexLock lock(watchers_mutex_);
  if (watchers_.size() >= limits_.watchers_max) return nullptr;
  // A watcher takes a number itself: it gets the events after it.
  const std::uint64_t number = numbers_.next.fetch_add(1, std::memory_order_seq_cst);
  watchers_.push_back(
      std::make_shared<Watcher>(std::move(filter), number, limits_.watcher_bytes, std::move(wake)));
  Announce();
  return watchers_.back();
}

void WatchHub::Remove(const std::shared_ptr<Watcher>& watcher) {
  const MutexLock lock(watchers_mutex_);
  std::erase(watchers_, watcher);
  Announce();
}

void WatchHub::Announce() {
  StreamSet wanted = 0;
  std::uint64_t slow_us = std::numeric_limits<std::uint64_t>::max();
  for (const auto& watcher : watchers_) {
    wanted |= watcher->filter().streams();
    slow_us = std::min(slow_us, watcher->filter().slow_us());
  }
  count_.store(watchers_.size(), std::memory_order_relaxed);
  all_wanted_.store(wanted, std::memory_order_relaxed);
  const MutexLock lock(sources_mutex_);
  wanted_ = wanted;
  slow_us_ = slow_us;
  for (auto& [lane, source] : sources_) source.SetWanted(wanted, slow_us);
}

void WatchHub::Run() {
  while (AwaitEvents()) Round();
}

bool WatchHub::AwaitEvents() {
  AwaitReadable(numbers_.wake.get(), -1);
  numbers_.wake.Clear();
  if (is_stopping_.load(std::memory_order_acquire)) return false;
  // A source whose ring fills up ends this wait.
  AwaitReadable(numbers_.wake.get(), kGatherMs);
  numbers_.wake.Clear();
  return !is_stopping_.load(std::memory_order_acquire);
}

void WatchHub::Round() { Deliver(Collect()); }

EventSource::Losses WatchHub::Collect() {
  events_.clear();
  texts_.clear();
  EventSource::Losses lost{};
  // From here on every source wakes the thread again, so that nothing is left lying.
  numbers_.is_signalled.exchange(false, std::memory_order_seq_cst);
  const std::uint64_t end = numbers_.next.load(std::memory_order_seq_cst);
  {
    const MutexLock lock(sources_mutex_);
    for (auto& [lane, source] : sources_) source.Collect(end, events_, texts_, lost);
  }
  // Every number below `end` is here or was lost, so this is the order of all threads.
  std::ranges::sort(events_, {}, [](const EventRing::Taken& taken) { return taken.event.number; });
  // The texts do not move any more.
  for (EventRing::Taken& taken : events_) {
    taken.event.event.text = std::string_view(texts_).substr(taken.text_at, taken.text_bytes);
  }
  counters_.Add(Stat::kLogWorkerWritten, events_.size());
  for (std::size_t i = 0; i < lost.size(); ++i) {
    const std::uint64_t before = std::exchange(lost_[i], lost[i]);
    LARDER_ASSERT(lost[i] >= before);
    lost[i] -= before;
    counters_.Add(Stat::kLogWorkerDropped, lost[i]);
  }
  return lost;
}

void WatchHub::Deliver(const EventSource::Losses& lost) {
  lines_.assign(events_.size(), {});
  // Copied, so that no worker waits for the round when it adds or removes a watcher.
  std::vector<std::shared_ptr<Watcher>> watchers;
  {
    const MutexLock lock(watchers_mutex_);
    watchers = watchers_;
  }
  for (const auto& watcher : watchers) {
    std::uint64_t lost_for_it = 0;
    for (std::size_t i = 0; i < lost.size(); ++i) {
      const bool is_asked = (watcher->filter().streams() >> i & 1) != 0;
      lost_for_it += is_asked ? lost[i] : 0;
    }
    const Watcher::Round round = watcher->Add(
        lost_for_it, events_.size(),
        [this](std::size_t at) -> const NumberedEvent& { return events_[at].event; },
        [this](std::size_t at) { return LineOf(at); });
    counters_.Add(Stat::kLogWatcherSent, round.sent);
    counters_.Add(Stat::kLogWatcherSkipped, round.skipped);
  }
}

std::string_view WatchHub::LineOf(std::size_t at) {
  LARDER_ASSERT(at < lines_.size());
  std::string& line = lines_[at];
  if (line.empty()) AppendEventLine(line, events_[at].event);
  return line;
}

}  // namespace larder::server
