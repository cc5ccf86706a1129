// Why a line could not become a request.
#pragma once

#include <cstdint>

namespace larder::protocol {

// Of the text and the meta protocol, which answer alike. The texts are in
// protocol/text/text_reply.h.
enum class LineError : std::uint8_t {
  kNone,
  kUnknownCommand,  // ERROR
  kBadLine,         // CLIENT_ERROR bad command line format
  kBadExptime,      // CLIENT_ERROR invalid exptime argument
  kBadDelta,        // CLIENT_ERROR invalid numeric delta argument
  kBadDataChunk,    // CLIENT_ERROR bad data chunk
  // The flags of meta commands.
  kDuplicateFlag,
  kInvalidFlag,
  kBadMetaToken,
  kBadMetaInitial,
  kBadMetaDelta,
  kBadBase64,
  kTooManyFlags,
  kOpaqueTooLong,
  kBadSetMode,
  kBadArithmeticMode,
  kBadArithmeticFlag,
};

}  // namespace larder::protocol
