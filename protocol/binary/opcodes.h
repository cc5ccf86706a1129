// The opcodes of the binary protocol: a table with one row for each.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/parse_result.h"

namespace larder::protocol {

// The command that a packet asks for. A quiet opcode has the verb of its loud twin. What each
// command does is defined in server/command/.
enum class BinaryVerb : std::uint8_t {
  kGet,
  // As kGet, but the reply contains the key.
  kGetK,
  // Get and touch: reads an item and sets its exptime.
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
  // A no-operation, whose reply shows that all earlier quiet commands were executed.
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
  // Nothing to execute: an unknown opcode, or a packet with wrong lengths.
  kNone,
};

// The longest value of a SASL packet that the server reads; longer ones are refused and discarded.
inline constexpr std::uint32_t kSaslValueBytesMax = 16 * 1024;

// Whether a packet may, must or must not have a part (extras, key or value).
enum class PacketPart : std::uint8_t { kForbidden, kOptional, kRequired };

// One row of the table: what an opcode asks for, and which lengths its packet may have.
//
// Threads: immutable.
struct OpcodeSpec {
  // The second byte of the packet.
  std::uint8_t opcode;
  // The command's name, for logs.
  std::string_view name;
  // The command; kNone: the opcode is unknown.
  BinaryVerb verb;
  // The reply is omitted in the ordinary case: for a reading command when nothing was found, for
  // any other when it succeeded.
  bool is_quiet;
  // The length of the extras in bytes, if the packet has any.
  std::uint8_t extras_bytes;
  // kOptional means all extras_bytes or none.
  PacketPart extras;
  // Whether the packet has a key, of 1 to kKeyBytesMax bytes.
  PacketPart key;
  // Whether the packet has a value of at least one byte.
  PacketPart value;
  // The length in bytes of the longest value that the parser waits for and hands to the command as
  // a whole. 0: the value is received directly into an item as it arrives, or there is no value.
  std::uint32_t awaited_bytes_max = 0;
  // True if a client may send the command before it has authenticated.
  bool is_before_login = false;
};

// Short names for PacketPart, so that a row of the table fits its line.
namespace opcode_shapes {
inline constexpr auto kNo = PacketPart::kForbidden;
inline constexpr auto kMay = PacketPart::kOptional;
inline constexpr auto kMust = PacketPart::kRequired;
}  // namespace opcode_shapes

// The opcodes from 0, without gaps, so that FindOpcode() can index the table.
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
// Row n must describe opcode n.
static_assert([] {
  for (std::size_t row = 0; row < kOpcodes.size(); ++row) {
    if (kOpcodes[row].opcode != row) return false;
  }
  return true;
}());

// The opcodes of the cluster configuration commands, which ElastiCache defines. Their numbers lie
// far from the others, so they have a table of their own, which is searched.
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
// The parser compares a value with kSaslValueBytesMax first, as the smallest of the limits.
static_assert(kSaslValueBytesMax <= kConfigValueBytesMax);
// FindOpcode() looks into the first table first.
static_assert(std::ranges::none_of(kConfigOpcodes, [](const OpcodeSpec& row) {
  return row.opcode < kOpcodes.size();
}));
// Whether a row agrees with itself and with the parser, which knows the layout of extras by their
// length.
constexpr bool IsConsistent(const OpcodeSpec& row) {
  const bool is_changing_number = row.verb == BinaryVerb::kIncr || row.verb == BinaryVerb::kDecr;
  const bool has_known_extras = row.extras_bytes == 0 || row.extras_bytes == 4 ||
                                row.extras_bytes == 8 || row.extras_bytes == 20;
  const bool may_have_extras = row.extras != PacketPart::kForbidden;
  return !row.name.empty() && has_known_extras && (row.extras_bytes == 20) == is_changing_number &&
         (row.verb == BinaryVerb::kNone || may_have_extras == (row.extras_bytes != 0)) &&
         (row.awaited_bytes_max == 0 || row.value != PacketPart::kForbidden) &&
         (row.awaited_bytes_max == 0 || row.awaited_bytes_max >= kSaslValueBytesMax);
}
static_assert(std::ranges::all_of(kOpcodes, IsConsistent));
static_assert(std::ranges::all_of(kConfigOpcodes, IsConsistent));

// Returns the row of an opcode. An opcode without a row gets that of an unknown command, whose verb
// is kNone.
inline const OpcodeSpec& FindOpcode(std::uint8_t opcode) noexcept {
  // An opcode that neither memcached nor this server uses.
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
