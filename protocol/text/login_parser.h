// The parser of the text protocol for a client that has not authenticated yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/parse_result.h"

namespace larder::protocol {

// The longest block of credentials in bytes, without its CRLF.
inline constexpr std::size_t kCredentialsBytesMax = 16384;

// What an unauthenticated client asks for, or what is wrong with its line.
enum class Login : std::uint8_t {
  // Check `user` and `password`.
  kCredentials,
  // Answer with the version, which needs no authentication.
  kVersion,
  // Close the connection. Besides `quit` this is a line of fewer than six bytes, or a binary
  // packet, for both of which memcached closes the connection.
  kQuit,
  // Any other line: the client has to authenticate first.
  kRefused,
  // The block is longer than kCredentialsBytesMax and must be discarded.
  kTooLong,
  // The block does not end with CRLF.
  kBadEnd,
  // The block has no space between user and password.
  kBadFormat,
};

// One line of an unauthenticated client. The views point into the parser's input and are valid
// until those bytes are dropped.
//
// Threads: one worker.
struct LoginRequest {
  // What the client asks for.
  Login login = Login::kRefused;
  // The name and the password of kCredentials; otherwise empty.
  std::string_view user = {};
  std::string_view password = {};
  // Bytes after consumed_bytes that the connection must read and discard: the data block of a
  // refused storage command, or of credentials that are too long.
  std::uint64_t swallow_bytes = 0;
};

// Takes the next line from the front of `input`, with its block if that contains credentials:
//
//   set <any> <any> <any> <bytes>\r\n
//   <user> <password>\r\n
//
// Returns kComplete with a `request`; kNeedMore if the line, or a block of credentials, is not
// complete; kFatal with a kRefused `request` if the line is longer than kLineBytesMax. It never
// returns kNeedValue. The results do not depend on how the bytes were split. `request` is
// overwritten for kComplete and kFatal, and untouched for kNeedMore.
//
// REQUIRES: kInputSlackBytes behind input.end() are readable.
ParseResult ParseLogin(std::string_view input, LoginRequest& request) noexcept;

}  // namespace larder::protocol
