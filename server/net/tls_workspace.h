// What the TLS transports of a worker share.
#pragma once

#include <event2/event.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "server/metrics/counters.h"
#include "server/shared.h"
#include "server/socket/event_loop.h"
#include "server/watch/event_source.h"

namespace larder::server {

class TlsTransport;

// The most handshakes that a turn of the worker advances. A handshake takes up to a millisecond of
// CPU, and those who are connected wait for it: the others that are ready get their turn later.
inline constexpr int kHandshakesPerTurnMax = 4;
// The most bytes that are received from a socket at a time, before they are decrypted.
inline constexpr std::size_t kSealedBytesMax = 64 * 1024;

// TlsWorkspace has the buffers that the TLS transports of a worker use in turn, and the lists of
// those that wait: so an idle connection has no buffer of its own.
//
// Threads: one worker.
// Owns:    the buffers, which it allocates for the first TLS connection. What its constructor takes
//          must outlive it.
class TlsWorkspace {
 public:
  // `events` and `counters` are those of the worker.
  TlsWorkspace(const Shared& shared, EventSource& events, WorkerCounters& counters,
               event_base& base);
  TlsWorkspace(const TlsWorkspace&) = delete;
  TlsWorkspace& operator=(const TlsWorkspace&) = delete;

  // --- For the worker

  // Called first in each turn, when the events have been collected: notifies the users of the
  // transports that hold input.
  void BeginTurn() {
    handshakes_left_ = kHandshakesPerTurnMax;
    if (!holding_.empty()) [[unlikely]]
      NotifyHolding();
  }
  // Notifies the users of the transports that hold input, as sockets do that are readable.
  void NotifyHolding();
  // Whether any transport holds input: then the worker must not wait for events.
  bool has_holding() const { return !holding_.empty(); }

  // --- For the transports

  const Shared& shared() const { return shared_; }
  EventSource& events() { return events_; }
  WorkerCounters& counters() { return counters_; }

  // Registers the transport as one that has input which the system does not know of, or not any
  // more. REQUIRES: it is not registered; for RemoveHolding(): it is.
  void AddHolding(TlsTransport& transport);
  void RemoveHolding(TlsTransport& transport);

  // A handshake, and the second of the server's clock at whose end its time is over.
  struct Handshake {
    TlsTransport* transport;
    std::uint32_t ends_at_s;
  };
  using Handshakes = std::list<Handshake>;
  // Registers a handshake that has begun: EndHandshake() is called when its time is over. Returns
  // its place, for RemoveHandshake().
  Handshakes::iterator AddHandshake(TlsTransport& transport);
  void RemoveHandshake(Handshakes::iterator place) { handshakes_.erase(place); }
  // Whether a handshake may be advanced in this turn; counts it if so.
  bool TakeHandshake() { return handshakes_left_ > 0 && handshakes_left_-- > 0; }

  // Where received bytes are kept until they are decrypted.
  std::span<char> sealed() { return {sealed_.get(), kSealedBytesMax}; }
  // Returns the first bytes of the pieces, as many as are encrypted at a time: they are copied
  // together unless the first piece has so many. Valid until the next call. REQUIRES: the pieces
  // have at least one byte.
  std::string_view Gather(std::span<const iovec> pieces);

 private:
  // Allocates the buffers, if that was not done.
  void Prepare();
  // Ends the handshakes whose time is over.
  void EndHandshakes();

  const Shared& shared_;
  EventSource& events_;
  WorkerCounters& counters_;
  // The most bytes that are encrypted at a time.
  const std::size_t write_bytes_max_;
  int handshakes_left_ = kHandshakesPerTurnMax;
  std::unique_ptr<char[]> sealed_;
  std::unique_ptr<char[]> gathered_;
  std::vector<TlsTransport*> holding_;
  // In the order of their beginnings, and so of their ends.
  Handshakes handshakes_;
  // Pending while there are any.
  Event handshake_event_;
};

}  // namespace larder::server
