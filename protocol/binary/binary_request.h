// What the parser of packets produces.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/binary/binary_packet.h"
#include "protocol/binary/opcodes.h"

namespace larder::protocol {

// Why a packet could not become a request.
enum class PacketError : std::uint8_t {
  kNone,
  kUnknownCommand,
  // The connection closes after these:
  kBadBodyLength,  // Unknown command: key and extras exceed the body.
  kBadArguments,   // Invalid arguments.
};

// One packet of the binary protocol. All views point into the parser's input and live until those
// bytes are dropped.
struct BinaryRequest {
  std::string_view key = {};
  std::string_view value = {};     // All of it, if it was there.
  std::string_view head = {};      // The header and the extras.
  std::uint64_t cas = 0;           // What the header has.
  std::uint64_t delta = 0;         // incr, decr.
  std::uint32_t client_flags = 0;  // Storage.
  std::uint32_t exptime = 0;       // 0 never, up to 30 days relative, more is Unix time.
  std::uint32_t value_bytes = 0;
  std::uint32_t swallow_bytes = 0;  // Bytes after consumed_bytes to read and throw away.
  BinaryVerb verb = BinaryVerb::kNone;
  PacketError error = PacketError::kNone;  // kNone.
  bool is_quiet = false;

  Echo echo() const noexcept { return RequestPacket(head).echo(); }
  // incr and decr: what a missing key is created with.
  std::uint64_t initial() const noexcept { return RequestPacket(head).initial(); }
};

}  // namespace larder::protocol
