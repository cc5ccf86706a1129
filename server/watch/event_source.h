// EventSource: where one thread notes what happens.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "server/socket/client_identity.h"
#include "server/socket/event_loop.h"
#include "server/watch/event_ring.h"
#include "slab/eviction/lane_observer.h"

namespace larder::server {

// What the sources of a hub share.
//
// Threads: any.
struct EventNumbers {
  // Sequentially consistent; see EventSource::Add.
  std::atomic<std::uint64_t> next{1};
  // Whether the hub was woken and has not looked since.
  std::atomic<bool> is_signalled{false};
  WakeFd wake;
};

// EventSource takes the events of one thread and keeps them until the hub comes. While nobody
// watches, a thread asks it once for a batch of requests and does nothing else. It is also the
// observer of the items that leave the cache in the thread's lane.
//
// Threads:    Wants and slow_us: any thread. Add, and the methods of LaneObserver: the thread of
//             the source. SetWanted and Collect: the hub's thread, or with its lock.
// Owns:       its ring. `numbers` must outlive it.
class EventSource final : public slab::LaneObserver {
 public:
  // `bytes` is the size of the ring.
  EventSource(EventNumbers& numbers, std::size_t bytes) : numbers_(numbers), ring_(bytes) {}
  virtual ~EventSource() = default;

  // Whether anybody watches one of these streams. Relaxed: a watcher may miss what happens in its
  // first moments.
  bool Wants(StreamSet streams) const noexcept {
    return (wanted_.load(std::memory_order_relaxed) & streams) != 0;
  }
  bool Wants(WatchStream stream) const noexcept { return Wants(SetOf(stream)); }
  // Whether anybody watches anything that requests do.
  bool WantsRequests() const noexcept;
  // The least duration that a watcher of the stream `slow` has asked for.
  std::uint64_t slow_us() const noexcept { return slow_us_.load(std::memory_order_relaxed); }

  // Notes an event that has just happened. It is lost, and counted, if the ring is full. Does
  // nothing if nobody watches its stream. REQUIRES: its text is at most kEventTextBytesMax long.
  void Add(const WatchEvent& event) noexcept;
  // Note that all items were flushed, and that those with a prefix were dropped.
  void AddFlush() noexcept;
  void AddDrop(std::string_view prefix);

  // Note that a client has come and gone; `reason` is memcached's word.
  void AddConnected(const ClientIdentity& client);
  void AddDisconnected(const ClientIdentity& client, std::string_view reason);

  // Notes that a connection has failed because of TLS.
  void AddTlsError(int client, std::string_view text);

  void OnRemoval(const slab::Removal& removal) noexcept override;
  void OnPageMove(slab::ClassId from, slab::ClassId to) noexcept override;
  void OnSweepPass(const slab::SweepPass& pass) noexcept override;

  // --- For the hub

  // Sets what is watched.
  void SetWanted(StreamSet streams, std::uint64_t slow_us) noexcept;
  // Takes out the events with numbers below `end`; see EventRing::Drain. When it returns, no event
  // with such a number is on its way any more. `lost` gets the events that were ever lost, by
  // stream. REQUIRES: `end` was read from EventNumbers::next.
  using Losses = std::array<std::uint64_t, kWatchStreams>;
  void Collect(std::uint64_t end, std::vector<EventRing::Taken>& events, std::string& texts,
               Losses& lost);

 private:
  EventNumbers& numbers_;
  // Written by SetWanted.
  std::atomic<StreamSet> wanted_{0};
  std::atomic<std::uint64_t> slow_us_{0};
  // True while Add draws a number and stores the event.
  std::atomic<bool> is_adding_{false};
  EventRing ring_;
  // Written by Add, read by the hub.
  std::array<std::atomic<std::uint64_t>, kWatchStreams> lost_{};
};

}  // namespace larder::server
