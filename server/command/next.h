// What a session does after a request was executed.
#pragma once

#include <cstdint>

namespace larder::server {

// The result of an executor's Execute().
enum class Next : std::uint8_t {
  // The request was answered, if it wants an answer; the next one follows.
  kGoOn,
  // Close the connection after the replies so far were sent: the client has asked for it; it has
  // asked the server to stop; or it cannot be served any further.
  kClose,
  kStop,
  kFail,
  // Only binary: the request is one for LogIn() and is not answered yet.
  kLogIn,
  // The reply is produced piece by piece: the request is one for BeginStream() and is not answered
  // yet.
  kStream,
};

// Why a connection ends, as clients that watch connections see it: the client has left or has asked
// for it, it has asked the server to stop, an error of either side, or it was silent for too long.
enum class EndReason : std::uint8_t { kNormal, kStop, kError, kIdle };

// The result of an executor's LogIn().
enum class LoginOutcome : std::uint8_t {
  // The client has authenticated: all its requests are served from now on.
  kAdmitted,
  // The client is not authenticated, or not any more; it may try again.
  kUnauthenticated,
  // Close the connection after the replies so far were sent.
  kClose,
};

}  // namespace larder::server
