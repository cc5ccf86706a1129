// A protocol as a session speaks it.
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

enum class BatchEnd : std::uint8_t {
  kFull,       // There may be more requests.
  kNeedMore,   // What is left is a part of a request.
  kWorkDone,   // The turn has made enough work; what is left is for the next.
  kNeedValue,  // `at` is a store whose value has not wholly come: begin an upload.
  kLogIn,      // `at` is for LogIn().
  kStream,     // `at` is for BeginStream().
  kClose,      // After the replies so far were sent.
};

struct BatchLimits {
  std::uint32_t requests_max = 0;
  std::size_t work_bytes_max = 0;  // Of Output::work_bytes().
  int client_number = 0;           // Stands for the client in what is printed.
};

struct BatchResult {
  BatchEnd end = BatchEnd::kFull;
  std::size_t at = 0;               // Which request of the batch `end` is about.
  std::uint64_t swallow_bytes = 0;  // What follows and is to be thrown away first.
  std::uint32_t requests = 0;       // So many were served; all keys of a line are one.
  std::size_t units = 0;            // So many were parsed; each key is one.
};

// What became of a request to store a value that has not wholly come.
struct UploadBegin {
  std::unique_ptr<Upload> upload = nullptr;  // Null: it was refused, with the reply given,
  std::uint64_t swallow_bytes = 0;           // and this follows and is to be thrown away.
};

// What became of a request that is to authenticate its client, or of any that an unauthenticated
// client sent.
struct LoginResult {
  enum class Status : std::uint8_t {
    kNeedMore,  // It is not whole.
    kAnswered,
    kFatal,  // Whatever follows cannot be understood. Close after the replies.
  };

  Status status = Status::kNeedMore;
  std::optional<LoginOutcome> outcome = std::nullopt;  // None if there was nothing to answer.
  std::uint64_t swallow_bytes = 0;
};

// Wire is one protocol: how its requests are read, executed and answered.
//
// Threads: one worker.
class Wire {
 public:
  virtual ~Wire() = default;

  // Parses some requests from the front of `input`, executes them, and takes off `input` what is
  // done with. `keys`: where the parser stands in a line of keys.
  virtual BatchResult ServeBatch(std::string_view& input, protocol::KeyList& keys,
                                 const BatchLimits& limits) = 0;

  // Values that come in pieces: see TextExecutor. `at` is where the workspace's batch has the
  // request, here and below.
  virtual std::size_t value_end_bytes() const = 0;  // What follows a value.
  virtual UploadBegin BeginUpload(std::size_t at) = 0;
  virtual bool ReserveUpload(Upload& upload, UploadMemory::Share share) = 0;
  // The value has come. `end`: the value_end_bytes() that followed it.
  virtual void FinishUpload(Upload& upload, std::string_view end) = 0;

  // Nothing, with the reply given, if there is nothing to follow.
  virtual std::unique_ptr<ReplyStream> BeginStream(std::size_t at) = 0;

  // Answers the first request of `input`, which comes from an unauthenticated client. `sasl` is the
  // attempt that waits for the client's next step, if there is one.
  virtual LoginResult ServeLogin(std::string_view& input, std::unique_ptr<SaslSession>& sasl,
                                 int client_number) = 0;
  // Answers a request for which a batch ended with kLogIn.
  virtual LoginResult LogIn(std::size_t at, std::unique_ptr<SaslSession>& sasl) = 0;
};

}  // namespace larder::server
