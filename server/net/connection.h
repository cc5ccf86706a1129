// One client.
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

// A client that was accepted, and how it is to be served.
struct AcceptedClient {
  int fd = -1;  // In non-blocking mode. Whoever takes it over closes it.
  ClientTerms terms = {};
  ClientIdentity identity = {};
};

// What a connection needs of the one that runs its turns.
class ConnectionHost {
 public:
  // It is to be served in the next turn.
  virtual void MakeReady(Connection& connection) = 0;
  // Its stream goes on when streams are woken: call WakeStream() then.
  virtual void AwaitWake(Connection& connection) = 0;
  // Its upload goes on when there is memory for it: call TakeUploadMemory() until it has.
  virtual void AwaitUploadMemory(Connection& connection) = 0;
  // It has an upload from now on, which may stall.
  virtual void WatchUploads() = 0;

 protected:
  ~ConnectionHost() = default;
};

// Connection receives what a client sends, has its session serve that, and sends the replies, turn
// by turn.
//
//   transport -> session -> workspace's Output -> transport
//
// Threads: one worker.
// Owns:    transport and session; replies that the client does not take.
class Connection final : private TransportUser {
 public:
  Connection(Wires& wires, ConnectionHost& host, event_base& base, AcceptedClient client);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The process phase of a turn: receives once and serves what came. Replies are in the workspace's
  // Output when it returns.
  void Process();

  // The flush phase: sends the replies, and keeps what the client does not take.
  void Flush();

  // Nothing is left to do but to be destroyed.
  bool is_closing() const { return is_closed_ || (session_.has_ended() && pending_ == nullptr); }
  bool is_idle_too_long(std::uint32_t now_s, std::uint32_t timeout_s) const;
  // The value that it sends does not come, or too slowly while others wait for upload memory.
  bool IsUploadStalled(std::uint32_t now_s);
  // The value that the client sends now; null if it sends none.
  const Uploading* uploading() const { return session_.uploading(); }
  // There is something to answer before a stop.
  bool has_unsent_output() const { return pending_ != nullptr || session_.is_streaming(); }

  // Streams may go on.
  void WakeStream();
  // For one that waits for upload memory: takes it, and goes on. False if it has to wait.
  bool TakeUploadMemory();

  // Places in the worker's list of connections and list of those to be served.
  Connection* previous = nullptr;
  Connection* next = nullptr;
  bool is_ready = false;
  bool has_yielded = false;  // Its last turn ended with requests left.

 private:
  void OnTransportReady() noexcept override { host_.MakeReady(*this); }

  // Has the session take in what the client sent; false when there is nothing to serve.
  bool Receive();
  void ContinueStream();
  // Sees to what the session waits for after it has served.
  void Follow();
  void AwaitWake();
  void AwaitUploadMemory();

  // Everything in the workspace's Output since this turn began is this connection's.
  void BeginOutput();
  void TakeOutput();
  TransferStatus Send(UnsentOutput output);
  // Has the transport wake it for what it waits for now, and shows that.
  void Rest();
  // Apart: few turns leave any.
  [[gnu::noinline]] void KeepPending();
  [[gnu::noinline]] void DropPending();
  void SetState(ConnectionState state) { info_.state.store(state, std::memory_order_relaxed); }
  void ShowState() {
    SetState(pending_ != nullptr ? ConnectionState::kMwrite : session_.resting_state());
  }

  Workspace& workspace_;
  ConnectionHost& host_;
  bool is_closed_ = false;  // The peer is gone: nothing can be sent.
  bool has_peer_finished_ = false;
  OutputSlice output_;  // Of this turn, in the workspace's Output.
  std::unique_ptr<PendingOutput> pending_;
  ConnectionInfo info_;
  const std::unique_ptr<Transport> transport_;
  Session session_;
};

}  // namespace larder::server
