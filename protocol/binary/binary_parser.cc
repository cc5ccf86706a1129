#include "protocol/binary/binary_parser.h"

#include <new>

#include "protocol/binary/binary_packet.h"
#include "protocol/binary/opcodes.h"

namespace larder::protocol {
namespace {

bool Allows(PacketPart part, bool is_there) noexcept {
  switch (part) {
    case PacketPart::kForbidden:
      return !is_there;
    case PacketPart::kOptional:
      return true;
    case PacketPart::kRequired:
      return is_there;
  }
  return false;
}

// A packet without a request in it. `body_bytes` behind its header are to be thrown away.
[[gnu::noinline]] ParseResult Refuse(std::string_view input, PacketError error,
                                     std::uint32_t body_bytes, BinaryRequest& request) noexcept {
  new (&request) BinaryRequest{.head = input.substr(0, kPacketHeadBytes),
                               .swallow_bytes = body_bytes,
                               .verb = BinaryVerb::kNone,
                               .error = error};
  const bool is_last = error != PacketError::kUnknownCommand;
  return {ParseStatus::kComplete, is_last ? input.size() : kPacketHeadBytes};
}

// The first byte decides: a text client, whose line is shorter than a header, is not to wait for an
// answer that never comes.
ParseResult AwaitHead(std::string_view input) noexcept {
  const bool begins_packet =
      input.empty() || static_cast<unsigned char>(input.front()) == kRequestMagic;
  return {begins_packet ? ParseStatus::kNeedMore : ParseStatus::kFatal, 0};
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

  // In memcached's order: which error is answered depends on it.
  if (key_bytes + extras_bytes > body_bytes) [[unlikely]]
    return Refuse(input, PacketError::kBadBodyLength, 0, request);
  if (body_bytes > kBodyBytesMax || key_bytes > kKeyBytesMax) [[unlikely]]
    return Refuse(input, PacketError::kBadArguments, 0, request);
  const OpcodeSpec& spec = FindOpcode(static_cast<std::uint8_t>(head[1]));
  if (spec.verb == BinaryVerb::kNone) [[unlikely]]
    return Refuse(input, PacketError::kUnknownCommand, body_bytes, request);
  const std::uint32_t value_bytes = body_bytes - key_bytes - extras_bytes;
  if (!Allows(spec.key, key_bytes != 0) || !Allows(spec.value, value_bytes != 0) ||
      !Allows(spec.extras, extras_bytes != 0) ||
      (extras_bytes != 0 && extras_bytes != spec.extras_bytes)) [[unlikely]]
    return Refuse(input, PacketError::kBadArguments, 0, request);

  const std::size_t value_at = kPacketHeadBytes + extras_bytes + key_bytes;
  if (input.size() < value_at) return {ParseStatus::kNeedMore, 0};
  const char* const extras = head + kPacketHeadBytes;
  const bool has_value = input.size() - value_at >= value_bytes;
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
  switch (extras_bytes) {
    case 0:
      break;
    case 4:  // Expiry.
      request.exptime = LoadBig<std::uint32_t>(extras);
      break;
    case 8:  // Flags and expiry.
      request.client_flags = LoadBig<std::uint32_t>(extras);
      request.exptime = LoadBig<std::uint32_t>(extras + 4);
      break;
    default:  // Delta, initial value and expiry.
      request.delta = LoadBig<std::uint64_t>(extras);
      request.exptime = LoadBig<std::uint32_t>(extras + 16);
      break;
  }
  if (awaited_bytes_max != 0 && value_bytes > awaited_bytes_max) {
    request.swallow_bytes = value_bytes;
    return {ParseStatus::kComplete, value_at};
  }
  if (!has_value) return {ParseStatus::kNeedValue, value_at};
  request.value = {head + value_at, value_bytes};
  return {ParseStatus::kComplete, value_at + value_bytes};
}

}  // namespace larder::protocol
