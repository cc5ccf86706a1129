// The session of one client: it turns received bytes into replies.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <variant>

#include "protocol/text/line_request.h"
#include "server/command/next.h"
#include "server/input/input_tail.h"
#include "server/reply/reply_stream.h"
#include "server/sasl.h"
#include "server/session/session_terms.h"
#include "server/session/turn_budget.h"
#include "server/session/uploading.h"
#include "server/session/wires.h"
#include "server/session/workspace.h"
#include "server/socket/client_identity.h"
#include "server/socket/connection_table.h"

namespace larder::server {

// Session serves the requests of one client, turn by turn. It uses neither a socket nor the event
// loop: bytes are put where PreparePieces() says and reported by Took(), and replies appear in the
// workspace's Output. Between turns a session without unfinished input holds no buffer: input is
// parsed in the workspace's area, and only an unfinished rest is copied.
//
//   PreparePieces, Took -> [serve requests | receive a value | throw bytes away | continue a reply]
//
// The order of calls in a turn is BeginTurn(), then PreparePieces() and Took() if something is
// received, then Serve() or ContinueStream().
//
// Threads:    one worker.
// Owns:       what could not be parsed or stored yet, and the reply that is produced piece by
//             piece.
// Invariants: state_ says what the next bytes of the client are, or why none are taken.
class Session {
 public:
  // `number` identifies the client in log lines. `wires` must outlive the session.
  Session(Wires& wires, const SessionTerms& terms, ClientIdentity client, int number);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Lives as long as the session.
  const ClientIdentity& client() const { return client_; }

  // Has to be called first in each turn: sets the budget of the turn, and makes the input that was
  // kept available.
  void BeginTurn();

  // Moves the kept input to the front of the input area, and returns where the client's next bytes
  // are to be received, in order: the first elements of `pieces`. Empty if the kept input fills the
  // area, and then it has to be served first. While a value is uploaded, the pieces may lie in the
  // cache. They are valid until Serve(). REQUIRES: the session is neither streaming nor waiting for
  // memory.
  std::span<const iovec> PreparePieces(InputPieces& pieces);
  // Reports that `bytes` bytes were received into the pieces that PreparePieces() returned, the
  // first ones first. REQUIRES: the pieces have room for so many.
  void Took(std::size_t bytes);
  // Whether there is input that was kept or has arrived in this turn.
  bool has_input() const { return !input_.empty(); }

  // Serves the input until it is used up or the turn is over. What is left is kept for the next
  // turn. REQUIRES: the session is neither streaming nor waiting for memory, and the client has
  // sent something by now.
  void Serve();
  // Appends the next piece of the reply stream to the Output. REQUIRES: is_streaming() and not
  // awaits_wake().
  void ContinueStream();
  // Ends the session normally: nothing is served any more, and the kept input is dropped.
  void End();

  // --- What follows a turn

  // Whether input was left because the turn was over: the session needs another turn even if
  // nothing more arrives.
  bool wants_turn() const { return wants_turn_; }
  // Whether input is kept for a later turn, including the incomplete part of a request.
  bool has_kept_input() const { return !tail_.empty(); }
  // Whether a reply is produced piece by piece. Requests wait until it ends.
  bool is_streaming() const { return std::holds_alternative<Streaming>(state_); }
  // Whether the client gets nothing any more but this stream: what it sends is thrown away.
  bool is_watching() const {
    const auto* const streaming = std::get_if<Streaming>(&state_);
    return streaming != nullptr && streaming->stream->replaces_requests();
  }
  // Whether the reply stream waits for its content. It continues after WakeStream(), which the host
  // calls when TurnHost::WakeStreams() asked for it.
  bool awaits_wake() const { return stream_awaits_wake_; }
  void WakeStream() { stream_awaits_wake_ = false; }
  // The value that the client sends; null if it sends none now. Valid until the next call of
  // Serve().
  Uploading* uploading() const {
    const auto* const uploading = std::get_if<UploadingState>(&state_);
    return uploading == nullptr ? nullptr : uploading->get();
  }
  // Whether the client sends a value for which there is no memory at the moment.
  bool awaits_memory() const { return uploading() != nullptr && uploading()->awaits_memory(); }
  // Whether it is neither in the middle of a value nor of a reply.
  bool is_between_requests() const { return std::holds_alternative<Requests>(state_); }
  // Whether nothing is to be served any more. The replies so far may still have to be sent.
  bool has_ended() const { return std::holds_alternative<Ended>(state_); }
  // Why it has ended; kNormal if it has not.
  EndReason end_reason() const {
    const auto* const ended = std::get_if<Ended>(&state_);
    return ended == nullptr ? EndReason::kNormal : ended->reason;
  }
  // The state that `stats conns` shows between two turns.
  ConnectionState resting_state() const;

 private:
  // The states of state_. While streaming, and after the end, no input is taken.

  // The next bytes begin a request, or continue a line of keys.
  struct Requests {};
  // The next bytes belong to a request that was refused and are thrown away.
  struct Swallowing {
    std::uint64_t bytes;
  };
  // The next bytes belong to a value. On the heap, because few sessions are in this state and all
  // have room for the largest.
  using UploadingState = std::unique_ptr<Uploading>;
  // A reply is produced piece by piece.
  struct Streaming {
    std::unique_ptr<ReplyStream> stream;
  };
  // The session is over.
  struct Ended {
    EndReason reason = EndReason::kNormal;
  };

  // The login. A client of a listener without passwords counts as authenticated.
  struct Authenticated {};
  struct Unauthenticated {
    // An attempt that waits for the client's next step; null if there is none.
    std::unique_ptr<SaslSession> sasl;
  };

  // The protocol, which the listener prescribes or the first byte of the client decides.
  Wire& ChooseWire(char first_byte) const;
  // Each of these serves the next thing in `input` and removes what it used. The result is false
  // when the rest has to wait, for more bytes or for another turn.
  bool ServeOnce(std::string_view& input);
  bool Swallow(std::string_view& input);
  bool ContinueUpload(std::string_view& input);
  bool ServeRequests(std::string_view& input);
  [[gnu::cold, gnu::noinline]] bool ServeUnauthenticated(std::string_view& input);
  // Each of these handles the request for which a batch has ended; `at` is its index in the batch.
  void BeginUpload(std::size_t at);
  bool LogIn(std::size_t at);
  bool BeginStream(std::size_t at);

  // Applies the result of a login request to the session.
  bool EndLogin(const LoginResult& login);
  // Has the next `bytes` bytes of input thrown away; none if it is 0.
  void SwallowNext(std::uint64_t bytes);
  // Store input for the next turn, and drop what was stored, with the statistics of buffers kept up
  // to date. They are not inlined because few turns leave any input.
  [[gnu::noinline]] void KeepTail(std::string_view input);
  [[gnu::noinline]] void DropTail();

  Wires& wires_;
  Workspace& workspace_;
  const ClientIdentity client_;
  const BindingProtocol protocol_;
  bool wants_turn_ = false;
  // Only while streaming: the stream waits for its content.
  bool stream_awaits_wake_ = false;
  // Identifies the client in log lines.
  const int number_;
  // The client's protocol; null until its first byte has arrived.
  Wire* wire_ = nullptr;
  std::variant<Authenticated, Unauthenticated> login_;
  std::variant<Requests, Swallowing, UploadingState, Streaming, Ended> state_;
  // What is left of this turn.
  TurnBudget budget_;
  // Where the parser is in a retrieval line whose keys have not all arrived.
  protocol::KeyList key_list_;
  // Input that is kept for the next turn.
  InputTail tail_;
  // The input of this turn: in the workspace's area, or in tail_ if nothing was received.
  std::string_view input_;
  // How many bytes of the pieces that PreparePieces() returned lie in the cache; the pieces begin
  // with these.
  std::size_t room_in_cache_ = 0;
};

}  // namespace larder::server
