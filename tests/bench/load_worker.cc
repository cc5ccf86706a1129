#include "tests/bench/load_worker.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

#include "tests/bench/clock.h"

namespace larder::bench {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// A server that answers nothing for so long is taken for hung.
constexpr std::int64_t kStallNs = 10 * kSecondNs;

// A server that cannot keep up with the open loop's rate gets so long to catch up after the end.
constexpr std::int64_t kCatchUpNs = kSecondNs;

// How often a worker that waits for the network looks at the phase.
constexpr std::int64_t kPhaseCheckNs = 20'000'000;

// Connections are shared out evenly, the first workers get what is left over.
std::uint32_t ShareOf(std::uint32_t total, std::uint32_t workers, std::uint32_t index) {
  return total / workers + (index < total % workers ? 1 : 0);
}

std::int64_t SendIntervalNs(const LoadOptions& options) {
  if (!options.rate) return 0;
  const double interval = static_cast<double>(kSecondNs) * options.threads / *options.rate;
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(interval));
}

}  // namespace

LoadWorker::LoadWorker(const Workbench& bench, std::uint32_t index)
    : bench_(bench),
      index_(index),
      connection_count_(ShareOf(bench.options.connections, bench.options.threads, index)),
      send_interval_ns_(SendIntervalNs(bench.options)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

std::string LoadWorker::Connect() {
  if (epoll_.get() < 0) return fmt::format("epoll: {}", std::strerror(errno));
  for (std::uint32_t i = 0; i < connection_count_; ++i) {
    auto fd = bench::Connect(bench_.options.address);
    if (!fd) return fd.error();
    Slot& slot = slots_.emplace_back(LoadConnection(bench_, std::move(*fd)));
    if (bench_.options.tls) {
      if (std::string wrong = slot.connection.StartTls(); !wrong.empty()) return wrong;
    }
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &slot}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, slot.connection.fd(), &event) != 0) {
      return fmt::format("epoll: {}", std::strerror(errno));
    }
  }
  return {};
}

void LoadWorker::Run(RequestSource& source, const RunPlan& plan, RunControl& control) {
  source_ = &source;
  plan_ = plan;
  phase_ = Phase::kWarmUp;
  is_source_empty_ = false;
  tally_ = Tally{};
  count_from_ns_ = plan_.pacing == Pacing::kOpenLoop ? kNever : 0;
  now_ns_ = last_progress_ns_ = NowNs();
  due_end_ns_ = kNever;
  // The workers' schedules interleave.
  next_due_ns_ = now_ns_ + send_interval_ns_ * index_ / bench_.options.threads;
  if (plan_.pacing == Pacing::kClosedLoop) {
    for (Slot& slot : slots_) Refill(slot);
  }
  while (failure_.empty()) {
    FollowPhase(control);
    if (plan_.pacing == Pacing::kOpenLoop) SendDue();
    if (!HasMore() && IsAllAnswered()) break;
    WaitAndReceive(WaitNs());
  }
  finished_ns_ = NowNs();
  const bool is_behind = plan.pacing == Pacing::kOpenLoop && phase_ == Phase::kStop &&
                         !is_source_empty_ && next_due_ns_ < due_end_ns_;
  if (is_behind) {
    tally_.unsent =
        static_cast<std::uint64_t>((due_end_ns_ - next_due_ns_) / send_interval_ns_ + 1);
  }
  control.workers_running.fetch_sub(1, std::memory_order_release);
}

void LoadWorker::FollowPhase(RunControl& control) {
  const Phase phase = control.phase.load(std::memory_order_acquire);
  if (phase == phase_) return;
  phase_ = phase;
  switch (phase) {
    case Phase::kWarmUp:
      break;
    case Phase::kMeasure:
      tally_ = Tally{};
      // The closed loop counts the replies that fall into the interval, the open loop the requests
      // that were intended for it.
      count_from_ns_ = 0;
      if (plan_.pacing == Pacing::kOpenLoop) {
        count_from_ns_ = control.measure_from_ns.load(std::memory_order_relaxed);
      }
      break;
    case Phase::kStop:
      // Late replies are the worst latencies, so the open loop still counts them.
      if (plan_.pacing == Pacing::kClosedLoop) count_from_ns_ = kNever;
      due_end_ns_ = control.stop_ns.load(std::memory_order_relaxed);
      break;
  }
}

// Whether this run has further requests to send, now or later.
bool LoadWorker::HasMore() const {
  if (is_source_empty_) return false;
  if (phase_ != Phase::kStop) return true;
  // What fell due before the end and waits for a connection belongs to the measurement.
  return plan_.pacing == Pacing::kOpenLoop && next_due_ns_ < due_end_ns_ &&
         now_ns_ < due_end_ns_ + kCatchUpNs;
}

// Sends all that is due by now and finds a connection. The rest stays due.
void LoadWorker::SendDue() {
  while (HasMore() && next_due_ns_ <= now_ns_) {
    Slot* slot = NextFreeSlot();
    if (slot == nullptr) return;
    if (QueueNext(*slot, next_due_ns_)) next_due_ns_ += send_interval_ns_;
    Flush(*slot);
  }
}

// How long to wait for replies before this loop must turn again.
std::int64_t LoadWorker::WaitNs() const {
  if (plan_.pacing == Pacing::kClosedLoop || !HasMore()) return kPhaseCheckNs;
  // What is due and was not sent waits for a connection, that is, for a reply.
  if (next_due_ns_ <= now_ns_) return kPhaseCheckNs;
  return std::min(next_due_ns_ - now_ns_, kPhaseCheckNs);
}

// Rounds down to whole milliseconds, so a request that is due within one is waited for by polling:
// waking up from a sleep takes up to 50 us in a virtual machine, and would look like the server's
// latency.
void LoadWorker::WaitAndReceive(std::int64_t wait_ns) {
  std::array<epoll_event, 64> events;
  const int ready = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                               static_cast<int>(wait_ns / 1'000'000));
  if (ready < 0 && errno != EINTR) return Fail(fmt::format("epoll: {}", std::strerror(errno)));
  now_ns_ = NowNs();
  for (int i = 0; i < ready && failure_.empty(); ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    Slot& slot = *static_cast<Slot*>(event.data.ptr);
    if ((event.events & ~std::uint32_t{EPOLLOUT}) != 0) Receive(slot);
    if (slot.connection.wants_to_send()) Flush(slot);
  }
  if (now_ns_ - last_progress_ns_ > kStallNs) {
    if (!IsAllAnswered()) return Fail("the server has answered nothing for 10 seconds");
    last_progress_ns_ = now_ns_;
  }
}

void LoadWorker::Receive(Slot& slot) {
  LoadConnection& connection = slot.connection;
  const std::uint64_t answered_before = connection.answered();
  if (connection.Receive(count_from_ns_, tally_) != IoStatus::kOk) {
    return Fail("the server closed a connection, or answered what nobody had asked");
  }
  if (const std::uint64_t answered = connection.answered() - answered_before; answered != 0) {
    requests_answered_.store(requests_answered() + answered, std::memory_order_relaxed);
    last_progress_ns_ = now_ns_;
  }
  if (plan_.pacing == Pacing::kClosedLoop && connection.outstanding() == 0) Refill(slot);
  if (plan_.pacing == Pacing::kOpenLoop && connection.has_missed()) SendMissed(slot);
}

// Queues the next requests of an idle connection and sends them.
void LoadWorker::Refill(Slot& slot) {
  const std::int64_t now_ns = NowNs();
  SendMissed(slot);
  while (HasMore() && slot.connection.outstanding() < plan_.depth) {
    if (!QueueNext(slot, now_ns)) break;
  }
  Flush(slot);
}

void LoadWorker::SendMissed(Slot& slot) {
  const std::int64_t now_ns = NowNs();
  for (const std::uint32_t key : slot.connection.TakeMissed()) {
    slot.connection.QueueSet(key, now_ns);
  }
  Flush(slot);
}

// False when there is no next request.
bool LoadWorker::QueueNext(Slot& slot, std::int64_t intended_ns) {
  is_source_empty_ = is_source_empty_ || !source_->Next(planned_);
  if (is_source_empty_) return false;
  if (planned_.is_set) {
    slot.connection.QueueSet(planned_.keys[0], intended_ns);
  } else {
    slot.connection.QueueGet(planned_.keys, intended_ns);
  }
  return true;
}

void LoadWorker::Flush(Slot& slot) {
  if (slot.connection.Flush() != IoStatus::kOk) return Fail("the server closed a connection");
  const bool wants_to_send = slot.connection.wants_to_send();
  if (wants_to_send == slot.is_watched_for_send) return;
  slot.is_watched_for_send = wants_to_send;
  const std::uint32_t interest = wants_to_send ? EPOLLIN | EPOLLOUT : EPOLLIN;
  epoll_event event{.events = interest, .data = {.ptr = &slot}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, slot.connection.fd(), &event) != 0) {
    Fail(fmt::format("epoll: {}", std::strerror(errno)));
  }
}

// The next connection that may take a request more, or nullptr.
LoadWorker::Slot* LoadWorker::NextFreeSlot() {
  for (std::size_t tried = 0; tried < slots_.size(); ++tried) {
    next_slot_ = next_slot_ + 1 < slots_.size() ? next_slot_ + 1 : 0;
    Slot& slot = slots_[next_slot_];
    if (slot.connection.outstanding() < plan_.depth) return &slot;
  }
  return nullptr;
}

bool LoadWorker::IsAllAnswered() const {
  return std::ranges::all_of(slots_,
                             [](const Slot& slot) { return slot.connection.outstanding() == 0; });
}

void LoadWorker::Fail(std::string why) {
  if (failure_.empty()) failure_ = std::move(why);
}

}  // namespace larder::bench
