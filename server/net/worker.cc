#include "server/net/worker.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "server/session/turn_budget.h"

namespace larder::server {
namespace {

// When stopping: how long requests and replies under way are received and sent, and how long
// nothing of them may come or be taken.
constexpr std::chrono::seconds kDrainMax{5};
constexpr std::chrono::milliseconds kDrainSilenceMax{500};
constexpr useconds_t kDrainPauseUs = 10'000;
constexpr int kQuietRoundsMax = 4;  // Without a byte, then what has come of values is given up.
// How often uploads are looked at, and whether other workers have given upload memory back.
constexpr timeval kUploadCheck{.tv_sec = 0, .tv_usec = 250'000};
constexpr timeval kMemoryCheck{.tv_sec = 0, .tv_usec = 5'000};

}  // namespace

Worker::Worker(Shared& shared)
    : shared_(shared),
      workspace_(shared, *this),
      wires_(workspace_),
      base_(MakeEventBase()),
      wake_event_(MakeEvent(
          base_.get(), wake_.get(), EV_READ | EV_PERSIST,
          [](int, short, void* self) noexcept { static_cast<Worker*>(self)->OnWake(); }, this)),
      upload_event_(MakeEvent(
          base_.get(), -1, 0,
          [](int, short, void* self) noexcept {
            static_cast<Worker*>(self)->is_upload_check_due_ = true;
          },
          this)),
      memory_event_(MakeEvent(
          base_.get(), -1, 0,
          [](int, short, void* self) noexcept { static_cast<Worker*>(self)->GiveUploadMemory(); },
          this)) {
  AddEvent(*wake_event_);
  if (shared_.config.idle_timeout_s > 0) {
    second_event_ = MakeEvent(
        base_.get(), -1, EV_PERSIST,
        [](int, short, void* self) noexcept {
          static_cast<Worker*>(self)->is_idle_check_due_ = true;
        },
        this);
    const timeval second{.tv_sec = 1, .tv_usec = 0};
    AddEvent(*second_event_, &second);
  }
}

Worker::~Worker() {
  Stop();
  while (connections_ != nullptr) Destroy(*connections_);  // If it had no thread of its own.
  for (const AcceptedClient& client : handovers_) close(client.fd);  // Came too late.
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

void Worker::Adopt(AcceptedClient client) {
  {
    const MutexLock lock(mutex_);
    handovers_.push_back(std::move(client));
  }
  wake_.Wake();
}

void Worker::OnWake() {
  wake_.Clear();
  // Those whose time has not come wait again.
  for (Connection* const connection : std::exchange(awaiting_, {})) connection->WakeStream();
  TakeHandovers();
}

void Worker::TakeHandovers() {
  std::vector<AcceptedClient> taken;
  {
    const MutexLock lock(mutex_);
    taken.swap(handovers_);
  }
  workspace_.lane.SetNow(shared_.clock.now());
  for (AcceptedClient& client : taken) {
    auto* connection = new Connection(wires_, *this, *base_, std::move(client));
    connection->next = connections_;
    if (connections_ != nullptr) connections_->previous = connection;
    connections_ = connection;
    workspace_.counters.Add(Stat::kTotalConnections);
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
  workspace_.lane.SetNow(shared_.clock.now());

  serving_.swap(ready_);
  for (served_ = 0; served_ < serving_.size();) {
    Connection* const connection = serving_[served_++];
    connection->is_ready = false;
    // What others were answered does not wait for one that has a lot to ask.
    if (connection->has_yielded) FlushAll();
    connection->Process();
    unflushed_.push_back(connection);
    if (workspace_.output.work_bytes() > kWorkPerFlushBytes) FlushAll();
  }
  // Those that are ready meanwhile are answered before one that has yielded to them.
  FlushServed();
  if (unflushed_.empty()) {
    workspace_.output.Clear();
  } else if (ready_.size() == unflushed_.size()) {
    FlushAll();
  }
  for (Connection* connection : serving_) {
    if (connection->is_closing()) Destroy(*connection);
  }
  serving_.clear();
  if (is_idle_check_due_ || is_upload_check_due_) [[unlikely]]
    CloseDue();
  if (!uploading_.empty()) [[unlikely]]
    GiveUploadMemory();
}

bool Worker::AreOthersReady() {
  if (served_ < serving_.size()) return true;
  const Connection* const current = serving_[served_ - 1];
  const auto is_other_ready = [&] {
    return std::ranges::any_of(ready_,
                               [current](const Connection* ready) { return ready != current; });
  };
  if (is_other_ready()) return true;
  event_base_loop(base_.get(), EVLOOP_ONCE | EVLOOP_NONBLOCK);
  return is_other_ready();
}

void Worker::CloseDue() {
  FlushAll();
  if (std::exchange(is_idle_check_due_, false)) CloseIdle();
  if (std::exchange(is_upload_check_due_, false)) CloseStalledUploads();
}

void Worker::FlushAll() {
  FlushServed();
  for (Connection* connection : unflushed_) connection->Flush();
  unflushed_.clear();
  workspace_.output.Clear();
}

void Worker::FlushServed() {
  std::erase_if(unflushed_, [](Connection* connection) {
    if (connection->has_yielded) return false;
    connection->Flush();
    return true;
  });
}

void Worker::CloseIdle() {
  const std::uint32_t now_s = shared_.clock.now_s();
  const auto timeout_s = static_cast<std::uint32_t>(shared_.config.idle_timeout_s);
  for (Connection* connection = connections_; connection != nullptr;) {
    Connection* next = connection->next;
    if (connection->is_idle_too_long(now_s, timeout_s)) {
      workspace_.counters.Add(Stat::kIdleKicks);
      Destroy(*connection);
    }
    connection = next;
  }
}

void Worker::WatchUploads() {
  if (event_pending(upload_event_.get(), EV_TIMEOUT, nullptr) == 0) {
    event_add(upload_event_.get(), &kUploadCheck);
  }
}

void Worker::CloseStalledUploads() {
  const std::uint32_t now_s = shared_.clock.now_s();
  bool has_uploads = false;
  for (Connection* connection = connections_; connection != nullptr;) {
    Connection* next = connection->next;
    if (connection->IsUploadStalled(now_s)) {
      workspace_.counters.Add(Stat::kUploadKicks);
      Destroy(*connection);
    } else {
      has_uploads = has_uploads || connection->uploading() != nullptr;
    }
    connection = next;
  }
  if (has_uploads) event_add(upload_event_.get(), &kUploadCheck);
}

void Worker::CloseUploads() {
  for (Connection* connection = connections_; connection != nullptr;) {
    Connection* next = connection->next;
    const Uploading* const uploading = connection->uploading();
    if (uploading != nullptr && uploading->holds_memory()) Destroy(*connection);
    connection = next;
  }
}

void Worker::AwaitUploadMemory(Connection& connection) {
  uploading_.push_back(&connection);
  event_add(memory_event_.get(), &kMemoryCheck);
}

void Worker::GiveUploadMemory() {
  while (!uploading_.empty()) {
    const void* const next_uploading = shared_.uploads.next();
    const auto next = std::ranges::find_if(uploading_, [&](const Connection* connection) {
      return connection->uploading() == next_uploading;
    });
    if (next == uploading_.end() || !(*next)->TakeUploadMemory()) break;
    has_given_memory_ = true;
    uploading_.erase(next);
  }
  if (!uploading_.empty()) event_add(memory_event_.get(), &kMemoryCheck);
}

// Requests that have arrived are answered, and replies under way are sent while clients take them.
void Worker::Drain() {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + kDrainMax;
  auto silence_end = steady_clock::now() + kDrainSilenceMax;
  int quiet_rounds = 0;
  for (;;) {
    const std::uint64_t written_bytes = workspace_.counters.value(Stat::kBytesWritten);
    const std::uint64_t read_bytes = workspace_.counters.value(Stat::kBytesRead);
    // Once: with NONBLOCK alone libevent calls back for as long as a socket is readable, and
    // reading comes only later in the turn.
    RunTurn(EVLOOP_ONCE | EVLOOP_NONBLOCK);
    const bool has_read = workspace_.counters.value(Stat::kBytesRead) != read_bytes;
    // One that got memory just now has not had the time to take in what waits in its socket.
    const bool has_given = std::exchange(has_given_memory_, false);
    quiet_rounds = has_read || has_given ? 0 : quiet_rounds + 1;
    const bool may_upload = quiet_rounds < kQuietRoundsMax;
    bool has_pending = has_read || !ready_.empty();
    bool awaits_memory = false;  // That other workers will give back.
    for (Connection* connection = connections_; connection != nullptr;
         connection = connection->next) {
      const Uploading* const uploading = connection->uploading();
      awaits_memory = awaits_memory || (uploading != nullptr && uploading->is_queued());
      has_pending =
          has_pending || connection->has_unsent_output() || (may_upload && uploading != nullptr);
    }
    has_pending = has_pending || awaits_memory;
    if (!may_upload) CloseUploads();
    const auto now = steady_clock::now();
    const bool has_written = workspace_.counters.value(Stat::kBytesWritten) != written_bytes;
    if (has_read || has_written || awaits_memory) silence_end = now + kDrainSilenceMax;
    if (!has_pending || now >= std::min(end, silence_end)) return;
    usleep(kDrainPauseUs);
  }
}

void Worker::Destroy(Connection& connection) {
  if (connection.is_ready) std::erase(ready_, &connection);
  std::erase(unflushed_, &connection);
  std::erase(awaiting_, &connection);
  std::erase(uploading_, &connection);
  if (connection.next != nullptr) connection.next->previous = connection.previous;
  (connection.previous != nullptr ? connection.previous->next : connections_) = connection.next;
  delete &connection;
}

}  // namespace larder::server
