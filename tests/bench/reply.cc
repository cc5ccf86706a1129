#include "tests/bench/reply.h"

#include <charconv>

#include "protocol/binary/binary_packet.h"

namespace larder::bench {
namespace {

constexpr std::string_view kValueStart = "VALUE ";
constexpr std::string_view kMetaValueStart = "VA ";

// The line without its line end, and the length with it; 0 while it is incomplete.
struct Line {
  std::string_view text;
  std::size_t bytes = 0;
};

Line FirstLine(std::string_view input) {
  const std::size_t newline = input.find('\n');
  if (newline == std::string_view::npos) return {};
  const bool has_return = newline > 0 && input[newline - 1] == '\r';
  return {.text = input.substr(0, newline - (has_return ? 1 : 0)), .bytes = newline + 1};
}

// The value behind a line that says how long it is from `digits` on.
Reply ReadData(std::string_view input, const Line& line, const char* digits, std::string_view key,
               bool is_last) {
  const Reply malformed{.kind = ReplyKind::kOther,
                        .consumed_bytes = line.bytes,
                        .is_last = false,
                        .key = {},
                        .value = {},
                        .line = line.text};
  std::size_t value_bytes = 0;
  const auto parsed = std::from_chars(digits, line.text.data() + line.text.size(), value_bytes);
  if (parsed.ec != std::errc{}) return malformed;
  const std::size_t reply_bytes = line.bytes + value_bytes + 2;
  if (input.size() < reply_bytes) return {};
  if (input.substr(reply_bytes - 2, 2) != "\r\n") return malformed;
  return {.kind = ReplyKind::kValue,
          .consumed_bytes = reply_bytes,
          .is_last = is_last,
          .key = key,
          .value = input.substr(line.bytes, value_bytes),
          .line = {}};
}

// "VALUE <key> <flags> <bytes>[ <cas>]", then the data and a line end.
Reply ReadValue(std::string_view input, const Line& line) {
  const std::string_view rest = line.text.substr(kValueStart.size());
  const std::size_t key_end = rest.find(' ');
  const std::size_t flags_end =
      key_end == std::string_view::npos ? key_end : rest.find(' ', key_end + 1);
  if (flags_end == std::string_view::npos) {
    return {.kind = ReplyKind::kOther,
            .consumed_bytes = line.bytes,
            .is_last = false,
            .key = {},
            .value = {},
            .line = line.text};
  }
  return ReadData(input, line, rest.data() + flags_end + 1, rest.substr(0, key_end), false);
}

}  // namespace

Reply ReadReply(std::string_view input) {
  const Line line = FirstLine(input);
  if (line.bytes == 0) return {};
  if (line.text.starts_with(kValueStart)) return ReadValue(input, line);
  if (line.text.starts_with(kMetaValueStart)) {
    const char* const digits = line.text.data() + kMetaValueStart.size();
    return ReadData(input, line, digits, {}, true);
  }
  ReplyKind kind = ReplyKind::kOther;
  if (line.text == "END" || line.text == "EN") kind = ReplyKind::kEnd;
  if (line.text == "STORED") kind = ReplyKind::kStored;
  return {.kind = kind,
          .consumed_bytes = line.bytes,
          .is_last = false,
          .key = {},
          .value = {},
          .line = line.text};
}

Reply ReadBinaryReply(std::string_view input) {
  if (input.size() < protocol::kPacketHeadBytes) return {};
  const std::size_t body_bytes = protocol::LoadBig<std::uint32_t>(&input[8]);
  const std::size_t reply_bytes = protocol::kPacketHeadBytes + body_bytes;
  if (input.size() < reply_bytes) return {};
  const std::string_view body = input.substr(protocol::kPacketHeadBytes, body_bytes);
  const std::size_t key_bytes = protocol::LoadBig<std::uint16_t>(&input[2]);
  const auto extras_bytes = static_cast<std::size_t>(static_cast<unsigned char>(input[4]));
  const auto opcode = static_cast<std::uint8_t>(input[1]);
  const std::uint16_t status = protocol::LoadBig<std::uint16_t>(&input[6]);
  Reply reply{.kind = ReplyKind::kOther,
              .consumed_bytes = reply_bytes,
              .is_last = false,
              .key = {},
              .value = {},
              .line = body};
  const bool is_reply = static_cast<unsigned char>(input[0]) == protocol::kReplyMagic;
  if (!is_reply || key_bytes + extras_bytes > body_bytes) return reply;
  if (opcode == kBinaryGet && status == 1) reply.kind = ReplyKind::kEnd;
  if (opcode == kBinaryNoop && status == 0) reply.kind = ReplyKind::kEnd;
  if (opcode == kBinarySet && status == 0) reply.kind = ReplyKind::kStored;
  if ((opcode == kBinaryGet || opcode == kBinaryGetKQ) && status == 0) {
    reply.kind = ReplyKind::kValue;
    reply.is_last = opcode == kBinaryGet;
    reply.key = body.substr(extras_bytes, key_bytes);
    reply.value = body.substr(extras_bytes + key_bytes);
  }
  return reply;
}

}  // namespace larder::bench
