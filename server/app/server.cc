#include "server/app/server.h"

#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>

#include "protocol/text/text_reply.h"
#include "server/log.h"
#include "server/signals.h"
#include "server/socket/socket_address.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// The most connections that one wake-up accepts from a listener, so that the clock and the other
// listeners get their turn.
constexpr int kAcceptsPerTurnMax = 64;
// How often the server checks whether it may accept again after a pause: every 10 ms.
constexpr timeval kResumeCheck{.tv_sec = 0, .tv_usec = 10'000};

// Returns a random seed for the hash of keys, so that clients cannot choose keys that collide.
// Throws std::system_error if the system has no random numbers, or if a signal asked to stop while
// it waited for them.
std::uint64_t RandomSeed() {
  std::uint64_t seed = 0;
  for (;;) {
    const ssize_t got = getrandom(&seed, sizeof seed, 0);
    if (got == sizeof seed) return seed;
    // Soon after the machine has booted, getrandom() may wait for entropy; a signal interrupts
    // that.
    if (got >= 0 || (errno == EINTR && !StopIsSignalled())) continue;
    throw std::system_error(errno, std::generic_category(), "no random numbers");
  }
}

// Translates the configuration into the options of the cache.
slab::Cache::Options CacheOptions(const Config& config) {
  slab::Cache::Options options;
  options.memory_bytes = config.memory_bytes;
  options.item_bytes_max = config.item_bytes_max;
  options.chunk_room_min = config.chunk_bytes_min;
  if (config.growth_factor_given) options.growth_factor = config.growth_factor;
  options.evict = config.evict;
  options.lock_memory = config.lock_memory;
  options.prefault = config.prefault;
  options.track_sizes = config.track_sizes;
  options.estimate_miss_ratios = config.estimate_miss_ratios;
  options.count_prefixes = config.count_prefixes;
  options.prefix_delimiter = config.prefix_delimiter;
  options.prefix_shares = config.prefix_shares;
  options.eviction = config.eviction;
  // -o no_slab_reassign forbids all moves of pages, whatever slab_automove says.
  options.page_moves = config.slab_reassign ? config.page_moves : slab::PageMoves::kOff;
  options.drops_max = config.drops_max;
  options.hash_seed = RandomSeed();
  // This key belongs to the cluster's configuration; the cache must not store it.
  options.forbidden_key = kClusterKey;
  options.memory_file = config.memory_file;
  options.now_s = Clock().now_s();
  options.report = [](const std::string& text) { Log(LogLevel::kInfo, "{}", text); };
  // Reserving and restoring a large memory may take long; a signal that asks to stop ends it.
  options.is_cancelled = &StopIsSignalled;
  return options;
}

// Saves the items to the memory file, if there is one, and logs the result. Returns false if they
// could not be saved.
bool SaveCache(slab::Cache& cache, const std::string& path, const slab::SavedMoment& moment) {
  if (!cache.has_memory_file()) return true;
  // Saving may take a while, so the result is logged even without -v.
  const auto saved = cache.Save(moment);
  if (saved) {
    Log(LogLevel::kInfo, "memory file {}: saved {} items", path, *saved);
  } else {
    Log(LogLevel::kError, "memory file {}: not saved, the next start is empty: {}", path,
        saved.error());
  }
  return static_cast<bool>(saved);
}

}  // namespace

Result<std::unique_ptr<Server>, ConfigExit> Server::Create(
    const Config& config, std::unique_ptr<Certificates> certificates) {
  // A signal that asks to stop during the start may make any step fail. The failure is then a
  // success.
  std::string reason;
  try {
    auto created = CreateOrThrow(config, std::move(certificates));
    if (created || !StopIsSignalled()) return created;
    reason = created.error().message;
    // No thread, descriptor or memory was available.
  } catch (const std::exception& error) {
    reason = fmt::format("failed to start: {}", error.what());
    if (!StopIsSignalled()) return ConfigExit::SystemError(std::move(reason));
  }
  return ConfigExit::Success(std::move(reason));
}

Result<std::unique_ptr<Server>, ConfigExit> Server::CreateOrThrow(
    const Config& config, std::unique_ptr<Certificates> certificates) {
  if (config.tls && certificates == nullptr) {
    auto loaded = Certificates::Create(config);
    if (!loaded) return Failure{loaded.error()};
    certificates = std::move(*loaded);
  }
  // They were loaded before the process changed its user, perhaps.
  if (certificates != nullptr) {
    for (const std::string& line : certificates->UnreadableFiles())
      WriteLog(LogLevel::kWarning, line);
  }
  // The cheap steps that can fail come first.
  auto authenticator = Authenticator::Create(config);
  if (!authenticator) return Failure{authenticator.error()};
  auto cache = slab::Cache::Create(CacheOptions(config));
  if (!cache) return ConfigExit::SystemError(cache.error() + "\n");
  // The sockets are opened last: no client can connect while a large memory file is being restored.
  auto listeners = OpenListeners(config);
  if (!listeners) return Failure{listeners.error()};
  std::unique_ptr<Server> server(new Server(config, std::move(certificates),
                                            std::move(*authenticator), std::move(*cache),
                                            std::move(*listeners)));
  if (StopIsSignalled()) {
    return ConfigExit::Success("stopped by a signal before anybody was served");
  }
  server->Open();
  return server;
}

Server::Server(const Config& config, std::unique_ptr<Certificates> certificates,
               std::unique_ptr<Authenticator> authenticator, std::unique_ptr<slab::Cache> cache,
               std::vector<ListenSocket> listeners)
    : config_(config),
      certificates_(std::move(certificates)),
      authenticator_(std::move(authenticator)),
      cache_(std::move(cache)),
      listeners_(std::move(listeners)),
      prefixes_(config.prefix_delimiter),
      cluster_(config.cluster_state),
      stats_(shared_),
      sweep_(*cache_),
      uploads_(*cache_, config.upload_memory_percent, config.upload_staging_bytes()),
      watch_(config, stats_.AddWorker()),
      shared_{.config = config_,
              .cache = *cache_,
              .clock = clock_,
              .prefixes = prefixes_,
              .authenticator = *authenticator_,
              .cluster = cluster_,
              .connections = connections_,
              .stats = stats_,
              .reporter = reporter_,
              .sweep = sweep_,
              .uploads = uploads_,
              .watch = watch_,
              .certificates = certificates_.get(),
              .request_stop = [this] { RequestStop(); },
              .verbosity = config.verbosity,
              .detail_enabled = config.detail_enabled},
      reporter_(shared_),
      lane_(cache_->AddLane()),
      counters_(stats_.AddWorker()),
      cluster_source_(config_, cluster_, counters_),
      background_(*cache_, clock_, sweep_, *authenticator_, watch_, certificates_.get()),
      base_(MakeEventBase()),
      wake_event_(MakeEvent(
          base_.get(), wake_.get(), EV_READ | EV_PERSIST,
          [](int, short, void* self) noexcept {
            auto& server = *static_cast<Server*>(self);
            server.wake_.Clear();
            server.Tick();
          },
          this)),
      second_event_(MakeEvent(
          base_.get(), -1, 0,
          [](int, short, void* self) noexcept { static_cast<Server*>(self)->Tick(); }, this)),
      resume_event_(MakeEvent(
          base_.get(), -1, EV_PERSIST,
          [](int, short, void* self) noexcept { static_cast<Server*>(self)->ResumeAccepting(); },
          this)),
      signal_event_(SignalFd() < 0 ? Event()
                                   : MakeEvent(
                                         base_.get(), SignalFd(), EV_READ | EV_PERSIST,
                                         [](int, short, void* self) noexcept {
                                           static_cast<Server*>(self)->OnSignal();
                                         },
                                         this)) {
  // Parts that commands can change later begin with the configured settings.
  if (!config_.sweeps) sweep_.Disable();
  sweep_.set_pause_min_us(config_.sweep_pause_us);
  sweep_.set_slice_max(config_.sweep_slice_max);
  lane_.SetNow(clock_.now());
  // From here on wake-ups and signals are noticed, although they are handled in Run() only.
  AddEvent(*wake_event_);
  if (signal_event_ != nullptr) AddEvent(*signal_event_);
  for (const ListenSocket& socket : listeners_) Listen(socket);
  // All workers exist before the first of their threads runs.
  for (int i = 0; i < config_.threads; ++i) workers_.emplace_back(shared_);
  LARDER_ASSERT(!workers_.empty());
  reporter_.Start();
  watch_.Start();
  for (Worker& worker : workers_) worker.Start();
  background_.Start();
  cluster_source_.Start();
}

void Server::Listen(const ListenSocket& socket) {
  Listening& listening = listening_.emplace_back();
  listening.server = this;
  listening.socket = &socket;
  listening.info.state.store(ConnectionState::kListening, std::memory_order_relaxed);
  listening.info.last_input_s.store(clock_.now_s(), std::memory_order_relaxed);
  // Listening sockets, too, have an entry in the table of connections, because `stats conns` shows
  // them.
  connections_.Add(socket.fd(), listening.info);
  counters_.Add(Stat::kTotalConnections);
  // The callback runs on the thread that calls Run().
  listening.on_readable = MakeEvent(
      base_.get(), socket.fd(), EV_READ | EV_PERSIST,
      [](int, short, void* self) noexcept {
        auto& ready = *static_cast<Listening*>(self);
        ready.server->Accept(ready);
      },
      &listening);
  AddEvent(*listening.on_readable);
}

void Server::Open() {
  // Until here the cache was used only to add lanes, so every failure has left the memory file as
  // it was.
  if (std::string wrong = cache_->BeginUse(); !wrong.empty()) throw std::runtime_error(wrong);
  clock_.Tick();
  lane_.SetNow(clock_.now());
  cache_->Tick(lane_.now_s);
  // A delayed flush_all of the process before the restart is still due.
  shared_.flush_due.store(cache_->restored_flush_due(), std::memory_order_relaxed);
  FlushIfDue();
  TickNextSecond();
  background_.Begin();
}

Server::~Server() {
  // Everything that may use another member is stopped before any member is destroyed.
  background_.Stop();
  for (Worker& worker : workers_) worker.Stop();
  // These wake workers, so they are stopped while the workers still exist.
  reporter_.Stop();
  watch_.Stop();
  workers_.clear();
  for (const Listening& listening : listening_) connections_.Remove(listening.socket->fd());
}

void Server::OnSignal() {
  // Cleared before the signals are read: one that comes in between makes the descriptor readable
  // again.
  ClearSignalFd();
  // These functions only set flags and wake the loop, so the work is done in one place.
  if (TakeReloadSignal()) RequestReload();
  if (StopIsSignalled()) RequestStop();
}

bool Server::Run() {
  LARDER_ASSERT(!has_run_);
  has_run_ = true;
  // One iteration of the event loop at a time, until RequestStop().
  while (!is_stopping_.load(std::memory_order_acquire)) {
    event_base_loop(base_.get(), EVLOOP_ONCE);
  }
  // No new clients; the workers finish what their connections have in flight.
  for (Listening& listening : listening_) event_del(listening.on_readable.get());
  for (Worker& worker : workers_) worker.RequestStop();
  // All workers are asked before the first one is joined, so that they finish in parallel.
  for (Worker& worker : workers_) worker.Stop();
  reporter_.Stop();
  background_.Stop();
  // From here on no other thread uses the cache, which Save() requires.
  clock_.Tick();
  return SaveCache(*cache_, config_.memory_file,
                   {.now_s = clock_.now().now_s,
                    .wall_ahead_s = clock_.now().wall_ahead_s,
                    .flush_due = shared_.flush_due.load(std::memory_order_relaxed)});
}

void Server::RequestStop() {
  is_stopping_.store(true, std::memory_order_release);
  wake_.Wake();
}

void Server::RequestReload() {
  wants_reload_.store(true, std::memory_order_release);
  wake_.Wake();
}

void Server::AdvanceClock(std::uint32_t seconds) {
  clock_.Advance(seconds);
  AwaitTick();
}

void Server::StepWallClock(std::int32_t seconds) {
  clock_.StepWall(seconds);
  AwaitTick();
}

void Server::AwaitTick() {
  // The loop that handles ticks ends with the server.
  LARDER_ASSERT(!is_stopping_.load(std::memory_order_relaxed));
  // A tick that begins after this increment has seen it; the tick then publishes the number it has
  // seen.
  const std::uint32_t wanted = wanted_ticks_.fetch_add(1, std::memory_order_release) + 1;
  wake_.Wake();
  while (done_ticks_.load(std::memory_order_acquire) < wanted) std::this_thread::yield();
  background_.FinishTurn();
}

int Server::port() const { return listeners_.empty() ? 0 : listeners_.front().port(); }

void Server::Tick() {
  // Read before the tick's work, so that done_ticks_ never claims a tick that began earlier.
  const std::uint32_t wanted = wanted_ticks_.load(std::memory_order_acquire);
  const bool reloads = wants_reload_.exchange(false, std::memory_order_acquire);
  // The background thread reads the files.
  if (reloads) authenticator_->RequestReload();
  if (reloads && certificates_ != nullptr) certificates_->RequestReload();
  clock_.Tick();
  lane_.SetNow(clock_.now());
  cache_->Tick(lane_.now_s);
  FlushIfDue();
  // A request reads the source of the list again in any case; otherwise it is only checked for
  // changes.
  if (reloads) {
    cluster_source_.ReadAgain(lane_);
  } else {
    cluster_source_.Tick(lane_);
  }
  TryBrokenAgain();
  TickNextSecond();
  // Publishes everything that this tick has done, to the test that waits in AwaitTick().
  done_ticks_.store(wanted, std::memory_order_release);
}

void Server::TickNextSecond() {
  // The timer is set again at every tick, because its period would drift from the seconds of the
  // clock.
  const auto wait_us = static_cast<std::int64_t>(clock_.UntilNextSecond().count());
  LARDER_ASSERT(wait_us >= 0 && wait_us <= 1'000'000);
  const timeval wait{.tv_sec = wait_us / 1'000'000, .tv_usec = wait_us % 1'000'000};
  event_add(second_event_.get(), &wait);
}

void Server::FlushIfDue() {
  slab::Expiry due = shared_.flush_due.load(std::memory_order_relaxed);
  // Only the value that was due is replaced: a flush_all that a worker stores in between must not
  // be lost.
  if (due.IsOver(lane_) &&
      shared_.flush_due.compare_exchange_strong(due, {}, std::memory_order_relaxed)) {
    shared_.flushed_s.store(lane_.now_s, std::memory_order_relaxed);
    cache_->FlushAll();
    watch_.SourceOf(lane_).AddFlush();
  }
}

// --- Accepting ---------------------------------------------------------------------------------

void Server::Accept(Listening& listening) {
  for (int accepted = 0; accepted < kAcceptsPerTurnMax; ++accepted) {
    // Without maxconns_fast, connections above the limit stay in the listener's queue.
    if (!config_.maxconns_fast &&
        shared_.clients.load(std::memory_order_relaxed) >= config_.connections_max) {
      // Only if nothing was accepted in this call: then a client is known to be waiting, because
      // the socket was readable.
      if (accepted == 0) PauseAccepting();
      return;
    }
    sockaddr_storage peer{};
    socklen_t peer_bytes = sizeof peer;
    // The address of the client becomes its ClientIdentity.
    const int fd = accept4(listening.socket->fd(), reinterpret_cast<sockaddr*>(&peer), &peer_bytes,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      // Kept, because the log may change errno.
      const int error = errno;
      switch (AcceptErrorOf(error)) {
        case AcceptError::kNoneWaits:
          return;
        case AcceptError::kOneIsLost:
          continue;
        case AcceptError::kNoRoom:
          if (shared_.verbosity.load(std::memory_order_relaxed) > 0) {
            Log(LogLevel::kWarning, "Too many open connections");
          }
          PauseAccepting();
          return;
        case AcceptError::kBroken:
          IgnoreBroken(listening, error);
          return;
      }
    }
    if (shared_.clients.load(std::memory_order_relaxed) >= config_.connections_max) {
      // Counted before the reply: the client that gets the reply may ask for the statistics at
      // once.
      counters_.Add(Stat::kRejectedConnections);
      const auto text = protocol::kTooManyConnections;
      // As in memcached, in the text protocol whatever the client speaks. A failure does not
      // matter.
      (void)send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      close(fd);
      continue;
    }
    // The connection counts from here on; its worker subtracts it when it is closed.
    shared_.clients.fetch_add(1, std::memory_order_relaxed);
    LARDER_ASSERT(next_worker_ < workers_.size());
    workers_[next_worker_].Adopt({.fd = fd,
                                  .terms = listening.socket->terms(),
                                  .identity = ClientIdentity::Of({peer, peer_bytes}, fd)});
    // Connections are distributed evenly by number, not by load: a connection stays with its
    // worker.
    next_worker_ = (next_worker_ + 1) % workers_.size();
  }
}

void Server::PauseAccepting() {
  if (!shared_.accepting.load(std::memory_order_relaxed)) return;
  shared_.accepting.store(false, std::memory_order_relaxed);
  counters_.Add(Stat::kListenDisabled);
  // For the statistic of the time in which no connections were accepted.
  paused_at_ = std::chrono::steady_clock::now();
  // The sockets leave the event loop, which would otherwise report them all the time.
  for (Listening& listening : listening_) event_del(listening.on_readable.get());
  event_add(resume_event_.get(), &kResumeCheck);
}

void Server::ResumeAccepting() {
  // The event is periodic, so returning here means to check again.
  if (shared_.clients.load(std::memory_order_relaxed) >= config_.connections_max) return;
  LARDER_ASSERT(!shared_.accepting.load(std::memory_order_relaxed));
  event_del(resume_event_.get());
  shared_.accepting.store(true, std::memory_order_relaxed);
  counters_.Add(Stat::kTimeInListenDisabledUs,
                static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                               std::chrono::steady_clock::now() - paused_at_)
                                               .count()));
  for (Listening& listening : listening_) {
    // A broken listener is tried again by TryBrokenAgain() only.
    if (!listening.is_broken) event_add(listening.on_readable.get(), nullptr);
  }
}

// Ignores a listener whose accept() fails, until the next second; the other listeners are not
// affected. It is readable all the time and would keep the loop busy. The error is logged once.
void Server::IgnoreBroken(Listening& listening, int error) {
  LARDER_ASSERT(!listening.is_broken);
  event_del(listening.on_readable.get());
  listening.is_broken = true;
  if (std::exchange(listening.has_complained, true)) return;
  Log(LogLevel::kError, "accept() on {}: {}; tried again every second",
      LocalAddress(listening.socket->fd()), std::generic_category().message(error));
}

void Server::TryBrokenAgain() {
  if (!shared_.accepting.load(std::memory_order_relaxed)) return;
  for (Listening& listening : listening_) {
    if (std::exchange(listening.is_broken, false)) event_add(listening.on_readable.get(), nullptr);
  }
}

}  // namespace larder::server
