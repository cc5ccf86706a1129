#include "tests/wire/binary_fixture.h"

#include "protocol/binary/binary_packet.h"

namespace larder::wire {

Packet StorePacket(const BinaryStore& store) {
  return {.opcode = store.opcode,
          .extras = Big(store.flags, 4) + Big(store.exptime, 4),
          .key = store.key,
          .value = store.value,
          .cas = store.cas};
}

Packet ChangePacket(const BinaryChange& change) {
  return {.opcode = change.opcode,
          .extras = Big(change.delta, 8) + Big(change.initial, 8) + Big(change.exptime, 4),
          .key = change.key,
          .cas = change.cas};
}

Packet HitReply(std::uint8_t opcode, std::string value, std::uint32_t flags, std::uint64_t cas,
                std::string key) {
  return {.opcode = opcode,
          .extras = Big(flags, 4),
          .key = std::move(key),
          .value = std::move(value),
          .cas = cas};
}

BinaryClient& BinaryClient::Send(const Packet& packet) {
  client.Send(packet.Request());
  return *this;
}

BinaryClient& BinaryClient::SendAll(const std::vector<Packet>& packets) {
  std::string bytes;
  for (const Packet& packet : packets) bytes += packet.Request();
  client.Send(bytes);
  return *this;
}

Packet BinaryClient::Receive(int line) {
  const std::string head = client.ReceiveBytes(protocol::kPacketHeadBytes, line);
  if (head.size() < protocol::kPacketHeadBytes || head[0] != '\x81' || head[5] != 0) {
    FAIL("line " << line << ": no header of a reply: " << head.size() << " bytes");
  }
  const std::size_t key_bytes = protocol::LoadBig<std::uint16_t>(head.data() + 2);
  const auto extras_bytes = static_cast<std::size_t>(static_cast<unsigned char>(head[4]));
  const std::size_t body_bytes = protocol::LoadBig<std::uint32_t>(head.data() + 8);
  const std::string body = client.ReceiveBytes(body_bytes, line);
  if (body.size() < body_bytes || body_bytes < key_bytes + extras_bytes) {
    FAIL("line " << line << ": a reply's body of " << body_bytes << " bytes");
  }
  return {.opcode = static_cast<std::uint8_t>(head[1]),
          .extras = body.substr(0, extras_bytes),
          .key = body.substr(extras_bytes, key_bytes),
          .value = body.substr(extras_bytes + key_bytes),
          .cas = protocol::LoadBig<std::uint64_t>(head.data() + 16),
          .opaque = head.substr(12, 4),
          .status = protocol::LoadBig<std::uint16_t>(head.data() + 6)};
}

Packet BinaryClient::Ask(const Packet& packet, int line) {
  Send(packet);
  Packet reply = Receive(line);
  if (reply.opcode != packet.opcode || reply.opaque != packet.opaque) {
    FAIL("line " << line << ": the reply to opcode " << int{packet.opcode} << " has "
                 << int{reply.opcode});
  }
  return reply;
}

BinaryClient& BinaryClient::Expect(const Packet& reply, int line) {
  client.Expect(reply.Reply(), line);
  return *this;
}

BinaryClient& BinaryClient::Expect(std::uint8_t opcode, const BinaryError& error, int line) {
  return Expect(ErrorReply(opcode, error), line);
}

BinaryClient& BinaryClient::ExpectNothing(int line) {
  const Packet noop{.opcode = kNoop, .opaque = "last"};
  return Send(noop).Expect(noop, line);
}

std::uint64_t BinaryClient::Set(const std::string& key, const std::string& value,
                                std::uint32_t flags, int line) {
  const Packet reply = Ask(StorePacket({.key = key, .value = value, .flags = flags}), line);
  if (reply.status != 0 || reply.cas == 0) FAIL("line " << line << ": not stored: " << key);
  return reply.cas;
}

std::string BinaryClient::ValueOf(const std::string& key, int line) {
  const Packet reply = Ask({.opcode = kGet, .key = key}, line);
  if (reply.status != 0) FAIL("line " << line << ": not there: " << key);
  return reply.value;
}

std::uint64_t BinaryClient::CasOf(const std::string& key, int line) {
  return Ask({.opcode = kGet, .key = key}, line).cas;
}

}  // namespace larder::wire
