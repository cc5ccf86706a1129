// BinaryRequest, the result of the parser of binary packets.
#pragma once

#include <cassert>
#include <cstdint>
#include <string_view>

#include "protocol/binary/binary_packet.h"
#include "protocol/binary/opcodes.h"

namespace larder::protocol {

// The reason why a packet is not a valid request.
enum class PacketError : std::uint8_t {
  // The packet is valid.
  kNone,
  // The opcode is unknown. The connection stays open.
  kUnknownCommand,
  // The key and the extras exceed the body. The reply has the status of an unknown command, as in
  // memcached; then the connection closes.
  kBadBodyLength,
  // A part has a length that the opcode does not allow. The reply is kInvalidArguments; then the
  // connection closes.
  kBadArguments,
};

// One packet of the binary protocol. All views point into the parser's input and are valid until
// those bytes are dropped.
//
// Threads: one worker.
struct BinaryRequest {
  // At most kKeyBytesMax bytes; empty for commands without a key.
  std::string_view key = {};
  // The whole value, if it was in the input; otherwise empty (see ParseBinary()).
  std::string_view value = {};
  // The header and the extras; of a refused packet, the header alone.
  std::string_view head = {};
  // The CAS field of the header; 0: the client did not ask for a comparison.
  std::uint64_t cas = 0;
  // incr and decr: the number to add or subtract.
  std::uint64_t delta = 0;
  // Storage commands: 32 bits that the server stores for the client without using them.
  std::uint32_t client_flags = 0;
  // The expiry as sent: 0 never; up to 30 days: seconds from now; more: Unix time in seconds.
  std::uint32_t exptime = 0;
  // The length of the value that the packet announces, whether or not it has arrived.
  std::uint32_t value_bytes = 0;
  // Bytes after consumed_bytes that the connection must read and discard.
  std::uint32_t swallow_bytes = 0;
  // The command; kNone if `error` is set.
  BinaryVerb verb = BinaryVerb::kNone;
  // The reason of a refusal. Only this, head and swallow_bytes have a meaning then.
  PacketError error = PacketError::kNone;
  // The row's is_quiet: a quiet command omits its uninteresting reply.
  bool is_quiet = false;

  // The fields that the reply repeats.
  Echo echo() const noexcept { return RequestPacket(head).echo(); }
  // incr and decr: the number with which a missing key is created.
  //
  // REQUIRES: verb is kIncr or kDecr.
  std::uint64_t initial() const noexcept {
    assert(verb == BinaryVerb::kIncr || verb == BinaryVerb::kDecr);
    assert(head.size() == kPacketHeadBytes + 20);
    return RequestPacket(head).initial();
  }
};

}  // namespace larder::protocol
