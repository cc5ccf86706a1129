// One client's requests, from bytes to replies.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <variant>

#include "protocol/text/line_request.h"
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

// Session has the requests of one client served, turn by turn: bytes go in by Room() and Took(),
// replies come out in the workspace's Output. It knows no socket and no event loop. Idle, it holds
// no buffer: input is parsed in the workspace's area, and only an unfinished rest is kept.
//
//   Room, Took -> [serve requests | take in a value | throw bytes away | go on with a reply]
//
// Threads: one worker.
// Owns:    what could not be parsed or stored yet; the reply that is made piece by piece.
class Session {
 public:
  // `number` stands for the client in what is printed.
  Session(Wires& wires, const SessionTerms& terms, ClientIdentity client, int number);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const ClientIdentity& client() const { return client_; }

  // The first call of each turn.
  void BeginTurn();

  // Where the client's next bytes are to be put, in order: the first pieces of `pieces`, or none if
  // what is kept fills the area. REQUIRES: neither a stream nor a wait for memory is on.
  std::span<const iovec> Room(InputPieces& pieces);
  // So many bytes were put there.
  void Took(std::size_t bytes);
  // There is input that was kept or has come in this turn.
  bool has_input() const { return !input_.empty(); }

  // Serves the input, until it is used up or the turn is over.
  void Serve();
  // Appends the next piece of the stream. REQUIRES: is_streaming() and not awaits_wake().
  void ContinueStream();
  // Nothing is to be served any more.
  void End();

  // --- What it goes on with after a turn

  // Input that was not served waits for the next turn.
  bool wants_turn() const { return wants_turn_; }
  bool has_kept_input() const { return !tail_.empty(); }
  // A reply is made piece by piece. Requests wait until it ends.
  bool is_streaming() const { return std::holds_alternative<Streaming>(state_); }
  // It goes on only after WakeStream(), which is for when the host was told to wake streams.
  bool awaits_wake() const;
  void WakeStream();
  // The value that the client sends; null if it sends none now.
  Uploading* uploading() { return std::get_if<Uploading>(&state_); }
  const Uploading* uploading() const { return std::get_if<Uploading>(&state_); }
  bool awaits_memory() const { return uploading() != nullptr && uploading()->awaits_memory(); }
  // It is neither in the middle of a value nor of a reply.
  bool is_between_requests() const { return std::holds_alternative<Requests>(state_); }
  bool has_ended() const { return std::holds_alternative<Ended>(state_); }
  // As `stats conns` shows it.
  ConnectionState resting_state() const;

 private:
  // What the next bytes are, or why none are taken.
  struct Requests {};
  struct Swallowing {  // They belong to a request that was refused.
    std::uint64_t bytes;
  };
  struct Streaming {
    std::unique_ptr<ReplyStream> stream;
    bool awaits_wake = false;
  };
  struct Ended {};

  struct Authenticated {};
  struct Unauthenticated {
    std::unique_ptr<SaslSession> sasl;  // Waits for the client's next step.
  };

  Wire& ChooseWire(char first_byte) const;
  // Each consumes from the front of `input`; false when the rest has to wait.
  bool ServeOnce(std::string_view& input);
  bool Swallow(std::string_view& input);
  bool ContinueUpload(std::string_view& input);
  bool ServeRequests(std::string_view& input);
  [[gnu::cold, gnu::noinline]] bool ServeUnauthenticated(std::string_view& input);
  // Each for a request that ended a batch.
  void BeginUpload(std::size_t at);
  bool LogIn(std::size_t at);
  bool BeginStream(std::size_t at);

  bool EndLogin(const LoginResult& login);
  void SwallowNext(std::uint64_t bytes);
  // Input for the next turn. Apart: few turns leave any.
  [[gnu::noinline]] void KeepTail(std::string_view input);
  [[gnu::noinline]] void DropTail();

  Wires& wires_;
  Workspace& workspace_;
  const ClientIdentity client_;
  const BindingProtocol protocol_;
  const int number_;
  Wire* wire_ = nullptr;  // Decided by the first byte.
  std::variant<Authenticated, Unauthenticated> login_;
  std::variant<Requests, Swallowing, Uploading, Streaming, Ended> state_;
  bool wants_turn_ = false;
  TurnBudget budget_;
  protocol::KeyList key_list_;
  InputTail tail_;                 // Input kept for the next turn.
  std::string_view input_;         // Of this turn.
  std::size_t room_in_cache_ = 0;  // Of what Room() returned.
};

}  // namespace larder::server
