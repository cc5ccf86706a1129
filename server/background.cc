#include "server/background.h"

#include <algorithm>

#include "server/watch/watch_hub.h"
#include "slab/cache.h"
#include "slab/check.h"
#include "slab/expiry_sweep.h"
#include "slab/sync/thread.h"

namespace larder::server {
namespace {

// The pause between two turns, and the longest pause between two slices of the sweep.
constexpr std::chrono::milliseconds kPause{50};

}  // namespace

Background::Background(slab::Cache& cache, const Clock& clock, slab::ExpirySweep& sweep,
                       Authenticator& authenticator, WatchHub& watch, Certificates* certificates)
    : cache_(cache),
      clock_(clock),
      sweep_(sweep),
      authenticator_(authenticator),
      certificates_(certificates),
      lane_(cache.AddLane()) {
  // Clients may watch what the thread moves and removes.
  watch.SourceOf(lane_);
}

void Background::Start() {
  LARDER_ASSERT(!thread_.joinable());
  thread_ = StartThread([this] { Run(); });
}

void Background::Begin() {
  {
    const std::lock_guard lock(mutex_);
    has_begun_ = true;
  }
  changed_.notify_all();
}

void Background::Stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Background::FinishTurn() {
  std::unique_lock lock(mutex_);
  LARDER_ASSERT(has_begun_ && !is_stopping_);
  // The turn that is under way may have begun before this call, so its end does not count.
  const std::uint64_t turn = turns_begun_ + 1;
  is_wanted_ = true;
  changed_.notify_all();
  changed_.wait(lock, [&] { return turns_ended_ >= turn; });
}

void Background::Run() {
  using std::chrono::steady_clock;
  auto next_turn = steady_clock::now() + kPause;
  std::chrono::microseconds pause = kPause;
  std::unique_lock lock(mutex_);

  // Until Begin() the cache is not in use yet.
  changed_.wait(lock, [this] { return is_stopping_ || has_begun_; });
  for (;;) {
    // Sleeps until the next slice or turn is due, or until another thread wants something.
    changed_.wait_for(lock, pause, [this] { return is_stopping_ || is_wanted_; });
    if (is_stopping_) return;
    const auto now = steady_clock::now();
    // A slice may be due earlier than the next turn.
    const bool is_turn = is_wanted_ || now >= next_turn;
    is_wanted_ = false;
    if (is_turn) ++turns_begun_;
    // The work is done without the lock, so that Stop() and FinishTurn() never block on it.
    lock.unlock();
    lane_.SetNow(clock_.now());
    if (is_turn) Turn();
    // The sweep determines the pause until its next slice.
    pause = sweep_.Slice(steady_clock::now(), lane_);
    if (is_turn) next_turn = now + kPause;
    pause = std::min(pause, std::chrono::duration_cast<std::chrono::microseconds>(kPause));
    LARDER_ASSERT(pause.count() >= 0);
    lock.lock();
    if (!is_turn) continue;
    // The end is published after the slice, as FinishTurn() promises.
    ++turns_ended_;
    LARDER_ASSERT(turns_ended_ == turns_begun_);
    changed_.notify_all();
  }
}

void Background::Turn() {
  // First the cache: looking at files may block.
  cache_.Maintain(lane_);
  cache_.BalancePages(lane_);
  authenticator_.Look(lane_.now_s);
  if (certificates_ != nullptr) certificates_->Look(lane_.now_s);
}

}  // namespace larder::server
