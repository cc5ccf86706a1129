#include "server/net/connection.h"

#include <utility>

#include "server/shared.h"
#include "server/watch/watch_hub.h"
#include "slab/check.h"

namespace larder::server {

// Most connections of a server are idle, and the allocator's next size is 320 bytes.
static_assert(sizeof(Connection) <= 256);

namespace {

// memcached's word for a reason.
std::string_view WordFor(EndReason reason) {
  switch (reason) {
    case EndReason::kNormal:
      return "normal";
    case EndReason::kStop:
      return "shutdown";
    case EndReason::kError:
      return "error";
    case EndReason::kIdle:
      return "idle_timeout";
  }
  LARDER_ASSERT(false && "a reason without a word");
  return "normal";
}

}  // namespace

Connection::Connection(Wires& wires, ConnectionHost& host, const TransportParts& parts,
                       AcceptedClient client)
    : workspace_(wires.workspace),
      host_(host),
      transport_(MakeTransport(client.terms, client.fd, parts, *this)),
      session_(wires, client.terms.session, std::move(client.identity), transport_->descriptor()) {
  LARDER_ASSERT(client.fd >= 0);
  info_.last_input_s.store(workspace_.lane.now_s, std::memory_order_relaxed);
  workspace_.buffers().Add(Buffer::kConnections, sizeof *this + transport_->held_bytes());
  workspace_.shared.connections.Add(transport_->descriptor(), info_);
  if (workspace_.shared.watch.Wants(WatchStream::kConnections)) [[unlikely]]
    NoteBegin();
}

Connection::~Connection() {
  if (workspace_.shared.watch.Wants(WatchStream::kConnections)) [[unlikely]]
    NoteEnd();
  workspace_.buffers().Subtract(Buffer::kConnections, sizeof *this + transport_->held_bytes());
  DropPending();
  workspace_.shared.connections.Remove(transport_->descriptor());
  // The number of clients is lowered before the transport shows the client the end of the
  // connection: it may connect again at once and must then find its place free.
  const auto clients = workspace_.shared.clients.fetch_sub(1, std::memory_order_relaxed);
  LARDER_ASSERT(clients > 0);
  // The server ends the connection and the client is still there.
  if (session_.has_ended() && !is_closed_) {
    transport_->Finish({workspace_.input.data(), kInputBytes});
  }
}

void Connection::NoteBegin() const {
  workspace_.shared.watch.SourceOf(workspace_.lane).AddConnected(session_.client());
}

void Connection::NoteEnd() const {
  const EndReason own = session_.end_reason();
  workspace_.shared.watch.SourceOf(workspace_.lane)
      .AddDisconnected(session_.client(), WordFor(own == EndReason::kNormal ? end_reason_ : own));
}

// --- Process -----------------------------------------------------------------------------------

void Connection::Process() {
  session_.BeginTurn();
  const bool had_yielded = std::exchange(has_yielded, false);
  // The socket has room for output: Flush() sends the pending replies. No request is served before.
  if (pending_ != nullptr) return;
  // An upload that waits for memory takes no input. When more bytes have arrived in the socket, the
  // upload is queued for memory, unless it is already.
  if (session_.awaits_memory()) {
    if (!session_.uploading()->is_queued()) {
      session_.uploading()->Queue();
      AwaitUploadMemory();
    }
    return;
  }
  if (session_.is_streaming()) [[unlikely]] {
    if (session_.is_watching() && !Discard()) return;
    return ContinueStream();
  }
  // Requests that the last turn left over are served before anything more is received.
  if ((!had_yielded || !session_.has_kept_input()) && !Receive()) return;
  SetState(ConnectionState::kParseCmd);
  session_.Serve();
  Follow();
}

bool Connection::Receive() {
  LARDER_ASSERT(pending_ == nullptr);
  InputPieces room;
  const auto pieces = session_.PreparePieces(room);
  if (pieces.empty()) return true;
  const Transferred received = transport_->Receive(pieces);
  LARDER_ASSERT((received.status == TransferStatus::kDone) == (received.bytes > 0));
  switch (received.status) {
    case TransferStatus::kDone:
      workspace_.counters.Add(Stat::kBytesRead, received.bytes);
      info_.last_input_s.store(workspace_.lane.now_s, std::memory_order_relaxed);
      session_.Took(received.bytes);
      return true;
    case TransferStatus::kBlocked:
      break;
    case TransferStatus::kEnded:
      // Requests that the client sent before it closed its end are still served.
      has_peer_finished_ = true;
      is_closed_ = !session_.has_input();
      break;
    case TransferStatus::kFailed:
      is_closed_ = true;
      set_end_reason(EndReason::kError);
      return false;
  }
  // Nothing arrived now, but input that an earlier turn kept can be served.
  return session_.has_input();
}

bool Connection::Discard() {
  const iovec area{workspace_.input.data(), kInputBytes};
  const Transferred received = transport_->Receive({&area, 1});
  if (received.status == TransferStatus::kDone) {
    workspace_.counters.Add(Stat::kBytesRead, received.bytes);
    return true;
  }
  is_closed_ = received.status != TransferStatus::kBlocked;
  return !is_closed_;
}

void Connection::Follow() {
  // The common case comes first: everything is served and the client may send more.
  const bool waits_for_requests = session_.is_between_requests() && !session_.wants_turn();
  if (waits_for_requests && !has_peer_finished_) [[likely]]
    return SetState(ConnectionState::kWaiting);
  // The turn is over with requests left: other clients are served before the next turn.
  if (session_.wants_turn()) {
    workspace_.counters.Add(Stat::kConnYields);
    host_.MakeReady(*this);
    has_yielded = true;
  }
  if (session_.awaits_wake()) AwaitWake();
  if (session_.uploading() != nullptr) {
    if (session_.uploading()->is_queued()) AwaitUploadMemory();
    host_.WatchUploads();
  }
  // The client sends no more, everything it sent is served, and no reply is to come.
  if (has_peer_finished_ && !is_ready && !session_.is_streaming() && !session_.awaits_memory()) {
    session_.End();
  }
  ShowState();
}

void Connection::ContinueStream() {
  LARDER_ASSERT(session_.is_streaming());
  if (session_.awaits_wake()) return;
  session_.ContinueStream();
  if (session_.awaits_wake()) return AwaitWake();
  if (session_.is_streaming()) return;
  ShowState();
  // Requests that waited for the end of the stream are served in the next turn.
  if (session_.has_kept_input()) host_.MakeReady(*this);
}

void Connection::AwaitWake() {
  Rest();
  host_.AwaitWake(*this);
}

void Connection::AwaitUploadMemory() {
  LARDER_ASSERT(session_.awaits_memory() && session_.uploading()->is_queued());
  Rest();
  host_.AwaitUploadMemory(*this);
}

void Connection::WakeStream() {
  session_.WakeStream();
  Rest();
  host_.MakeReady(*this);
}

bool Connection::TakeUploadMemory() {
  LARDER_ASSERT(session_.awaits_memory() && session_.uploading()->is_queued());
  if (!session_.uploading()->TakeMemory()) return false;
  Rest();
  host_.MakeReady(*this);
  return true;
}

void Connection::Rest() {
  using Await = Transport::Await;
  ShowState();
  if (pending_ != nullptr) return transport_->SetAwaited(Await::kOutput);
  // While a stream or an upload waits, further input stays in the socket: so the client is slowed
  // down instead of the server storing its data.
  // What a client that watches sends is thrown away, and its end has to be noticed.
  const bool takes_no_input =
      (session_.awaits_wake() && !session_.is_watching()) ||
      (session_.uploading() != nullptr && session_.uploading()->is_queued());
  transport_->SetAwaited(takes_no_input ? Await::kNothing : Await::kInput);
}

bool Connection::IsIdleTooLong(std::uint32_t now_s, std::uint32_t timeout_s) const {
  // In the middle of a value or a reply the time since the last request says nothing.
  return !session_.client().address.is_unix() && session_.is_between_requests() &&
         pending_ == nullptr &&
         now_s > info_.last_input_s.load(std::memory_order_relaxed) + timeout_s;
}

bool Connection::CheckUploadForStall(std::uint32_t now_s) {
  Uploading* const uploading = session_.uploading();
  return uploading != nullptr &&
         uploading->CheckForStall(now_s, info_.last_input_s.load(std::memory_order_relaxed));
}

// --- Flush -------------------------------------------------------------------------------------

void Connection::KeepPending(const OutputSlice& replies) {
  Output& output = workspace_.output;
  LARDER_ASSERT(pending_ == nullptr && !replies.is_empty());
  pending_ = std::make_unique<PendingOutput>(output.data(), output.pins(), replies);
  workspace_.buffers().Add(Buffer::kPending, pending_->held_bytes());
}

void Connection::DropPending() {
  if (pending_ == nullptr) return;
  workspace_.buffers().Subtract(Buffer::kPending, pending_->held_bytes());
  pending_.reset();
}

TransferStatus Connection::Send(UnsentOutput output) {
  std::uint64_t sent_bytes = 0;
  TransferStatus status = TransferStatus::kDone;
  while (status == TransferStatus::kDone && !output.is_empty()) {
    OutputPieces pieces;
    const Transferred sent = transport_->Send(output.Pieces(pieces));
    LARDER_ASSERT((sent.status == TransferStatus::kDone) == (sent.bytes > 0));
    output.Consume(sent.bytes);
    sent_bytes += sent.bytes;
    status = sent.status;
  }
  workspace_.counters.Add(Stat::kBytesWritten, sent_bytes);
  return status;
}

void Connection::Flush(OutputSlice replies) {
  if (is_closed_) return;
  TransferStatus status = TransferStatus::kDone;
  if (pending_ != nullptr) {
    status = Send(pending_->unsent());
    if (status == TransferStatus::kDone) {
      // The client has taken the replies: requests are received again, and those that were kept are
      // served.
      DropPending();
      Rest();
      if (session_.has_kept_input()) host_.MakeReady(*this);
    }
  } else if (!replies.is_empty()) {
    Output& output = workspace_.output;
    LARDER_ASSERT(replies.end <= output.size() && replies.pins_end <= output.pins().size());
    status = Send({output.data(), output.pins(), replies});
    // The workspace's Output is used again by others, so the rest is copied.
    if (status == TransferStatus::kBlocked) {
      KeepPending(replies);
      Rest();
    }
  }
  is_closed_ = status == TransferStatus::kFailed;
  if (session_.is_streaming() && !session_.awaits_wake() && pending_ == nullptr && !is_closed_) {
    // A piece of a stream was sent completely. Other clients are served before the next piece.
    workspace_.counters.Add(Stat::kConnYields);
    host_.MakeReady(*this);
  }
}

}  // namespace larder::server
