#include "server/watch/event_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "server/watch/event_line.h"
#include "slab/check.h"

namespace larder::server {
namespace {

using slab::RemovalReason;

// The streams that items leave a line in when they are removed.
constexpr StreamSet kRemovalStreams =
    SetOf(WatchStream::kEvictions) | SetOf(WatchStream::kInvalidations);

// The cause of an invalidation; empty: a line that concerns all keys was written already.
std::string_view CauseOf(RemovalReason reason) {
  switch (reason) {
    case RemovalReason::kEvicted:
      return "evicted";
    case RemovalReason::kMoved:
      return "moved";
    case RemovalReason::kExpired:
      return "expired";
    // A set that was refused has removed the old item.
    case RemovalReason::kDeleted:
    case RemovalReason::kTooLarge:
    case RemovalReason::kNoMemory:
      return "delete";
    case RemovalReason::kFlushed:
    case RemovalReason::kDropped:
      break;
  }
  return "";
}

// The fields of a client's end of its connection.
std::string EndOf(const ClientIdentity& client) {
  const SocketAddress& address = client.address;
  return fmt::format("rip={} rport={} transport={}", address.ip_text(), address.port(),
                     address.is_unix() ? "local" : "tcp");
}

std::uint64_t UnixTimeUs() {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(
      duration_cast<microseconds>(system_clock::now().time_since_epoch()).count());
}

}  // namespace

bool EventSource::WantsRequests() const noexcept {
  return Wants(~(SetOf(WatchStream::kEvictions) | SetOf(WatchStream::kSystem) |
                 SetOf(WatchStream::kConnections)));
}

// The hub reads `next`, and then waits until is_adding_ is false. Both sides are sequentially
// consistent: a number that the hub has seen as drawn was drawn after is_adding_ was set, so the
// hub sees that, or that it was reset after the event was stored.
void EventSource::Add(const WatchEvent& event) noexcept {
  if (!Wants(event.stream)) return;
  is_adding_.store(true, std::memory_order_seq_cst);
  NumberedEvent numbered{.event = event};
  numbered.number = numbers_.next.fetch_add(1, std::memory_order_seq_cst);
  numbered.time_us = UnixTimeUs();
  const bool is_stored = ring_.Push(numbered);
  if (!is_stored) {
    auto& lost = lost_[static_cast<std::size_t>(event.stream)];
    lost.store(lost.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  is_adding_.store(false, std::memory_order_release);
  // The hub may wait a little for more; not if the ring is about to be full.
  if (!numbers_.is_signalled.exchange(true, std::memory_order_seq_cst) || ring_.is_half_full()) {
    numbers_.wake.Wake();
  }
}

void EventSource::AddFlush() noexcept {
  Add({.stream = WatchStream::kInvalidations, .text = "type=flushed"});
}

void EventSource::AddDrop(std::string_view prefix) {
  if (!Wants(WatchStream::kInvalidations)) return;
  std::string text = "type=dropped prefix=";
  AppendPercent(text, prefix);
  Add({.stream = WatchStream::kInvalidations, .text = text});
}

void EventSource::AddConnected(const ClientIdentity& client) {
  Add({.stream = WatchStream::kConnections,
       .client = client.number,
       .text = fmt::format("type=conn_new {} cfd={}", EndOf(client), client.number)});
}

void EventSource::AddDisconnected(const ClientIdentity& client, std::string_view reason) {
  Add({.stream = WatchStream::kConnections,
       .client = client.number,
       .text = fmt::format("type=conn_close {} reason={} cfd={}", EndOf(client), reason,
                           client.number)});
}

void EventSource::AddTlsError(int client, std::string_view text) {
  if (!Wants(WatchStream::kConnections)) return;
  std::string line = fmt::format("type=conntlserr fd={} msg={}", client, text);
  line.resize(std::min(line.size(), kEventTextBytesMax));
  Add({.stream = WatchStream::kConnections, .client = client, .text = line});
}

void EventSource::OnRemoval(const slab::Removal& removal) noexcept {
  if (removal.reason == RemovalReason::kEvicted) {
    Add({.stream = WatchStream::kEvictions,
         .kind = EventKind::kEviction,
         .was_fetched = removal.was_fetched,
         .class_id = removal.class_id,
         .value_bytes = removal.value_bytes,
         .idle_s = removal.idle_s,
         .ttl_s = removal.ttl_s,
         .text = removal.key});
  }
  const std::string_view cause = CauseOf(removal.reason);
  if (cause.empty()) return;
  Add({.stream = WatchStream::kInvalidations,
       .kind = EventKind::kInvalidated,
       .status = cause,
       .text = removal.key});
}

void EventSource::OnPageMove(slab::ClassId from, slab::ClassId to) noexcept {
  if (!Wants(WatchStream::kSystem)) return;
  Add({.stream = WatchStream::kSystem,
       .text = fmt::format("type=slab_move src={} dst={} state=ok", from, to)});
}

// memcached has a line for each class and segment. Here a pass walks over the pages of all classes,
// so there is one line for all, with memcached's fields.
void EventSource::OnSweepPass(const slab::SweepPass& pass) noexcept {
  if (!Wants(WatchStream::kSystem)) return;
  Add({.stream = WatchStream::kSystem,
       .text = fmt::format(
           "type=lru_crawler crawler=0 lru=all low_mark=0 next_reclaims=0 since_run=0 next_run=0 "
           "elapsed={} examined={} reclaimed={}",
           pass.elapsed_s, pass.examined, pass.freed)});
}

void EventSource::SetWanted(StreamSet streams, std::uint64_t slow_us) noexcept {
  slow_us_.store(slow_us, std::memory_order_relaxed);
  wanted_.store(streams, std::memory_order_relaxed);
  LaneObserver::SetWanted((streams & kRemovalStreams) != 0);
}

void EventSource::Collect(std::uint64_t end, std::vector<EventRing::Taken>& events,
                          std::string& texts, Losses& lost) {
  // Takes as long as it takes to copy an event, unless the thread is interrupted there.
  while (is_adding_.load(std::memory_order_seq_cst)) std::this_thread::yield();
  ring_.Drain(end, events, texts);
  for (std::size_t i = 0; i < kWatchStreams; ++i) {
    lost[i] += lost_[i].load(std::memory_order_relaxed);
  }
}

}  // namespace larder::server
