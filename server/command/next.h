// What a connection is to do after a request was executed.
#pragma once

#include <cstdint>

namespace larder::server {

enum class Next : std::uint8_t {
  kGoOn,
  kClose,   // After the replies so far were sent.
  kLogIn,   // Binary: the request is one for LogIn(), and is not answered yet.
  kStream,  // The same for BeginStream().
};

enum class LoginOutcome : std::uint8_t {
  kAdmitted,  // All requests are to be served from now on.
  kUnauthenticated,
  kClose,  // After the replies so far were sent.
};

}  // namespace larder::server
