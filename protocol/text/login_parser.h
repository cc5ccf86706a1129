// The text protocol of a client that has not authenticated yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/parse_result.h"

namespace larder::protocol {

// The longest block of credentials.
inline constexpr std::size_t kCredentialsBytesMax = 16384;

// What such a client asks for, or what is wrong with it.
enum class Login : std::uint8_t {
  kCredentials,  // `user` and `password` are to be checked.
  kVersion,
  kQuit,     // Also a line of less than six bytes, and a binary packet: memcached closes upon them.
  kRefused,  // Any other line.
  kTooLong,  // The block would be larger than kCredentialsBytesMax.
  kBadEnd,   // The block is not followed by CRLF.
  kBadFormat,  // The block has no space between user and password.
};

struct LoginRequest {
  Login login = Login::kRefused;
  std::string_view user = {};  // Views into the input, as those of Request.
  std::string_view password = {};
  std::uint64_t swallow_bytes = 0;  // As Request's: the block of a refused storage command.
};

// Takes the next line from the front of `input`, with its block if that holds credentials:
//
//   set <any> <any> <any> <bytes>\r\n
//   <user> <password>\r\n
//
// Never kNeedValue. kFatal: the line is longer than kLineBytesMax; it is kRefused all the
// same. Answers alike however the bytes were split. `request` is overwritten by kComplete and
// kFatal.
//
// REQUIRES: kInputSlackBytes behind input.end() are readable.
ParseResult ParseLogin(std::string_view input, LoginRequest& request) noexcept;

}  // namespace larder::protocol
