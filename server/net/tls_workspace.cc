#include "server/net/tls_workspace.h"

#include <algorithm>
#include <cstring>

#include "server/clock.h"
#include "server/net/tls_transport.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// How often it is looked whether the time of a handshake is over.
constexpr timeval kHandshakeCheck{.tv_sec = 0, .tv_usec = 250'000};

}  // namespace

TlsWorkspace::TlsWorkspace(const Shared& shared, EventSource& events, WorkerCounters& counters,
                           event_base& base)
    : shared_(shared),
      events_(events),
      counters_(counters),
      write_bytes_max_(std::size_t{shared.config.tls_write_kilobytes} << 10),
      handshake_event_(MakeEvent(
          &base, -1, 0,
          [](int, short, void* self) noexcept {
            static_cast<TlsWorkspace*>(self)->EndHandshakes();
          },
          this)) {}

void TlsWorkspace::Prepare() {
  if (sealed_ != nullptr) return;
  // Not cleared: only what is used occupies memory. It is counted as a whole.
  sealed_ = std::make_unique_for_overwrite<char[]>(kSealedBytesMax);
  gathered_ = std::make_unique_for_overwrite<char[]>(write_bytes_max_);
  counters_.buffers.Add(Buffer::kInput, kSealedBytesMax);
  counters_.buffers.Add(Buffer::kOutput, write_bytes_max_);
}

// --- Input that is held --------------------------------------------------------------------------

void TlsWorkspace::AddHolding(TlsTransport& transport) {
  LARDER_ASSERT(std::ranges::find(holding_, &transport) == holding_.end());
  holding_.push_back(&transport);
}

void TlsWorkspace::RemoveHolding(TlsTransport& transport) { std::erase(holding_, &transport); }

void TlsWorkspace::NotifyHolding() {
  // Users are only put on a list, so the list of this object does not change meanwhile.
  for (TlsTransport* const transport : holding_) transport->NotifyUser();
}

// --- Handshakes ----------------------------------------------------------------------------------

TlsWorkspace::Handshakes::iterator TlsWorkspace::AddHandshake(TlsTransport& transport) {
  Prepare();
  if (event_pending(handshake_event_.get(), EV_TIMEOUT, nullptr) == 0) {
    event_add(handshake_event_.get(), &kHandshakeCheck);
  }
  const std::uint32_t ends_at_s = shared_.clock.now_s() + shared_.config.tls_handshake_timeout_s;
  return handshakes_.insert(handshakes_.end(), {&transport, ends_at_s});
}

void TlsWorkspace::EndHandshakes() {
  const std::uint32_t now_s = shared_.clock.now_s();
  while (!handshakes_.empty() && handshakes_.front().ends_at_s < now_s) {
    // Removes itself, and with it the front.
    TlsTransport* const transport = handshakes_.front().transport;
    LARDER_ASSERT(transport != nullptr);
    transport->EndHandshake();
  }
  if (!handshakes_.empty()) event_add(handshake_event_.get(), &kHandshakeCheck);
}

// --- Output --------------------------------------------------------------------------------------

std::string_view TlsWorkspace::Gather(std::span<const iovec> pieces) {
  LARDER_ASSERT(!pieces.empty() && gathered_ != nullptr);
  const iovec& first = pieces.front();
  if (pieces.size() == 1 || first.iov_len >= write_bytes_max_) {
    return {static_cast<const char*>(first.iov_base), std::min(first.iov_len, write_bytes_max_)};
  }
  std::size_t bytes = 0;
  for (const iovec& piece : pieces) {
    const std::size_t taken = std::min(piece.iov_len, write_bytes_max_ - bytes);
    if (taken != 0) std::memcpy(gathered_.get() + bytes, piece.iov_base, taken);
    bytes += taken;
    if (bytes == write_bytes_max_) break;
  }
  return {gathered_.get(), bytes};
}

}  // namespace larder::server
