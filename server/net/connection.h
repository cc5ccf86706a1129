// One client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocol/request.h"
#include "server/counters.h"
#include "server/execute.h"
#include "server/input/input_tail.h"
#include "server/input/upload.h"
#include "server/net/listener.h"
#include "server/net/transport.h"
#include "server/reply/output.h"
#include "server/reply/reply_stream.h"
#include "server/reply/unsent_output.h"
#include "server/sasl.h"
#include "server/socket/client_identity.h"
#include "server/socket/connection_table.h"

namespace larder::server {

class Worker;

// A client that was accepted, and how it is to be served.
struct AcceptedClient {
  int fd = -1;  // In non-blocking mode. Whoever takes it over closes it.
  ClientTerms terms = {};
  ClientIdentity identity = {};
};

enum class SendStatus : std::uint8_t { kDone, kBlocked, kClosed };

// Connection reads, has its requests served, and hands the replies over, turn by turn. Idle, it
// holds no buffer: input is parsed in the worker's area, and only an unfinished tail is kept.
//
//   bytes -> [upload | swallow | requests, up to a batch at a time] -> worker's Output -> transport
//
// Threads: one worker.
// Owns:    the transport; what could not be parsed, stored or sent yet.
class Connection final : private TransportUser {
 public:
  Connection(Worker& worker, AcceptedClient client);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The process phase of a turn: receives once and serves what came. Replies are in the worker's
  // Output when it returns.
  void Process();

  // The flush phase: sends the replies, and keeps what the client does not take.
  void Flush();

  // Nothing is left to do but to be destroyed.
  bool is_closing() const { return is_closed_ || (closes_after_flush_ && pending_ == nullptr); }
  bool is_idle_too_long(std::uint32_t now_s, std::uint32_t timeout_s) const;
  // The value that it sends does not come, or too slowly while others wait for upload memory.
  bool is_upload_stalled(std::uint32_t now_s) const;
  bool has_upload() const { return upload_ != nullptr; }
  // A value that has come waits for memory that others have.
  bool is_queued_for_memory() const { return is_queued_; }
  bool holds_upload_memory() const { return upload_ != nullptr && upload_->is_reserved(); }
  // There is something to answer before a stop.
  bool has_unsent_output() const { return pending_ != nullptr || stream_ != nullptr; }

  // The worker was told that streams may go on.
  void WakeStream();
  // For one that waits for upload memory: takes it, and goes on. False if it has to wait.
  bool TakeUploadMemory();

  // Places in the worker's list of connections and list of those to be served.
  Connection* previous = nullptr;
  Connection* next = nullptr;
  bool is_ready = false;
  bool has_yielded = false;  // Its last turn ended with requests left.

 private:
  void OnTransportReady() noexcept override;

  // What the client sent, behind the kept tail; false when there is nothing to serve.
  bool Receive(std::string_view& input);
  // Into `area`, or straight into an item. What came, and how much of it is in the area.
  Transferred ReceiveInto(std::span<char> area, std::size_t& in_area);
  Transferred ReceiveUpload(std::span<char> area, std::size_t& in_area);
  void Serve(std::string_view input);
  void ChooseProtocol(char first_byte);
  // Each consumes from the front of `input`; false when the rest has to wait for more input.
  bool Swallow(std::string_view& input);
  bool ContinueUpload(std::string_view& input);
  // Has memory of the cache for the whole value. False when it has to wait for it.
  bool ReserveUpload();
  void DropUpload();
  void QueueForMemory();
  std::size_t value_end_bytes() const;
  template <class Wire>
  bool ServeBatch(std::string_view& input);
  // Ends a batch behind one of its requests.
  [[gnu::cold, gnu::noinline]] bool LeaveBatch(Next then, std::size_t last,
                                               std::string_view& input);
  [[gnu::cold, gnu::noinline]] bool ServeStranger(std::string_view& input);
  bool LogIn(const protocol::Request& request);
  bool BeginStream(const protocol::Request& request);
  // A piece; false if more are to come.
  bool ContinueStream();
  void EndLogin(LoginOutcome outcome);

  // Everything in the worker's Output since this turn began is this connection's.
  void TakeOutput();
  // Its requests have made as much work as a turn may, or as a slice of it while others wait.
  bool has_worked_enough();
  // Has the transport wake it for what it waits for now.
  void Listen();
  SendStatus Send(UnsentOutput output);
  // Input and output for the next turn. Apart: few turns leave any.
  [[gnu::noinline]] void KeepTail(std::string_view input);
  [[gnu::noinline]] void DropTail();
  [[gnu::noinline]] void KeepPending();
  [[gnu::noinline]] void DropPending();
  BufferGauges& buffers() const;
  // What it waits for between two turns.
  ConnectionState resting_state() const;
  void SetState(ConnectionState state) { info_.state.store(state, std::memory_order_relaxed); }

  Worker& worker_;
  const ClientIdentity identity_;
  const BindingProtocol protocol_;
  bool is_closed_ = false;  // The peer is gone: nothing can be sent.
  bool closes_after_flush_ = false;
  bool has_seen_input_ = false;
  bool is_binary_ = false;  // Decided by the first byte.
  bool is_stranger_;        // Has to authenticate before anything else.
  bool has_peer_finished_ = false;
  bool awaits_wake_ = false;         // The stream cannot go on before WakeStream().
  bool awaits_memory_ = false;       // The upload cannot go on before TakeUploadMemory().
  bool is_queued_ = false;           // For upload memory: there are bytes that it would take in.
  std::uint32_t requests_left_ = 0;  // Of this turn.
  protocol::KeyList key_list_;
  std::uint64_t swallow_bytes_ = 0;
  OutputSlice output_;           // Of this turn, in the worker's Output.
  std::size_t work_begin_ = 0;   // Output::work_bytes() before it.
  std::size_t slice_begin_ = 0;  // The same before its slice.
  std::size_t slice_units_ = 0;  // Requests and keys that were served in the slice.
  std::size_t slice_units_max_;  // A slice is short while others come often.
  InputTail tail_;               // Input kept for the next turn.
  std::unique_ptr<Upload> upload_;
  std::optional<UploadMemory::Share> upload_share_;  // Taken for the upload, which will have it.
  std::unique_ptr<SaslSession> sasl_session_;        // Waits for the client's next step.
  std::unique_ptr<ReplyStream> stream_;              // Requests wait until it ends.
  std::unique_ptr<PendingOutput> pending_;
  ConnectionInfo info_;
  const std::unique_ptr<Transport> transport_;
};

}  // namespace larder::server
