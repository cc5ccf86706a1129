// Clients of the binary protocol.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/protocol/packet.h"
#include "tests/wire/fixture.h"

namespace larder::wire {

using protocol::Big;
using protocol::Packet;

// The opcodes of protocol/binary/opcodes.h that tests name.
enum Opcode : std::uint8_t {
  kGet = 0x00,
  kSet = 0x01,
  kAdd = 0x02,
  kReplace = 0x03,
  kDelete = 0x04,
  kIncr = 0x05,
  kDecr = 0x06,
  kQuit = 0x07,
  kFlush = 0x08,
  kGetQ = 0x09,
  kNoop = 0x0a,
  kVersion = 0x0b,
  kGetK = 0x0c,
  kGetKQ = 0x0d,
  kAppend = 0x0e,
  kPrepend = 0x0f,
  kStat = 0x10,
  kSetQ = 0x11,
  kAddQ = 0x12,
  kReplaceQ = 0x13,
  kDeleteQ = 0x14,
  kIncrQ = 0x15,
  kDecrQ = 0x16,
  kQuitQ = 0x17,
  kFlushQ = 0x18,
  kAppendQ = 0x19,
  kPrependQ = 0x1a,
  kVerbosity = 0x1b,
  kTouch = 0x1c,
  kGat = 0x1d,
  kGatQ = 0x1e,
  kSaslList = 0x20,
  kSaslAuth = 0x21,
  kSaslStep = 0x22,
  kGatK = 0x23,
  kGatKQ = 0x24,
  kConfigGet = 0x60,
  kConfigSet = 0x64,
  kConfigDelete = 0x66,
};

// The errors, as their status and text.
struct BinaryError {
  std::uint16_t status;
  std::string_view text;
};
inline constexpr BinaryError kNotFound{0x01, "Not found"};
inline constexpr BinaryError kExists{0x02, "Data exists for key."};
inline constexpr BinaryError kValueTooLarge{0x03, "Too large."};
inline constexpr BinaryError kInvalidArguments{0x04, "Invalid arguments"};
inline constexpr BinaryError kNotStored{0x05, "Not stored."};
inline constexpr BinaryError kNotNumeric{0x06, "Non-numeric server-side value for incr or decr"};
inline constexpr BinaryError kAuthFailure{0x20, "Auth failure."};
inline constexpr BinaryError kUnknownCommand{0x81, "Unknown command"};
inline constexpr BinaryError kNoMemoryForItem{0x82, "Out of memory allocating item"};

inline Packet ErrorReply(std::uint8_t opcode, const BinaryError& error) {
  return {.opcode = opcode, .value = std::string(error.text), .status = error.status};
}

struct BinaryStore {
  std::uint8_t opcode = kSet;
  std::string key = {};
  std::string value = {};
  std::uint32_t flags = 0;
  std::uint32_t exptime = 0;
  std::uint64_t cas = 0;
};
// Set, add or replace.
Packet StorePacket(const BinaryStore& store);

struct BinaryChange {
  std::uint8_t opcode = kIncr;
  std::string key = {};
  std::uint64_t delta = 1;
  std::uint64_t initial = 0;
  std::uint32_t exptime = 0xffffffff;
  std::uint64_t cas = 0;
};
Packet ChangePacket(const BinaryChange& change);

// The reply to one that found this.
Packet HitReply(std::uint8_t opcode, std::string value, std::uint32_t flags, std::uint64_t cas,
                std::string key = {});

// BinaryClient is a connection that speaks packets.
//
// Threads: the test's own.
// Owns:    the connection.
class BinaryClient {
 public:
  explicit BinaryClient(Client connection) : client(std::move(connection)) {}

  BinaryClient& Send(const Packet& packet);
  BinaryClient& SendAll(const std::vector<Packet>& packets);
  // The next reply, whatever it is.
  Packet Receive(int line = __builtin_LINE());
  // One request and its reply, which must repeat opcode and opaque.
  Packet Ask(const Packet& packet, int line = __builtin_LINE());
  // The next reply is this, to the byte.
  BinaryClient& Expect(const Packet& reply, int line = __builtin_LINE());
  BinaryClient& Expect(std::uint8_t opcode, const BinaryError& error, int line = __builtin_LINE());
  // No bytes are left over: the next request, a no-op, has the next reply.
  BinaryClient& ExpectNothing(int line = __builtin_LINE());

  // Stores, and returns the CAS.
  std::uint64_t Set(const std::string& key, const std::string& value, std::uint32_t flags = 0,
                    int line = __builtin_LINE());
  // A value that is there.
  std::string ValueOf(const std::string& key, int line = __builtin_LINE());
  std::uint64_t CasOf(const std::string& key, int line = __builtin_LINE());

  Client client;
};

// What most tests need.
class BinaryTest {
 protected:
  TestServer server;
  BinaryClient client{server.Connect()};
  Client text = server.Connect();
};

}  // namespace larder::wire
