// The opcodes of the binary protocol, one row each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/parse_result.h"

namespace larder::protocol {

// What a packet of the binary protocol asks for. The meaning of each lives in server/command/.
enum class BinaryVerb : std::uint8_t {
  kGet,
  kGetK,  // The reply has the key in it.
  kGat,
  kGatK,
  kSet,
  kAdd,
  kReplace,
  kAppend,
  kPrepend,
  kDelete,
  kTouch,
  kIncr,
  kDecr,
  kFlush,
  kNoop,
  kVersion,
  kQuit,
  kStat,
  kSaslList,
  kSaslAuth,
  kSaslStep,
  kConfigGet,
  kConfigSet,
  kConfigDelete,
  kNone,  // Nothing to run: an unknown opcode, or a packet with wrong lengths.
};

// The longest value of a SASL packet that is looked at.
inline constexpr std::uint32_t kSaslValueBytesMax = 16 * 1024;

enum class PacketPart : std::uint8_t { kForbidden, kOptional, kRequired };

// What a packet with this opcode asks for, and which lengths it may have.
struct OpcodeSpec {
  std::uint8_t opcode;
  std::string_view name;  // For logs.
  BinaryVerb verb;        // kNone: an unknown command.
  bool is_quiet;          // Silent when all went well; if it reads, when nothing was found.
  std::uint8_t extras_bytes;
  PacketPart extras;  // kOptional: all of them or none.
  PacketPart key;
  PacketPart value;
  // The longest value that is waited for and looked at as a whole; 0: a value is received into an
  // item as it comes, or there is none.
  std::uint32_t awaited_bytes_max = 0;
  // A client may send it before it has authenticated.
  bool is_before_login = false;
};

namespace opcode_shapes {
inline constexpr auto kNo = PacketPart::kForbidden;
inline constexpr auto kMay = PacketPart::kOptional;
inline constexpr auto kMust = PacketPart::kRequired;
}  // namespace opcode_shapes

inline constexpr std::array kOpcodes = [] {
  using enum BinaryVerb;
  using namespace opcode_shapes;
  return std::array{
      // opcode, name, verb, is_quiet, extras_bytes, extras, key, value, awaited_bytes_max,
      // is_before_login; row n is opcode n.
      OpcodeSpec{0x00, "get", kGet, false, 0, kNo, kMust, kNo},
      OpcodeSpec{0x01, "set", kSet, false, 8, kMust, kMust, kMay},
      OpcodeSpec{0x02, "add", kAdd, false, 8, kMust, kMust, kMay},
      OpcodeSpec{0x03, "replace", kReplace, false, 8, kMust, kMust, kMay},
      OpcodeSpec{0x04, "delete", kDelete, false, 0, kNo, kMust, kNo},
      OpcodeSpec{0x05, "incr", kIncr, false, 20, kMust, kMust, kNo},
      OpcodeSpec{0x06, "decr", kDecr, false, 20, kMust, kMust, kNo},
      OpcodeSpec{0x07, "quit", kQuit, false, 0, kNo, kNo, kNo, 0, true},
      OpcodeSpec{0x08, "flush", kFlush, false, 4, kMay, kNo, kNo},
      OpcodeSpec{0x09, "getq", kGet, true, 0, kNo, kMust, kNo},
      OpcodeSpec{0x0a, "noop", kNoop, false, 0, kNo, kNo, kNo},
      OpcodeSpec{0x0b, "version", kVersion, false, 0, kNo, kNo, kNo, 0, true},
      OpcodeSpec{0x0c, "getk", kGetK, false, 0, kNo, kMust, kNo},
      OpcodeSpec{0x0d, "getkq", kGetK, true, 0, kNo, kMust, kNo},
      OpcodeSpec{0x0e, "append", kAppend, false, 0, kNo, kMust, kMay},
      OpcodeSpec{0x0f, "prepend", kPrepend, false, 0, kNo, kMust, kMay},
      OpcodeSpec{0x10, "stat", kStat, false, 0, kNo, kMay, kNo},
      OpcodeSpec{0x11, "setq", kSet, true, 8, kMust, kMust, kMay},
      OpcodeSpec{0x12, "addq", kAdd, true, 8, kMust, kMust, kMay},
      OpcodeSpec{0x13, "replaceq", kReplace, true, 8, kMust, kMust, kMay},
      OpcodeSpec{0x14, "deleteq", kDelete, true, 0, kNo, kMust, kNo},
      OpcodeSpec{0x15, "incrq", kIncr, true, 20, kMust, kMust, kNo},
      OpcodeSpec{0x16, "decrq", kDecr, true, 20, kMust, kMust, kNo},
      OpcodeSpec{0x17, "quitq", kQuit, true, 0, kNo, kNo, kNo, 0, true},
      OpcodeSpec{0x18, "flushq", kFlush, true, 4, kMay, kNo, kNo},
      OpcodeSpec{0x19, "appendq", kAppend, true, 0, kNo, kMust, kMay},
      OpcodeSpec{0x1a, "prependq", kPrepend, true, 0, kNo, kMust, kMay},
      // memcached has no verbosity command either.
      OpcodeSpec{0x1b, "verbosity", kNone, false, 0, kMay, kMay, kMay},
      OpcodeSpec{0x1c, "touch", kTouch, false, 4, kMust, kMust, kNo},
      OpcodeSpec{0x1d, "gat", kGat, false, 4, kMust, kMust, kNo},
      OpcodeSpec{0x1e, "gatq", kGat, true, 4, kMust, kMust, kNo},
      OpcodeSpec{0x1f, "(unknown)", kNone, false, 0, kMay, kMay, kMay},
      OpcodeSpec{0x20, "sasl_list", kSaslList, false, 0, kNo, kNo, kNo, 0, true},
      OpcodeSpec{0x21, "sasl_auth", kSaslAuth, false, 0, kNo, kMust, kMay, kSaslValueBytesMax,
                 true},
      OpcodeSpec{0x22, "sasl_step", kSaslStep, false, 0, kNo, kMust, kMay, kSaslValueBytesMax,
                 true},
      OpcodeSpec{0x23, "gatk", kGatK, false, 4, kMust, kMust, kNo},
      OpcodeSpec{0x24, "gatkq", kGatK, true, 4, kMust, kMust, kNo},
  };
}();
static_assert([] {
  for (std::size_t row = 0; row < kOpcodes.size(); ++row) {
    if (kOpcodes[row].opcode != row) return false;
  }
  return true;
}());

// ElastiCache's, which lie apart.
inline constexpr std::array kConfigOpcodes = [] {
  using enum BinaryVerb;
  using namespace opcode_shapes;
  return std::array{
      // opcode, name, verb, is_quiet, extras_bytes, extras, key, value, awaited_bytes_max
      OpcodeSpec{0x60, "config_get", kConfigGet, false, 0, kNo, kMust, kNo},
      OpcodeSpec{0x64, "config_set", kConfigSet, false, 4, kMay, kMust, kMay, kConfigValueBytesMax},
      OpcodeSpec{0x66, "config_delete", kConfigDelete, false, 0, kNo, kMust, kNo},
  };
}();
static_assert(kSaslValueBytesMax <= kConfigValueBytesMax);

// The row of an opcode; that of an unknown command if it has none of its own.
inline const OpcodeSpec& FindOpcode(std::uint8_t opcode) noexcept {
  constexpr std::size_t kUnknown = 0x1f;
  static_assert(kOpcodes[kUnknown].verb == BinaryVerb::kNone);
  if (opcode < kOpcodes.size()) [[likely]]
    return kOpcodes[opcode];
  for (const OpcodeSpec& row : kConfigOpcodes) {
    if (row.opcode == opcode) return row;
  }
  return kOpcodes[kUnknown];
}

}  // namespace larder::protocol
