#include "server/worker.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "server/stats.h"

namespace larder::server {
namespace {

// When stopping: how long replies under way are sent, and how long clients may take none of them.
constexpr std::chrono::seconds kDrainMax{5};
constexpr std::chrono::milliseconds kDrainSilenceMax{500};
constexpr useconds_t kDrainPauseUs = 10'000;

}  // namespace

Worker::Worker(Shared& shared)
    : shared_(shared),
      lane_(shared.cache.AddLane()),
      counters_(shared.stats.AddWorker()),
      base_(MakeEventBase()),
      wake_event_(MakeEvent(
          base_.get(), wake_.get(), EV_READ | EV_PERSIST,
          [](int, short, void* self) noexcept { static_cast<Worker*>(self)->TakeHandovers(); },
          this)),
      second_event_(nullptr, &event_free),
      input_area_(std::make_unique<char[]>(kInputBytes + protocol::kInputSlackBytes)),
      executor_(shared, lane_, counters_, output_),
      binary_executor_(shared, lane_, counters_, output_) {
  counters_.buffers.Add(Buffer::kInput, kInputBytes + protocol::kInputSlackBytes + sizeof(Batch));
  output_.CountIn(counters_.buffers.at(Buffer::kOutput));
  lane_.now_s = shared_.clock.now_s();
  AddEvent(*wake_event_);
  if (shared_.config.idle_timeout_s > 0) {
    second_event_ = MakeEvent(
        base_.get(), -1, EV_PERSIST,
        [](int, short, void* self) noexcept { static_cast<Worker*>(self)->CloseIdle(); }, this);
    const timeval second{.tv_sec = 1, .tv_usec = 0};
    AddEvent(*second_event_, &second);
  }
}

Worker::~Worker() {
  Stop();
  for (const Handover& handover : handovers_) close(handover.fd);  // Came too late.
}

void Worker::Start() {
  thread_ = StartThread([this] { Run(); });
}

void Worker::RequestStop() {
  is_stopping_.store(true, std::memory_order_release);
  wake_.Wake();
}

void Worker::Stop() {
  if (!thread_.joinable()) return;
  RequestStop();
  thread_.join();
}

void Worker::Adopt(int fd, Connection::Kind kind) {
  {
    const MutexLock lock(mutex_);
    handovers_.push_back({.fd = fd, .kind = kind});
  }
  wake_.Wake();
}

void Worker::TakeHandovers() {
  wake_.Clear();
  std::vector<Handover> taken;
  {
    const MutexLock lock(mutex_);
    taken.swap(handovers_);
  }
  lane_.now_s = shared_.clock.now_s();
  for (const Handover& handover : taken) {
    auto* connection = new Connection(*this, handover.fd, handover.kind);
    connection->next = connections_;
    if (connections_ != nullptr) connections_->previous = connection;
    connections_ = connection;
    counters_.Add(Stat::kTotalConnections);
  }
}

void Worker::MakeReady(Connection& connection) {
  if (connection.is_ready) return;
  connection.is_ready = true;
  ready_.push_back(&connection);
}

void Worker::Run() {
  while (!is_stopping_.load(std::memory_order_acquire)) {
    RunTurn(EVLOOP_ONCE | (ready_.empty() ? 0 : EVLOOP_NONBLOCK));
  }
  Drain();
  while (connections_ != nullptr) Destroy(*connections_);
}

void Worker::RunTurn(int loop_flags) {
  event_base_loop(base_.get(), loop_flags);
  lane_.now_s = shared_.clock.now_s();

  serving_.swap(ready_);
  for (Connection* connection : serving_) {
    connection->is_ready = false;
    connection->Process();
    unflushed_.push_back(connection);
    if (output_.stream_bytes() > kOutputPerTurnBytes) FlushAll();
  }
  FlushAll();
  for (Connection* connection : serving_) {
    if (connection->is_closing()) Destroy(*connection);
  }
  serving_.clear();
}

void Worker::FlushAll() {
  for (Connection* connection : unflushed_) connection->Flush();
  unflushed_.clear();
  output_.Clear();
}

void Worker::FlushWith(Connection& current) {
  unflushed_.push_back(&current);
  FlushAll();
}

void Worker::CloseIdle() {
  const std::uint32_t now_s = shared_.clock.now_s();
  const auto timeout_s = static_cast<std::uint32_t>(shared_.config.idle_timeout_s);
  for (Connection* connection = connections_; connection != nullptr;) {
    Connection* next = connection->next;
    if (connection->is_idle_too_long(now_s, timeout_s)) {
      counters_.Add(Stat::kIdleKicks);
      Destroy(*connection);
    }
    connection = next;
  }
}

// Requests that have arrived are answered, and replies under way are sent while clients take them.
void Worker::Drain() {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + kDrainMax;
  auto silence_end = steady_clock::now() + kDrainSilenceMax;
  for (;;) {
    const std::uint64_t written_bytes = counters_.value(Stat::kBytesWritten);
    // Once: with NONBLOCK alone libevent calls back for as long as a socket is readable, and
    // reading comes only later in the turn.
    RunTurn(EVLOOP_ONCE | EVLOOP_NONBLOCK);
    bool has_pending = !ready_.empty();
    for (Connection* connection = connections_; connection != nullptr;
         connection = connection->next) {
      has_pending = has_pending || connection->has_pending_output();
    }
    const auto now = steady_clock::now();
    if (counters_.value(Stat::kBytesWritten) != written_bytes) silence_end = now + kDrainSilenceMax;
    if (!has_pending || now >= std::min(end, silence_end)) return;
    usleep(kDrainPauseUs);
  }
}

void Worker::Destroy(Connection& connection) {
  if (connection.is_ready) std::erase(ready_, &connection);
  if (connection.next != nullptr) connection.next->previous = connection.previous;
  (connection.previous != nullptr ? connection.previous->next : connections_) = connection.next;
  delete &connection;
}

}  // namespace larder::server
