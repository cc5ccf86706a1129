#include "server/background.h"

namespace larder::server {
namespace {

constexpr std::chrono::milliseconds kPause{50};

}  // namespace

Background::Background(slab::Cache& cache, const Clock& clock)
    : cache_(cache), clock_(clock), lane_(cache.AddLane()) {}

void Background::Start() {
  thread_ = std::thread([this] { Run(); });
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
  const std::uint64_t turn = turns_begun_ + 1;
  is_wanted_ = true;
  changed_.notify_all();
  changed_.wait(lock, [&] { return turns_ended_ >= turn; });
}

void Background::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait_for(lock, kPause, [this] { return is_stopping_ || is_wanted_; });
    if (is_stopping_) return;
    is_wanted_ = false;
    ++turns_begun_;
    lock.unlock();
    Turn();
    lock.lock();
    ++turns_ended_;
    changed_.notify_all();
  }
}

void Background::Turn() {
  lane_.now_s = clock_.now_s();
  cache_.Maintain(lane_);
  cache_.BalancePages(lane_);
}

}  // namespace larder::server
