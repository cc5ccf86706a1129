#include "server/net/worker.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "server/session/turn_budget.h"
#include "server/watch/watch_hub.h"
#include "slab/check.h"
#include "slab/sync/thread.h"

namespace larder::server {
namespace {

// While stopping: for how long requests and replies that are under way are received and sent, and
// how long the worker waits while no byte is received or sent.
constexpr std::chrono::seconds kDrainMax{5};
constexpr std::chrono::milliseconds kDrainSilenceMax{500};
// The pause between two turns while stopping.
constexpr useconds_t kDrainPauseUs = 10'000;
// After so many turns without a received byte, values that are incomplete are given up.
constexpr int kQuietRoundsMax = 4;
// For so many turns the worker goes on at least, if there are clients that watch.
constexpr int kRoundsWatched = 2;
// How often uploads are checked for progress. Upload::CheckForSlowness() counts on it.
constexpr timeval kUploadCheck{.tv_sec = 0, .tv_usec = 250'000};
// How often the worker looks whether other workers have given upload memory back.
constexpr timeval kMemoryCheck{.tv_sec = 0, .tv_usec = 5'000};

}  // namespace

Worker::Worker(Shared& shared)
    : shared_(shared),
      workspace_(shared, *this),
      wires_(workspace_),
      base_(MakeEventBase()),
      tls_(shared, shared.watch.SourceOf(workspace_.lane), workspace_.counters, *base_),
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
  // The callbacks of timers only set a flag, because connections may be destroyed only at the end
  // of a turn.
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
  // The thread has closed its connections itself; those that are left belong to a worker that was
  // run by RunOnce().
  while (connections_ != nullptr) Destroy(*connections_);
  // Clients that were adopted after the thread had ended.
  for (const AcceptedClient& client : handovers_) close(client.fd);
}

void Worker::Start() {
  LARDER_ASSERT(!thread_.joinable() && !is_stopping_.load(std::memory_order_relaxed));
  LARDER_ASSERT(connections_ == nullptr);
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
  LARDER_ASSERT(client.fd >= 0);
  LARDER_ASSERT(shared_.clients.load(std::memory_order_relaxed) > 0);
  {
    const MutexLock lock(mutex_);
    handovers_.push_back(std::move(client));
  }
  wake_.Wake();
}

void Worker::OnWake() {
  // Cleared before the lists are read: a wake-up that comes later leads to another call.
  wake_.Clear();
  // All streams are woken, whichever the wake-up was for. A stream whose content is not ready waits
  // again.
  for (Connection* const connection : std::exchange(awaiting_wake_, {})) connection->WakeStream();
  TakeHandovers();
}

void Worker::TakeHandovers() {
  std::vector<AcceptedClient> taken;
  {
    const MutexLock lock(mutex_);
    // The lock is held for a swap only, because the main thread takes it for each client.
    taken.swap(handovers_);
  }
  // Connections note when they began, and this runs before the turn has read the clock.
  workspace_.lane.SetNow(shared_.clock.now());
  for (AcceptedClient& client : taken) {
    auto* connection =
        new Connection(wires_, *this, {.base = *base_, .tls = tls_}, std::move(client));
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
    // With connections ready, the loop only collects events and does not wait for them.
    const bool waits = ready_.empty() && !tls_.has_holding();
    RunTurn(EVLOOP_ONCE | (waits ? 0 : EVLOOP_NONBLOCK));
  }
  Drain();
  while (connections_ != nullptr) Destroy(*connections_);
}

void Worker::RunTurn(int loop_flags) {
  event_base_loop(base_.get(), loop_flags);
  tls_.BeginTurn();
  LARDER_ASSERT(serving_.empty());
  // The clock is read once per turn: all requests of the turn have the same time.
  workspace_.lane.SetNow(shared_.clock.now());

  // From here on connections that become ready are served in the next turn.
  serving_.swap(ready_);
  for (next_to_serve_ = 0; next_to_serve_ < serving_.size();) {
    Connection* const connection = serving_[next_to_serve_++];
    LARDER_ASSERT(connection->is_ready);
    connection->is_ready = false;
    // A connection that has yielded has many requests: the replies to the others are sent first.
    if (connection->has_yielded) FlushAll();
    const OutputSlice mark = workspace_.output.EndMark();
    connection->Process();
    unflushed_.push_back({connection, workspace_.output.Since(mark)});
    // Replies are not held back until the end of the turn when there are many.
    if (workspace_.output.work_bytes() > kWorkPerFlushBytes) FlushAll();
  }
  // Connections that have yielded are answered after those that became ready meanwhile, unless
  // there are none: then every ready connection is one that has yielded.
  FlushServed();
  if (unflushed_.empty()) {
    workspace_.output.Clear();
  } else if (ready_.size() == unflushed_.size()) {
    FlushAll();
  }
  // Destroyed only now, because the lists above hold pointers to them.
  for (Connection* connection : serving_) {
    if (connection->is_closing()) Destroy(*connection);
  }
  serving_.clear();
  if (is_idle_check_due_ || is_upload_check_due_) [[unlikely]]
    CloseDue();
  if (!awaiting_memory_.empty()) [[unlikely]]
    GiveUploadMemory();
}

bool Worker::AreOthersReady() {
  // Connections of this turn that have not been served yet are ready.
  if (next_to_serve_ < serving_.size()) return true;
  LARDER_ASSERT(next_to_serve_ > 0);
  const Connection* const current = serving_[next_to_serve_ - 1];
  // The connection that is served may be in ready_ itself.
  const auto is_other_ready = [&] {
    return std::ranges::any_of(ready_,
                               [current](const Connection* ready) { return ready != current; });
  };
  if (is_other_ready()) return true;
  // Nothing is known to be ready: collect the events that have arrived since the turn began.
  event_base_loop(base_.get(), EVLOOP_ONCE | EVLOOP_NONBLOCK);
  if (tls_.has_holding()) tls_.NotifyHolding();
  return is_other_ready();
}

void Worker::CloseDue() {
  // Replies are sent before their connections may be closed.
  FlushAll();
  if (std::exchange(is_idle_check_due_, false)) CloseIdle();
  if (std::exchange(is_upload_check_due_, false)) CloseStalledUploads();
}

void Worker::FlushAll() {
  FlushServed();
  for (const auto& [connection, replies] : unflushed_) connection->Flush(replies);
  unflushed_.clear();
  workspace_.output.Clear();
}

void Worker::FlushServed() {
  std::erase_if(unflushed_, [](const Unflushed& unflushed) {
    if (unflushed.connection->has_yielded) return false;
    unflushed.connection->Flush(unflushed.replies);
    return true;
  });
}

void Worker::CloseIdle() {
  LARDER_ASSERT(shared_.config.idle_timeout_s > 0);
  const std::uint32_t now_s = shared_.clock.now_s();
  const auto timeout_s = static_cast<std::uint32_t>(shared_.config.idle_timeout_s);
  for (Connection* connection = connections_; connection != nullptr;) {
    // Read before the connection may be destroyed.
    Connection* next = connection->next;
    if (connection->IsIdleTooLong(now_s, timeout_s)) {
      workspace_.counters.Add(Stat::kIdleKicks);
      connection->set_end_reason(EndReason::kIdle);
      Destroy(*connection);
    }
    connection = next;
  }
}

void Worker::WatchUploads() {
  // A pending check is not postponed by a new upload.
  if (event_pending(upload_event_.get(), EV_TIMEOUT, nullptr) == 0) {
    event_add(upload_event_.get(), &kUploadCheck);
  }
}

void Worker::CloseStalledUploads() {
  const std::uint32_t now_s = shared_.clock.now_s();
  bool has_uploads = false;
  for (Connection* connection = connections_; connection != nullptr;) {
    Connection* next = connection->next;
    if (connection->CheckUploadForStall(now_s)) {
      workspace_.counters.Add(Stat::kUploadKicks);
      connection->set_end_reason(EndReason::kError);
      Destroy(*connection);
    } else {
      has_uploads = has_uploads || connection->uploading() != nullptr;
    }
    connection = next;
  }
  // The timer fires once, so it is started again while there is something to check.
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
  LARDER_ASSERT(std::ranges::find(awaiting_memory_, &connection) == awaiting_memory_.end());
  awaiting_memory_.push_back(&connection);
  event_add(memory_event_.get(), &kMemoryCheck);
}

void Worker::GiveUploadMemory() {
  // The next upload may belong to another worker, which then gives it memory itself.
  while (!awaiting_memory_.empty()) {
    const void* const next_uploading = shared_.uploads.next();
    const auto next = std::ranges::find_if(awaiting_memory_, [&](const Connection* connection) {
      return connection->uploading() == next_uploading;
    });
    if (next == awaiting_memory_.end() || !(*next)->TakeUploadMemory()) break;
    has_given_memory_ = true;
    awaiting_memory_.erase(next);
  }
  if (!awaiting_memory_.empty()) event_add(memory_event_.get(), &kMemoryCheck);
}

// Requests that have arrived are answered, values under way are received, and replies are sent
// while clients take them. Connections that stay silent do not keep the server from stopping.
void Worker::Drain() {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + kDrainMax;
  auto silence_end = steady_clock::now() + kDrainSilenceMax;
  int quiet_rounds = 0;
  // Clients that watch still see what the first rounds do.
  int rounds_watched = shared_.watch.count() != 0 ? kRoundsWatched : 0;
  for (;;) {
    const std::uint64_t written_bytes = workspace_.counters.value(Stat::kBytesWritten);
    const std::uint64_t read_bytes = workspace_.counters.value(Stat::kBytesRead);
    // EVLOOP_ONCE is needed: with NONBLOCK alone libevent would call back for as long as a socket
    // is readable, and the connections read only later in the turn.
    RunTurn(EVLOOP_ONCE | EVLOOP_NONBLOCK);
    const bool has_read = workspace_.counters.value(Stat::kBytesRead) != read_bytes;
    // An upload that has just got memory had no time yet to receive what waits in its socket, so
    // this round does not count as quiet.
    const bool has_given = std::exchange(has_given_memory_, false);
    quiet_rounds = has_read || has_given ? 0 : quiet_rounds + 1;
    const bool may_upload = quiet_rounds < kQuietRoundsMax;
    bool has_pending = has_read || !ready_.empty() || rounds_watched-- > 0;
    // Whether an upload of this worker waits for memory that another worker will give back.
    bool awaits_memory = false;
    for (Connection* connection = connections_; connection != nullptr;
         connection = connection->next) {
      const Uploading* const uploading = connection->uploading();
      awaits_memory = awaits_memory || (uploading != nullptr && uploading->is_queued());
      has_pending =
          has_pending || connection->has_unsent_output() || (may_upload && uploading != nullptr);
    }
    has_pending = has_pending || awaits_memory;
    // Unfinished values that make no progress give their memory to uploads of other workers.
    if (!may_upload) CloseUploads();
    const auto now = steady_clock::now();
    const bool has_written = workspace_.counters.value(Stat::kBytesWritten) != written_bytes;
    // Any progress extends the time in which the worker waits, up to kDrainMax in all.
    if (has_read || has_written || awaits_memory) silence_end = now + kDrainSilenceMax;
    if (!has_pending || now >= std::min(end, silence_end)) return;
    usleep(kDrainPauseUs);
  }
}

void Worker::Destroy(Connection& connection) {
  LARDER_ASSERT((connection.previous == nullptr) == (connections_ == &connection));
  LARDER_ASSERT(connection.next == nullptr || connection.next->previous == &connection);
  // serving_ is not searched: the caller has finished with it or iterates over it.
  if (connection.is_ready) std::erase(ready_, &connection);
  std::erase_if(unflushed_, [&connection](const Unflushed& unflushed) {
    return unflushed.connection == &connection;
  });
  std::erase(awaiting_wake_, &connection);
  std::erase(awaiting_memory_, &connection);
  if (connection.next != nullptr) connection.next->previous = connection.previous;
  (connection.previous != nullptr ? connection.previous->next : connections_) = connection.next;
  delete &connection;
}

}  // namespace larder::server
