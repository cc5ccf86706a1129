#include "protocol/binary/binary_parser.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/binary/binary_packet.h"
#include "protocol/binary/opcodes.h"
#include "tests/protocol/feed.h"
#include "tests/protocol/packet.h"

namespace larder::protocol {
namespace {

ParseResult ParsePacket(std::string_view input, KeyList&, BinaryRequest& request) noexcept {
  return ParseBinary(input, request);
}

PacketFeed BinaryFeed(std::string_view slack = "\x80") { return PacketFeed(ParsePacket, slack, 0); }

// What is in the requests of a stream, and at its end.
std::vector<ParsedPacket> ParsePackets(std::string_view stream) {
  PacketFeed feed = BinaryFeed();
  feed.Receive(stream);
  REQUIRE(feed.is_sane());
  return feed.parsed();
}

struct OnePacket {
  ParsedPacket parsed;
  std::size_t consumed_bytes = 0;
};

// The answer to the front of `text`, which nothing behind it changes.
OnePacket ParseOnePacket(std::string_view text) {
  OnePacket first;
  bool is_first = true;
  for (const std::string_view slack : {"\x80", "\xff", "\n"}) {
    const HostileInput input(text, slack);
    BinaryRequest request;
    const ParseResult result = ParseBinary(input.view(), request);
    const OnePacket one = {.parsed = Keep(result.status, request),
                           .consumed_bytes = result.consumed_bytes};
    if (is_first) first = one;
    is_first = false;
    REQUIRE(one.parsed == first.parsed);
    REQUIRE(one.consumed_bytes == first.consumed_bytes);
  }
  return first;
}

// A packet that `spec` allows, with all that it may have.
Packet FullPacket(const OpcodeSpec& spec) {
  Packet packet{.opcode = spec.opcode, .cas = 77};
  if (spec.extras != PacketPart::kForbidden) {
    packet.extras = std::string(
                        "\x11\x12\x13\x14\x21\x22\x23\x24\x31\x32\x33\x34\x41\x42\x43\x44"
                        "\x51\x52\x53\x54")
                        .substr(0, spec.extras_bytes);
  }
  if (spec.key != PacketPart::kForbidden) packet.key = "some key";
  if (spec.value != PacketPart::kForbidden) packet.value = "a\r\n value";
  return packet;
}

std::vector<OpcodeSpec> KnownOpcodes() {
  std::vector<OpcodeSpec> known;
  std::ranges::copy_if(kOpcodes, std::back_inserter(known),
                       [](const OpcodeSpec& spec) { return spec.verb != BinaryVerb::kNone; });
  return known;
}

PacketError PacketErrorOf(const Packet& packet) {
  const OnePacket one = ParseOnePacket(packet.Request());
  REQUIRE(one.parsed.status == ParseStatus::kComplete);
  return one.parsed.error;
}

TEST_CASE("a packet of every opcode is taken whole", "[protocol][binary]") {
  const std::vector<OpcodeSpec> known = KnownOpcodes();
  CHECK(known.size() == 35);
  for (const OpcodeSpec& spec : known) {
    CAPTURE(spec.name);
    const Packet packet = FullPacket(spec);
    const OnePacket one = ParseOnePacket(packet.Request() + "behind");
    CHECK(one.parsed.status == ParseStatus::kComplete);
    CHECK(one.consumed_bytes == packet.Request().size());
    CHECK(one.parsed.verb == spec.verb);
    CHECK(one.parsed.error == PacketError::kNone);
    CHECK(one.parsed.is_quiet == spec.is_quiet);
    CHECK(one.parsed.key == packet.key);
    CHECK(one.parsed.value == packet.value);
    CHECK(one.parsed.value_bytes == packet.value.size());
    CHECK(one.parsed.swallow_bytes == 0);
    CHECK(one.parsed.head == packet.Request().substr(0, kPacketHeadBytes + packet.extras.size()));
  }
}

TEST_CASE("numbers are read from where each opcode has them", "[protocol][binary]") {
  const auto parse = [](std::uint8_t opcode) {
    return ParseOnePacket(FullPacket(FindOpcode(opcode)).Request()).parsed;
  };
  const ParsedPacket set = parse(0x01);
  CHECK(set.client_flags == 0x11121314);
  CHECK(set.exptime == 0x21222324);
  CHECK(set.cas == 77);
  CHECK(parse(0x0e).cas == 77);
  CHECK(parse(0x04).cas == 77);
  CHECK(parse(0x08).exptime == 0x11121314);
  CHECK(parse(0x1c).exptime == 0x11121314);
  const ParsedPacket incr = parse(0x05);
  CHECK(incr.delta == 0x1112131421222324);
  CHECK(incr.exptime == 0x51525354);
  const RequestPacket packet(incr.head);
  CHECK(packet.initial() == 0x3132333441424344);
  CHECK(incr.cas == 77);
  CHECK(packet.echo().opcode == 0x05);
  const std::uint32_t opaque = packet.echo().opaque;
  CHECK(std::string_view(reinterpret_cast<const char*>(&opaque), 4) == "\x01\x02\x03\x04");
}

TEST_CASE("a packet that is cut anywhere asks for more", "[protocol][binary]") {
  for (const OpcodeSpec& spec : KnownOpcodes()) {
    CAPTURE(spec.name);
    const Packet packet = FullPacket(spec);
    const std::string bytes = packet.Request();
    const std::size_t value_at = bytes.size() - packet.value.size();
    const bool is_stored = !packet.value.empty() && spec.verb != BinaryVerb::kSaslAuth &&
                           spec.verb != BinaryVerb::kSaslStep;
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      CAPTURE(cut);
      const OnePacket one = ParseOnePacket(std::string_view(bytes).substr(0, cut));
      if (is_stored && cut >= value_at) {
        CHECK(one.parsed.status == ParseStatus::kNeedValue);
        CHECK(one.consumed_bytes == value_at);
        CHECK(one.parsed.key == packet.key);
        CHECK(one.parsed.value_bytes == packet.value.size());
      } else {
        CHECK(one.parsed.status == ParseStatus::kNeedMore);
        CHECK(one.consumed_bytes == 0);
      }
    }
  }
}

TEST_CASE("a part that must not be there, or must be, is an invalid argument",
          "[protocol][binary]") {
  for (const OpcodeSpec& spec : KnownOpcodes()) {
    CAPTURE(spec.name);
    const auto check = [&](PacketPart part, std::string Packet::*text) {
      Packet without = FullPacket(spec);
      without.*text = "";
      CHECK(PacketErrorOf(without) ==
            (part == PacketPart::kRequired ? PacketError::kBadArguments : PacketError::kNone));
      Packet with = FullPacket(spec);
      if ((with.*text).empty()) with.*text = "x";
      CHECK(PacketErrorOf(with) ==
            (part == PacketPart::kForbidden ? PacketError::kBadArguments : PacketError::kNone));
    };
    check(spec.extras, &Packet::extras);
    check(spec.key, &Packet::key);
    check(spec.value, &Packet::value);
  }
}

TEST_CASE("extras of another length are an invalid argument", "[protocol][binary]") {
  for (const OpcodeSpec& spec : KnownOpcodes()) {
    CAPTURE(spec.name);
    for (std::size_t bytes = 1; bytes < 256; ++bytes) {
      Packet packet = FullPacket(spec);
      packet.extras.assign(bytes, '\0');
      CAPTURE(bytes);
      const bool is_right = spec.extras != PacketPart::kForbidden && bytes == spec.extras_bytes;
      CHECK(PacketErrorOf(packet) == (is_right ? PacketError::kNone : PacketError::kBadArguments));
    }
  }
}

TEST_CASE("an unknown opcode leaves exactly its body to be swallowed", "[protocol][binary]") {
  for (int opcode = 0; opcode < 256; ++opcode) {
    CAPTURE(opcode);
    const auto byte = static_cast<std::uint8_t>(opcode);
    if (FindOpcode(byte).verb != BinaryVerb::kNone) continue;
    const Packet packet{.opcode = byte, .extras = "1234", .key = "key", .value = "value"};
    const OnePacket one = ParseOnePacket(packet.Request().substr(0, kPacketHeadBytes));
    CHECK(one.parsed.status == ParseStatus::kComplete);
    CHECK(one.consumed_bytes == kPacketHeadBytes);
    CHECK(one.parsed.error == PacketError::kUnknownCommand);
    CHECK(one.parsed.swallow_bytes == 12);
    CHECK(ParsePackets(packet.Request() + Packet{.opcode = 0x0a}.Request()).back().verb ==
          BinaryVerb::kNoop);
  }
}

TEST_CASE("lengths that contradict each other are refused by the header alone",
          "[protocol][binary]") {
  const auto check = [](Packet packet, PacketError error) {
    for (const int opcode : {0x00, 0x01, 0x09, 0x11, 0x21, 0x77}) {
      packet.opcode = static_cast<std::uint8_t>(opcode);
      CAPTURE(opcode);
      CHECK(PacketErrorOf(packet) == error);
      // Nothing behind it can be read.
      CHECK(ParseOnePacket(packet.Request() + "behind").consumed_bytes ==
            packet.Request().size() + 6);
    }
  };
  check({.key_bytes = 1, .body_bytes = 0}, PacketError::kBadBodyLength);
  check({.key_bytes = 65535, .body_bytes = 65534}, PacketError::kBadBodyLength);
  check({.extras_bytes = 1, .body_bytes = 0}, PacketError::kBadBodyLength);
  check({.key_bytes = 1, .extras_bytes = 8, .body_bytes = 8}, PacketError::kBadBodyLength);
  check({.key_bytes = 251, .body_bytes = 251}, PacketError::kBadArguments);
  check({.key_bytes = 65535, .body_bytes = 0x3fffffff}, PacketError::kBadArguments);
  check({.key_bytes = 1, .body_bytes = 0x40000001}, PacketError::kBadArguments);
  check({.key_bytes = 1, .body_bytes = 0xffffffff}, PacketError::kBadArguments);
}

TEST_CASE("keys of 250 bytes and bodies of 1 GiB are the last that are taken",
          "[protocol][binary]") {
  CHECK(PacketErrorOf({.opcode = 0x00, .key = std::string(250, 'k')}) == PacketError::kNone);
  const Packet large{.opcode = 0x01, .extras = Big(0, 8), .key = "k", .body_bytes = 0x40000000};
  const OnePacket one = ParseOnePacket(large.Request());
  CHECK(one.parsed.status == ParseStatus::kNeedValue);
  CHECK(one.parsed.value_bytes == 0x40000000 - 9);
}

TEST_CASE("what begins no packet is fatal at its first byte", "[protocol][binary]") {
  const std::string noop = Packet{.opcode = 0x0a}.Reply();
  CHECK(ParseOnePacket(noop.substr(0, 1)).parsed.status == ParseStatus::kFatal);
  CHECK(ParseOnePacket(noop.substr(0, 23)).parsed.status == ParseStatus::kFatal);
  CHECK(ParseOnePacket(noop).parsed.status == ParseStatus::kFatal);
  const std::string request = Packet{.opcode = 0x0a}.Request();
  CHECK(ParseOnePacket(request.substr(0, 1)).parsed.status == ParseStatus::kNeedMore);
  CHECK(ParseOnePacket(request.substr(0, 23)).parsed.status == ParseStatus::kNeedMore);
  CHECK(ParseOnePacket("get a\r\nget b\r\nget c\r\nget d\r\n").parsed.status ==
        ParseStatus::kFatal);
}

TEST_CASE("data type and vbucket do not count", "[protocol][binary]") {
  std::string bytes = Packet{.opcode = 0x00, .key = "k", .status = 0xffff}.Request();
  bytes[5] = '\x7f';
  CHECK(ParseOnePacket(bytes).parsed.verb == BinaryVerb::kGet);
}

TEST_CASE("a long SASL value is swallowed, whether it is there or not", "[protocol][binary]") {
  for (const int opcode : {0x21, 0x22}) {
    Packet packet{.opcode = static_cast<std::uint8_t>(opcode),
                  .key = "PLAIN",
                  .value = std::string(kSaslValueBytesMax, 'x')};
    CHECK(ParseOnePacket(packet.Request()).parsed.value == packet.value);
    packet.value += 'x';
    for (const std::size_t cut : {kPacketHeadBytes + 5, packet.Request().size()}) {
      const OnePacket one = ParseOnePacket(std::string_view(packet.Request()).substr(0, cut));
      CHECK(one.parsed.status == ParseStatus::kComplete);
      CHECK(one.consumed_bytes == kPacketHeadBytes + 5);
      CHECK(one.parsed.key == "PLAIN");
      CHECK(one.parsed.value.empty());
      CHECK(one.parsed.swallow_bytes == packet.value.size());
    }
  }
}

// --- Streams ------------------------------------------------------------------------------------

std::string RandomBytes(std::mt19937& random, std::size_t bytes) {
  std::string text(bytes, '\0');
  for (char& byte : text) byte = static_cast<char>(random());
  return text;
}

// A packet in one of the ways that clients get it right or, now and then, wrong.
std::string RandomPacket(std::mt19937& random) {
  const OpcodeSpec& spec = kOpcodes[random() % kOpcodes.size()];
  Packet packet{.opcode = spec.opcode, .cas = random() % 3, .opaque = RandomBytes(random, 4)};
  if (spec.extras != PacketPart::kForbidden) packet.extras = RandomBytes(random, spec.extras_bytes);
  if (spec.key != PacketPart::kForbidden) packet.key = RandomBytes(random, 1 + random() % 40);
  if (spec.value != PacketPart::kForbidden) packet.value = RandomBytes(random, random() % 300);
  switch (random() % 40) {
    case 0:
      packet.opcode = static_cast<std::uint8_t>(random());
      break;
    case 1:
      packet.key = std::string(249 + random() % 3, 'k');
      break;
    case 2:
      packet.key_bytes = static_cast<std::uint16_t>(random());
      break;
    case 3:
      packet.body_bytes = static_cast<std::uint32_t>(random());
      break;
    case 4:
      return packet.Reply();
    default:
      break;
  }
  return packet.Request();
}

TEST_CASE("packets parse alike however the bytes are split", "[protocol][binary][property]") {
  const auto seed = GENERATE(range(0u, 200u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::string stream;
  for (int i = 0; i < 40; ++i) stream += RandomPacket(random);

  PacketFeed whole = BinaryFeed();
  whole.Receive(stream);
  PacketFeed pieces = BinaryFeed("\xff");
  for (std::string_view rest = stream; !rest.empty();) {
    const std::size_t bytes = std::min<std::size_t>(1 + random() % 60, rest.size());
    pieces.Receive(rest.substr(0, bytes));
    rest.remove_prefix(bytes);
  }
  CHECK(AreAlike(whole, pieces));
  CHECK(!whole.parsed().empty());
}

TEST_CASE("a stream of one of each parses alike in two pieces, cut anywhere",
          "[protocol][binary][property]") {
  std::string stream;
  for (const OpcodeSpec& spec : kOpcodes) stream += FullPacket(spec).Request();
  PacketFeed whole = BinaryFeed();
  whole.Receive(stream);
  CHECK(whole.parsed().size() == kOpcodes.size());
  for (std::size_t cut = 0; cut < stream.size(); ++cut) {
    PacketFeed pieces = BinaryFeed();
    pieces.Receive(std::string_view(stream).substr(0, cut));
    pieces.Receive(std::string_view(stream).substr(cut));
    CAPTURE(cut);
    REQUIRE(AreAlike(whole, pieces));
  }
}

}  // namespace
}  // namespace larder::protocol
