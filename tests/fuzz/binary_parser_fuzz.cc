// Fuzzes the parser of the binary protocol: it must stay within its input, nothing that stands
// behind it nor any split of the bytes may change an answer, and what it accepts must be as its
// opcode's row says.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/binary/binary_packet.h"
#include "protocol/binary/binary_parser.h"
#include "protocol/binary/opcodes.h"
#include "tests/fuzz/stream.h"

namespace larder::protocol {
namespace {

ParseResult ParsePacket(std::string_view input, KeyList&, BinaryRequest& request) noexcept {
  return ParseBinary(input, request);
}

bool IsAsAllowed(PacketPart part, bool is_there) {
  return part == PacketPart::kOptional || is_there == (part == PacketPart::kRequired);
}

void CheckPacket(const ParsedPacket& parsed) {
  if (parsed.status == ParseStatus::kFatal) return;
  Require(parsed.head.size() >= kPacketHeadBytes);
  if (parsed.verb == BinaryVerb::kNone) {
    Require(parsed.error != PacketError::kNone);
    return;
  }
  const OpcodeSpec& spec = FindOpcode(RequestPacket(parsed.head).echo().opcode);
  const std::size_t extras_bytes = parsed.head.size() - kPacketHeadBytes;
  Require(parsed.verb == spec.verb && parsed.is_quiet == spec.is_quiet);
  Require(extras_bytes == 0 || extras_bytes == spec.extras_bytes);
  Require(IsAsAllowed(spec.extras, extras_bytes != 0));
  Require(IsAsAllowed(spec.key, !parsed.key.empty()) && parsed.key.size() <= kKeyBytesMax);
  Require(IsAsAllowed(spec.value, parsed.value_bytes != 0));
  Require(parsed.value.empty() || parsed.value.size() == parsed.value_bytes);
}

void TestOneStream(std::uint8_t choice, std::string_view stream) {
  const PacketFeed whole = FeedTwice(choice, stream, PacketFeed(ParsePacket, "\x80", 0));
  const PacketFeed other = FeedTwice(choice, stream, PacketFeed(ParsePacket, "\xff", 0));
  Require(AreAlike(whole, other));
  for (const ParsedPacket& parsed : whole.parsed()) CheckPacket(parsed);
}

}  // namespace
}  // namespace larder::protocol

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  if (bytes == 0) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, bytes - 1);
  larder::protocol::TestOneStream(data[0], stream);
  return 0;
}
