// The connection to one client: it receives requests, has them served, and sends the replies.
#pragma once

#include <event2/event.h>

#include <cstdint>
#include <memory>

#include "server/metrics/counters.h"
#include "server/net/listener.h"
#include "server/net/transport.h"
#include "server/reply/output.h"
#include "server/reply/unsent_output.h"
#include "server/session/session.h"
#include "server/session/wires.h"
#include "server/session/workspace.h"
#include "server/socket/client_identity.h"
#include "server/socket/connection_table.h"

namespace larder::server {

class Connection;

// A client that was accepted and is handed to a worker.
//
// Threads: a value.
struct AcceptedClient {
  // The socket, in non-blocking mode. The code that takes the client over closes it.
  int fd = -1;
  // How the client is served: the terms of the listener that it connected to.
  ClientTerms terms = {};
  ClientIdentity identity = {};
};

// ConnectionHost is what a connection needs of the worker that runs its turns.
//
// Threads: one worker.
class ConnectionHost {
 public:
  // Has the connection served in the next turn. No effect if that is already so.
  virtual void MakeReady(Connection& connection) = 0;
  // Registers a connection whose reply stream waits: the host calls its WakeStream() the next time
  // that streams are woken.
  virtual void AwaitWake(Connection& connection) = 0;
  // Registers a connection whose upload waits for memory: the host calls its TakeUploadMemory()
  // until it returns true.
  virtual void AwaitUploadMemory(Connection& connection) = 0;
  // Has the host check the uploads of all its connections regularly, for as long as there are any:
  // an upload has begun, and it may stall.
  virtual void WatchUploads() = 0;

 protected:
  // Hosts are not destroyed through this interface.
  ~ConnectionHost() = default;
};

// Connection serves one client turn by turn: it receives what the client sent, has its session
// serve that, and sends the replies. A turn has two phases: Process() gathers the replies of
// several connections in the workspace's Output, and Flush() sends them.
//
//   transport -> session -> workspace's Output -> transport
//
// Threads:    one worker.
// Owns:       the transport, the session, and a copy of the replies that the client has not taken.
// Invariants: while pending_ is not null, nothing is received and no request is served.
class Connection final : private TransportUser {
 public:
  // Takes the client over and enters it into the table of connections. `wires`, `host` and what
  // `parts` refers to must outlive the connection.
  Connection(Wires& wires, ConnectionHost& host, const TransportParts& parts,
             AcceptedClient client);
  // Closes the connection. If the server ends it, the client still gets all replies; see
  // Transport::Finish().
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The process phase of a turn: receives once and serves what arrived. What is in the workspace's
  // Output when it returns, and was not before, are its replies. REQUIRES: the replies of the last
  // call were flushed.
  void Process();

  // The flush phase of a turn: sends `replies`, those that Process() added, or those that an
  // earlier turn left, and keeps a copy of what the client does not take. REQUIRES: the workspace's
  // Output was not cleared since Process().
  void Flush(OutputSlice replies);

  // Whether nothing is left to do but to destroy the connection.
  bool is_closing() const { return is_closed_ || (session_.has_ended() && pending_ == nullptr); }
  // Whether the client has sent nothing for more than `timeout_s` seconds while the server waits
  // for a request. Always false for unix sockets, and in the middle of a value or a reply.
  bool IsIdleTooLong(std::uint32_t now_s, std::uint32_t timeout_s) const;
  // Whether the client has stopped sending the value that it announced, or sends it too slowly
  // while other uploads wait for memory. Each call counts as one check; see
  // Upload::CheckForSlowness().
  bool CheckUploadForStall(std::uint32_t now_s);
  // The value that the client sends now; null if it sends none. Valid until the next call of
  // Process().
  const Uploading* uploading() const { return session_.uploading(); }
  // Whether a reply is incomplete: when the server stops, it is sent before the connection is
  // closed.
  bool has_unsent_output() const {
    return !session_.is_watching() && (pending_ != nullptr || session_.is_streaming());
  }
  // Sets the reason that clients that watch connections see, if it is none of the session's.
  void set_end_reason(EndReason reason) { end_reason_ = reason; }

  // Has a reply stream that waited for its content continue. No effect if there is none.
  void WakeStream();
  // Takes memory for the upload, which then continues. Returns false if the upload has to wait on.
  // REQUIRES: the connection was registered by AwaitUploadMemory().
  bool TakeUploadMemory();

  // Fields of the worker: the links of its list of all connections, and whether the connection is
  // in its list of those to be served.
  Connection* previous = nullptr;
  Connection* next = nullptr;
  bool is_ready = false;
  // The last turn ended because its time was used up; requests are left.
  bool has_yielded = false;

 private:
  // Called by the transport: there is input, or room for output.
  void OnTransportReady() noexcept override { host_.MakeReady(*this); }
  // For `stats conns`.
  void OnTransportSecured(std::uint8_t version, std::uint16_t cipher) noexcept override {
    info_.tls_version.store(version, std::memory_order_relaxed);
    info_.tls_cipher.store(cipher, std::memory_order_relaxed);
  }

  // Receives once into the session's room. Returns false when there is nothing to serve: nothing
  // arrived and nothing was kept, or the client is gone.
  bool Receive();
  // Receives once and throws it away: the client watches and gets no replies. Returns false if the
  // client is gone.
  bool Discard();
  // Appends the next piece of the reply stream, unless the stream waits.
  void ContinueStream();
  // Called after the session has served: registers the connection for what the session waits for,
  // and ends the session if the client has left and nothing is to be awaited.
  void Follow();
  // Register the connection with the host; nothing is received meanwhile.
  void AwaitWake();
  void AwaitUploadMemory();

  // Sends until everything is sent or the transport takes no more. kDone: everything was sent.
  TransferStatus Send(UnsentOutput output);
  // Updates what the transport waits for, and the state that `stats conns` shows. Called whenever
  // the reason why the connection waits has changed.
  void Rest();
  // Copy the unsent replies, and drop the copy when it was sent. They are not inlined because few
  // turns leave any.
  [[gnu::noinline]] void KeepPending(const OutputSlice& replies);
  [[gnu::noinline]] void DropPending();
  // Tell the clients that watch connections that this one has begun, and that it ends.
  [[gnu::noinline, gnu::cold]] void NoteBegin() const;
  [[gnu::noinline, gnu::cold]] void NoteEnd() const;
  void SetState(ConnectionState state) { info_.state.store(state, std::memory_order_relaxed); }
  void ShowState() {
    SetState(pending_ != nullptr ? ConnectionState::kMwrite : session_.resting_state());
  }

  // Nothing can be sent any more: the client is gone, or has left without a request to answer.
  bool is_closed_ = false;
  // The client has sent all that it ever will, but may still read replies.
  bool has_peer_finished_ = false;
  // Why the connection ends, unless the session has another reason.
  EndReason end_reason_ = EndReason::kNormal;
  // Shared by all connections of the worker; used during a turn only.
  Workspace& workspace_;
  ConnectionHost& host_;
  // Replies of an earlier turn that the client has not taken; null when there are none.
  std::unique_ptr<PendingOutput> pending_;
  // Registered in the table of connections, so it lives as long as the connection.
  ConnectionInfo info_;
  // Outlives the session, which is destroyed first.
  const std::unique_ptr<Transport> transport_;
  Session session_;
};

}  // namespace larder::server
