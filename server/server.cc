#include "server/server.h"

#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>
#include <utility>

#include "protocol/reply.h"
#include "server/log.h"
#include "slab/check.h"

namespace larder::server {
namespace {

constexpr int kExitSystem = 71;
constexpr int kAcceptsPerTurnMax = 64;
constexpr timeval kResumeCheck{.tv_sec = 0, .tv_usec = 10'000};

std::uint64_t RandomSeed() {
  std::uint64_t seed = 0;
  LARDER_CHECK(getrandom(&seed, sizeof seed, 0) == sizeof seed);
  return seed;
}

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
  options.eviction = config.eviction;
  options.page_moves = config.slab_reassign ? config.page_moves : slab::PageMoves::kOff;
  options.hash_seed = RandomSeed();
  options.forbidden_key = kClusterKey;
  options.memory_file = config.memory_file;
  options.now_s = Clock().now_s();
  options.tell = [](const std::string& text) { Log("{}\n", text); };
  return options;
}

void SaveCache(slab::Cache& cache, const std::string& path, const slab::SavedMoment& moment) {
  if (!cache.has_memory_file()) return;
  const auto saved = cache.Save(moment);
  if (saved) {
    Log("memory file {}: saved {} items\n", path, *saved);
  } else {
    Log("memory file {}: not saved, the next start is empty: {}\n", path, saved.error());
  }
}

}  // namespace

Result<std::unique_ptr<Server>, ConfigExit> Server::Create(const Config& config) {
  auto authenticator = Authenticator::Create(config);
  if (!authenticator) return Failure{authenticator.error()};
  auto cache = slab::Cache::Create(CacheOptions(config));
  if (!cache) return Failure{ConfigExit{cache.error() + "\n", kExitSystem}};
  auto listeners = OpenListeners(config);
  if (!listeners) {
    SaveCache(**cache, config.memory_file,
              {.now_s = Clock().now_s(), .flush_due_s = (*cache)->restored_flush_due_s()});
    return Failure{listeners.error()};
  }
  return std::unique_ptr<Server>(
      new Server(config, std::move(*authenticator), std::move(*cache), std::move(*listeners)));
}

Server::Server(const Config& config, std::unique_ptr<Authenticator> authenticator,
               std::unique_ptr<slab::Cache> cache, std::vector<ListenSocket> listeners)
    : config_(config),
      authenticator_(std::move(authenticator)),
      cache_(std::move(cache)),
      listeners_(std::move(listeners)),
      prefixes_(config.prefix_delimiter),
      cluster_(config.cluster_state),
      stats_(shared_),
      sweep_(*cache_),
      uploads_(*cache_, config.upload_memory_percent),
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
              .request_stop = [this] { RequestStop(); },
              .verbosity = config.verbosity,
              .detail_enabled = config.detail_enabled},
      reporter_(shared_),
      lane_(cache_->AddLane()),
      counters_(stats_.AddWorker()),
      cluster_source_(config_, cluster_, counters_),
      background_(*cache_, clock_, sweep_),
      base_(event_base_new(), &event_base_free),
      wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      wake_event_(nullptr, &event_free),
      second_event_(nullptr, &event_free),
      resume_event_(nullptr, &event_free) {
  LARDER_CHECK(base_ != nullptr && wake_fd_ >= 0);
  if (!config_.sweeps) sweep_.Disable();
  sweep_.set_pause_min_us(config_.sweep_pause_us);
  sweep_.set_slice_max(config_.sweep_slice_max);
  wake_event_.reset(event_new(
      base_.get(), wake_fd_, EV_READ | EV_PERSIST,
      [](int fd, short, void* self) noexcept {
        std::uint64_t count = 0;
        (void)!read(fd, &count, sizeof count);
        static_cast<Server*>(self)->Tick();
      },
      this));
  event_add(wake_event_.get(), nullptr);
  second_event_.reset(event_new(
      base_.get(), -1, 0,
      [](int, short, void* self) noexcept { static_cast<Server*>(self)->Tick(); }, this));
  TickNextSecond();
  resume_event_.reset(event_new(
      base_.get(), -1, EV_PERSIST,
      [](int, short, void* self) noexcept { static_cast<Server*>(self)->ResumeAccepting(); },
      this));
  for (const ListenSocket& socket : listeners_) {
    Listening& listening = listening_.emplace_back();
    listening.server = this;
    listening.socket = &socket;
    listening.info.state.store(ConnectionState::kListening, std::memory_order_relaxed);
    listening.info.last_command_s.store(clock_.now_s(), std::memory_order_relaxed);
    connections_.Add(socket.fd(), listening.info);
    counters_.Add(Stat::kTotalConnections);
    listening.on_readable.reset(event_new(
        base_.get(), socket.fd(), EV_READ | EV_PERSIST,
        [](int, short, void* self) noexcept {
          auto& ready = *static_cast<Listening*>(self);
          ready.server->Accept(ready);
        },
        &listening));
    event_add(listening.on_readable.get(), nullptr);
  }
  // Before anybody is served.
  lane_.now_s = clock_.now_s();
  cache_->Tick(lane_.now_s);
  shared_.flush_due_s.store(cache_->restored_flush_due_s(), std::memory_order_relaxed);
  FlushIfDue();
  cluster_source_.Start();
  for (int i = 0; i < config_.threads; ++i) workers_.emplace_back(shared_);
  reporter_.Start();
  for (Worker& worker : workers_) worker.Start();
  background_.Start();
}

Server::~Server() {
  background_.Stop();
  for (Worker& worker : workers_) worker.Stop();
  reporter_.Stop();  // It wakes workers.
  workers_.clear();
  for (const Listening& listening : listening_) connections_.Remove(listening.socket->fd());
  close(wake_fd_);
}

void Server::HandleSignals() {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGHUP}) {
    signal_events_.emplace_back(evsignal_new(
                                    base_.get(), signal,
                                    [](int number, short, void* self) noexcept {
                                      auto& server = *static_cast<Server*>(self);
                                      if (number == SIGHUP) return server.RequestReload();
                                      server.RequestStop();
                                    },
                                    this),
                                &event_free);
    event_add(signal_events_.back().get(), nullptr);
  }
}

void Server::Run() {
  while (!is_stopping_.load(std::memory_order_acquire)) {
    event_base_loop(base_.get(), EVLOOP_ONCE);
  }
  for (Listening& listening : listening_) event_del(listening.on_readable.get());
  for (Worker& worker : workers_) worker.RequestStop();
  for (Worker& worker : workers_) worker.Stop();
  reporter_.Stop();
  background_.Stop();
  SaveCache(*cache_, config_.memory_file,
            {.now_s = clock_.now_s(),
             .flush_due_s = shared_.flush_due_s.load(std::memory_order_relaxed)});
}

void Server::RequestStop() {
  is_stopping_.store(true, std::memory_order_release);
  Wake();
}

void Server::RequestReload() {
  wants_reload_.store(true, std::memory_order_release);
  Wake();
}

void Server::Wake() {
  const std::uint64_t one = 1;
  (void)!write(wake_fd_, &one, sizeof one);
}

void Server::AdvanceClock(std::uint32_t seconds) {
  clock_.Advance(seconds);
  const std::uint32_t wanted =
      wanted_advance_s_.fetch_add(seconds, std::memory_order_release) + seconds;
  Wake();
  while (done_advance_s_.load(std::memory_order_acquire) < wanted) std::this_thread::yield();
  background_.FinishTurn();
}

int Server::port() const { return listeners_.empty() ? 0 : listeners_.front().port(); }

void Server::Tick() {
  const std::uint32_t wanted = wanted_advance_s_.load(std::memory_order_acquire);
  const bool reloads = wants_reload_.exchange(false, std::memory_order_acquire);
  if (reloads) authenticator_->Reload();
  clock_.Tick();
  lane_.now_s = clock_.now_s();
  cache_->Tick(lane_.now_s);
  FlushIfDue();
  if (reloads) {
    cluster_source_.ReadAgain(lane_.now_s);
  } else {
    cluster_source_.Tick(lane_.now_s);
  }
  TickNextSecond();
  done_advance_s_.store(wanted, std::memory_order_release);
}

void Server::TickNextSecond() {
  const auto wait_us = static_cast<std::int64_t>(clock_.UntilNextSecond().count());
  const timeval wait{.tv_sec = wait_us / 1'000'000, .tv_usec = wait_us % 1'000'000};
  event_add(second_event_.get(), &wait);
}

void Server::FlushIfDue() {
  std::uint32_t due_s = shared_.flush_due_s.load(std::memory_order_relaxed);
  // A flush_all that comes in between replaces the one that was due.
  if (due_s != 0 && due_s <= lane_.now_s &&
      shared_.flush_due_s.compare_exchange_strong(due_s, 0, std::memory_order_relaxed)) {
    shared_.flushed_s.store(lane_.now_s, std::memory_order_relaxed);
    cache_->FlushAll();
  }
}

// --- Accepting ---------------------------------------------------------------------------------

void Server::Accept(const Listening& listening) {
  for (int accepted = 0; accepted < kAcceptsPerTurnMax; ++accepted) {
    if (!config_.maxconns_fast &&
        shared_.clients.load(std::memory_order_relaxed) >= config_.connections_max) {
      // The first time round somebody waits: the socket was readable.
      if (accepted == 0) PauseAccepting();
      return;
    }
    const int fd = accept4(listening.socket->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE) {
        if (shared_.verbosity.load(std::memory_order_relaxed) > 0) {
          Log("Too many open connections\n");
        }
        PauseAccepting();
      }
      return;
    }
    if (shared_.clients.load(std::memory_order_relaxed) >= config_.connections_max) {
      // Counted first: who is told so may ask at once.
      counters_.Add(Stat::kRejectedConnections);
      const auto text = protocol::kTooManyConnections;
      (void)send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      close(fd);
      continue;
    }
    shared_.clients.fetch_add(1, std::memory_order_relaxed);
    workers_[next_worker_].Adopt(fd, listening.socket->kind());
    next_worker_ = (next_worker_ + 1) % workers_.size();
  }
}

void Server::PauseAccepting() {
  if (!shared_.accepting.load(std::memory_order_relaxed)) return;
  shared_.accepting.store(false, std::memory_order_relaxed);
  counters_.Add(Stat::kListenDisabled);
  paused_at_ = std::chrono::steady_clock::now();
  for (Listening& listening : listening_) event_del(listening.on_readable.get());
  event_add(resume_event_.get(), &kResumeCheck);
}

void Server::ResumeAccepting() {
  if (shared_.clients.load(std::memory_order_relaxed) >= config_.connections_max) return;
  event_del(resume_event_.get());
  shared_.accepting.store(true, std::memory_order_relaxed);
  counters_.Add(Stat::kTimeInListenDisabledUs,
                static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                               std::chrono::steady_clock::now() - paused_at_)
                                               .count()));
  for (Listening& listening : listening_) event_add(listening.on_readable.get(), nullptr);
}

}  // namespace larder::server
