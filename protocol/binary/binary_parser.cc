#include "protocol/binary/binary_parser.h"

#include <cassert>
#include <new>

#include "protocol/binary/binary_packet.h"
#include "protocol/binary/opcodes.h"

namespace larder::protocol {
namespace {

// Returns whether a part of a packet (extras, key or value) may have this length, which is 0 if the
// part is absent, according to the row of its opcode.
bool Allows(PacketPart part, std::uint32_t part_bytes) noexcept {
  const bool is_there = part_bytes != 0;
  switch (part) {
    case PacketPart::kForbidden:
      return !is_there;
    case PacketPart::kOptional:
      return true;
    case PacketPart::kRequired:
      return is_there;
  }
  assert(false && "a part that is neither forbidden nor allowed");
  return false;
}

// Makes `request` a refusal: a packet with an error in place of a command. Of an unknown command
// only the header is consumed here, and `body_bytes` are left for the connection to discard, so
// that the next packet is found. After wrong lengths no packet boundary can be trusted, so all of
// the input is consumed and the connection closes after the reply.
//
// Not inlined: refusals are rare, and the code would only make the common path larger.
[[gnu::noinline]] ParseResult Refuse(std::string_view input, PacketError error,
                                     std::uint32_t body_bytes, BinaryRequest& request) noexcept {
  assert(error != PacketError::kNone);
  assert(input.size() >= kPacketHeadBytes);
  new (&request) BinaryRequest{.head = input.substr(0, kPacketHeadBytes),
                               .swallow_bytes = body_bytes,
                               .verb = BinaryVerb::kNone,
                               .error = error};
  const bool is_last = error != PacketError::kUnknownCommand;
  return {ParseStatus::kComplete, is_last ? input.size() : kPacketHeadBytes};
}

// Returns the result for an input that is shorter than a header. The first byte decides. A text
// client that sends a short line to a port of the binary protocol would otherwise wait for ever,
// because its line may never become as long as a header.
ParseResult AwaitHead(std::string_view input) noexcept {
  assert(input.size() < kPacketHeadBytes);
  const bool begins_packet =
      input.empty() || static_cast<unsigned char>(input.front()) == kRequestMagic;
  return {begins_packet ? ParseStatus::kNeedMore : ParseStatus::kFatal, 0};
}

// Reads the numbers of the extras. Their length identifies their layout: all opcodes with equally
// long extras use the same fields.
inline void ReadExtras(const char* extras, std::uint32_t extras_bytes, BinaryRequest& request) {
  switch (extras_bytes) {
    case 0:
      break;
    // Only an exptime: touch, gat, gatk, and optionally flush and config_set.
    case 4:
      request.exptime = LoadBig<std::uint32_t>(extras);
      break;
    // Client flags and exptime: the storage commands.
    case 8:
      request.client_flags = LoadBig<std::uint32_t>(extras);
      request.exptime = LoadBig<std::uint32_t>(extras + 4);
      break;
    // 20 bytes: delta, initial value and exptime. The initial value stays in `head`.
    default:
      assert(extras_bytes == 20);
      request.delta = LoadBig<std::uint64_t>(extras);
      request.exptime = LoadBig<std::uint32_t>(extras + 16);
      break;
  }
}

}  // namespace

ParseResult ParseBinary(std::string_view input, BinaryRequest& request) noexcept {
  if (input.size() < kPacketHeadBytes) return AwaitHead(input);
  const char* const head = input.data();
  if (static_cast<unsigned char>(head[0]) != kRequestMagic) [[unlikely]]
    return {ParseStatus::kFatal, 0};
  const std::uint32_t key_bytes = LoadBig<std::uint16_t>(head + 2);
  const std::uint32_t extras_bytes = static_cast<unsigned char>(head[4]);
  const std::uint32_t body_bytes = LoadBig<std::uint32_t>(head + 8);

  // The checks follow the order of memcached, because a packet with several errors is answered with
  // the first one found.
  if (key_bytes + extras_bytes > body_bytes) [[unlikely]]
    return Refuse(input, PacketError::kBadBodyLength, 0, request);
  if (body_bytes > kBodyBytesMax || key_bytes > kKeyBytesMax) [[unlikely]]
    return Refuse(input, PacketError::kBadArguments, 0, request);
  const OpcodeSpec& spec = FindOpcode(static_cast<std::uint8_t>(head[1]));
  if (spec.verb == BinaryVerb::kNone) [[unlikely]]
    return Refuse(input, PacketError::kUnknownCommand, body_bytes, request);
  const std::uint32_t value_bytes = body_bytes - key_bytes - extras_bytes;
  if (!Allows(spec.key, key_bytes) || !Allows(spec.value, value_bytes) ||
      !Allows(spec.extras, extras_bytes) ||
      (extras_bytes != 0 && extras_bytes != spec.extras_bytes)) [[unlikely]]
    return Refuse(input, PacketError::kBadArguments, 0, request);

  // The request needs its whole head (header, extras and key) before it is returned.
  const std::size_t value_at = kPacketHeadBytes + extras_bytes + key_bytes;
  if (input.size() < value_at) return {ParseStatus::kNeedMore, 0};
  const char* const extras = head + kPacketHeadBytes;
  const bool has_value = input.size() - value_at >= value_bytes;
  // A value that its command reads as a whole (SASL, config set) has to be in the input completely,
  // unless it is longer than the opcode allows. kSaslValueBytesMax is the smallest such limit, so a
  // value that is present and not longer needs no look at the row.
  std::uint32_t awaited_bytes_max = 0;
  if (!has_value || value_bytes > kSaslValueBytesMax) [[unlikely]] {
    awaited_bytes_max = spec.awaited_bytes_max;
    if (!has_value && value_bytes <= awaited_bytes_max) return {ParseStatus::kNeedMore, 0};
  }

  new (&request) BinaryRequest{.key = {extras + extras_bytes, key_bytes},
                               .head = {head, kPacketHeadBytes + extras_bytes},
                               .cas = LoadBig<std::uint64_t>(head + 16),
                               .value_bytes = value_bytes,
                               .verb = spec.verb,
                               .is_quiet = spec.is_quiet};
  ReadExtras(extras, extras_bytes, request);
  // A value too long to be read as a whole: the executor refuses the request, and the connection
  // discards the value.
  if (awaited_bytes_max != 0 && value_bytes > awaited_bytes_max) {
    request.swallow_bytes = value_bytes;
    return {ParseStatus::kComplete, value_at};
  }
  if (!has_value) return {ParseStatus::kNeedValue, value_at};
  assert(value_at + value_bytes <= input.size());
  request.value = {head + value_at, value_bytes};
  return {ParseStatus::kComplete, value_at + value_bytes};
}

}  // namespace larder::protocol
