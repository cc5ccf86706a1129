// The interface between a session and the protocol that its client uses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "protocol/text/line_request.h"
#include "server/command/next.h"
#include "server/input/upload.h"
#include "server/reply/reply_stream.h"
#include "server/sasl.h"
#include "server/session/workspace.h"

namespace larder::server {

// Why a batch has ended, and what the session does next.
enum class BatchEnd : std::uint8_t {
  // All its requests were served; the input may have more.
  kFull,
  // The rest of the input is a part of a request.
  kNeedMore,
  // The turn has made enough work; the rest of the input is for the next turn.
  kWorkDone,
  // `at` is a store whose value has not completely arrived: call BeginUpload().
  kNeedValue,
  // `at` asks to authenticate: call LogIn().
  kLogIn,
  // The reply to `at` is produced piece by piece: call BeginStream().
  kStream,
  // Close the connection after the replies so far were sent; see Next.
  kClose,
  kStop,
  kFail,
};

// What a batch may do at most.
//
// Threads: a value.
struct BatchLimits {
  // Requests that may be served.
  std::uint32_t requests_max = 0;
  // The value of Output::work_bytes() above which the batch ends.
  std::size_t work_bytes_max = 0;
  // Identifies the client in log lines.
  int client_number = 0;
};

// What became of a batch.
//
// Threads: a value.
struct BatchResult {
  BatchEnd end = BatchEnd::kFull;
  // The index in the batch of the request that `end` refers to.
  std::size_t at = 0;
  // So many of the bytes that follow in the input are to be thrown away first.
  std::uint64_t swallow_bytes = 0;
  // Requests that were served; all keys of a line are one.
  std::uint32_t requests = 0;
  // Requests and keys that were parsed; each key of a line is one.
  std::size_t units = 0;
};

// The result of BeginUpload().
//
// Threads: a value.
struct UploadBegin {
  // Null if the request was refused; the error was replied.
  std::unique_ptr<Upload> upload = nullptr;
  // If it was refused, so many bytes follow that are to be thrown away: the value and its end.
  std::uint64_t swallow_bytes = 0;
};

// The result of a request that is to authenticate its client, or of any request that an
// unauthenticated client sent.
//
// Threads: a value.
struct LoginResult {
  enum class Status : std::uint8_t {
    // The request has not completely arrived; nothing was consumed.
    kNeedMore,
    // It was answered; see `outcome`.
    kAnswered,
    // The rest of the input cannot be parsed: close the connection after the replies.
    kFatal,
  };

  Status status = Status::kNeedMore;
  // Whether the client is authenticated now. Empty if there was nothing to answer.
  std::optional<LoginOutcome> outcome = std::nullopt;
  // So many of the bytes that follow in the input are to be thrown away.
  std::uint64_t swallow_bytes = 0;
};

// Wire is one protocol: how its requests are parsed, executed and answered. It holds no state of a
// client, so one object serves all sessions of a worker. `at` is the index of a request in the
// workspace's batch, where it stays until the next call of ServeBatch().
//
// Threads: one worker.
class Wire {
 public:
  virtual ~Wire() = default;

  // Parses some requests from the front of `input`, executes them, and removes from `input` what is
  // done with. `keys` is the parser's state in a line of keys, which carries over to the next call.
  // REQUIRES: limits.requests_max > 0.
  virtual BatchResult ServeBatch(std::string_view& input, protocol::KeyList& keys,
                                 const BatchLimits& limits) = 0;

  // The number of bytes that follow a value on the wire, which are part of the request.
  virtual std::size_t value_end_bytes() const = 0;
  // Begins to receive the value of a store that ended a batch with kNeedValue. The value's bytes
  // are still in the input.
  virtual UploadBegin BeginUpload(std::size_t at) = 0;
  // Reserves memory of the cache for the whole value. Returns false if there is none; then the
  // error was replied.
  virtual bool ReserveUpload(Upload& upload, UploadMemory::Share share) = 0;
  // Executes the request. `end` are the value_end_bytes() bytes that followed the value. REQUIRES:
  // the value is complete.
  virtual void FinishUpload(Upload& upload, std::string_view end) = 0;

  // Begins a reply that is produced piece by piece. Null if the reply was given at once.
  virtual std::unique_ptr<ReplyStream> BeginStream(std::size_t at) = 0;

  // Answers the first request of `input`, which an unauthenticated client sent, and removes it from
  // `input`. `sasl` is the attempt to authenticate that waits for the client's next step, if there
  // is one; the call may replace or end it.
  virtual LoginResult ServeLogin(std::string_view& input, std::unique_ptr<SaslSession>& sasl,
                                 int client_number) = 0;
  // Answers a request for which a batch ended with kLogIn.
  virtual LoginResult LogIn(std::size_t at, std::unique_ptr<SaslSession>& sasl) = 0;
};

}  // namespace larder::server
