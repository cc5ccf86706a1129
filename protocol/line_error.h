// LineError, the reason why a line could not become a request.
#pragma once

#include <cstdint>

namespace larder::protocol {

// The errors of the text and the meta protocol, which send the same error lines. Each enumerator
// has the name of its text in protocol/text/text_reply.h; ErrorText() there maps one to the other.
enum class LineError : std::uint8_t {
  // The line is valid.
  kNone,
  kUnknownCommand,  // ERROR
  kBadLine,         // CLIENT_ERROR bad command line format
  kBadExptime,      // CLIENT_ERROR invalid exptime argument
  kBadDelta,        // CLIENT_ERROR invalid numeric delta argument
  kBadDataChunk,    // CLIENT_ERROR bad data chunk
  // Errors in the flags of meta commands. All are CLIENT_ERROR lines:
  // A flag occurs twice.
  kDuplicateFlag,
  // A letter that is not a flag.
  kInvalidFlag,
  // The token of C, E, N, R or T is not a number of the required type.
  kBadMetaToken,
  // The token of J is not a number.
  kBadMetaInitial,
  // The token of D is not a number.
  kBadMetaDelta,
  // The flag b is there, but the key is not base64 of at most kKeyBytesMax bytes.
  kBadBase64,
  // The line has more than kMetaWordsMax words.
  kTooManyFlags,
  // The token of O is longer than kOpaqueBytesMax.
  kOpaqueTooLong,
  // The token of M names no mode of ms.
  kBadSetMode,
  // The token of M names no mode of ma.
  kBadArithmeticMode,
  // The one answer of ma to every bad flag or token.
  kBadArithmeticFlag,
  kLast = kBadArithmeticFlag,
};

}  // namespace larder::protocol
