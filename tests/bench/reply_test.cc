#include "tests/bench/reply.h"

#include <catch2/catch.hpp>
#include <string>

#include "tests/protocol/packet.h"

namespace larder::bench {
namespace {

TEST_CASE("a hit gives its key and its value, line ends in it or not", "[bench][reply]") {
  const Reply reply = ReadReply("VALUE some_key 7 5\r\na\r\nbc\r\nEND\r\n");
  CHECK(reply.kind == ReplyKind::kValue);
  CHECK(reply.key == "some_key");
  CHECK(reply.value == "a\r\nbc");
  CHECK(reply.consumed_bytes == 27);
}

TEST_CASE("a hit with a cas unique reads as well", "[bench][reply]") {
  const Reply reply = ReadReply("VALUE k 0 1 99\r\nx\r\n");
  CHECK(reply.kind == ReplyKind::kValue);
  CHECK(reply.value == "x");
}

TEST_CASE("a hit of a meta get gives its value", "[bench][reply]") {
  const Reply reply = ReadReply("VA 3 f0 c7\r\na\nb\r\nEN\r\n");
  CHECK(reply.kind == ReplyKind::kValue);
  CHECK(reply.is_last);
  CHECK(reply.value == "a\nb");
  CHECK(reply.consumed_bytes == 17);
  CHECK(ReadReply("EN\r\n").kind == ReplyKind::kEnd);
  CHECK(ReadReply("VA 3\r\na\nb").kind == ReplyKind::kNeedMore);
  CHECK(ReadReply("VA x\r\na\nb\r\n").kind == ReplyKind::kOther);
}

TEST_CASE("lines are told apart", "[bench][reply]") {
  CHECK(ReadReply("END\r\nmore").kind == ReplyKind::kEnd);
  CHECK(ReadReply("END\r\nmore").consumed_bytes == 5);
  CHECK(ReadReply("STORED\r\n").kind == ReplyKind::kStored);
  const Reply error = ReadReply("SERVER_ERROR out of memory\r\n");
  CHECK(error.kind == ReplyKind::kOther);
  CHECK(error.line == "SERVER_ERROR out of memory");
}

TEST_CASE("a reply cut short anywhere asks for more", "[bench][reply]") {
  const std::string_view whole = "VALUE k 0 3\r\nabc\r\n";
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    CAPTURE(bytes);
    CHECK(ReadReply(whole.substr(0, bytes)).kind == ReplyKind::kNeedMore);
  }
}

TEST_CASE("a malformed hit is no hit", "[bench][reply]") {
  CHECK(ReadReply("VALUE k\r\n").kind == ReplyKind::kOther);
  CHECK(ReadReply("VALUE k 0\r\n").kind == ReplyKind::kOther);
  CHECK(ReadReply("VALUE k 0 x\r\n").kind == ReplyKind::kOther);
  CHECK(ReadReply("VALUE k 0 2\r\nabcd\r\n").kind == ReplyKind::kOther);
}

TEST_CASE("binary replies are told apart", "[bench][reply]") {
  using protocol::Packet;
  const auto read = [](const Packet& packet) {
    static std::string bytes;
    bytes = packet.Reply();
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      CHECK(ReadBinaryReply(bytes.substr(0, cut)).kind == ReplyKind::kNeedMore);
    }
    const Reply reply = ReadBinaryReply(bytes);
    CHECK(reply.consumed_bytes == bytes.size());
    return reply;
  };
  const Reply hit = read({.opcode = kBinaryGet, .extras = "1234", .value = "value"});
  CHECK(hit.kind == ReplyKind::kValue);
  CHECK(hit.is_last);
  CHECK(hit.key.empty());
  CHECK(hit.value == "value");
  const Reply quiet = read({.opcode = kBinaryGetKQ, .extras = "1234", .key = "k", .value = "v"});
  CHECK(quiet.kind == ReplyKind::kValue);
  CHECK(!quiet.is_last);
  CHECK(quiet.key == "k");
  CHECK(quiet.value == "v");
  CHECK(read({.opcode = kBinaryGet, .value = "Not found", .status = 1}).kind == ReplyKind::kEnd);
  CHECK(read({.opcode = kBinaryNoop}).kind == ReplyKind::kEnd);
  CHECK(read({.opcode = kBinarySet, .cas = 5}).kind == ReplyKind::kStored);
  const Reply error = read({.opcode = kBinarySet, .value = "Too large.", .status = 3});
  CHECK(error.kind == ReplyKind::kOther);
  CHECK(error.line == "Too large.");
  CHECK(read({.opcode = kBinaryGet, .key_bytes = 9}).kind == ReplyKind::kOther);
}

}  // namespace
}  // namespace larder::bench
