#include "tests/bench/reply.h"

#include <charconv>

namespace larder::bench {
namespace {

constexpr std::string_view kValueStart = "VALUE ";

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

// "VALUE <key> <flags> <bytes>[ <cas>]", then the data and a line end.
Reply ReadValue(std::string_view input, const Line& line) {
  const Reply malformed{.kind = ReplyKind::kOther,
                        .consumed_bytes = line.bytes,
                        .key = {},
                        .value = {},
                        .line = line.text};
  const std::string_view rest = line.text.substr(kValueStart.size());
  const std::size_t key_end = rest.find(' ');
  if (key_end == std::string_view::npos) return malformed;
  const std::size_t flags_end = rest.find(' ', key_end + 1);
  if (flags_end == std::string_view::npos) return malformed;
  std::size_t value_bytes = 0;
  const char* digits = rest.data() + flags_end + 1;
  const auto parsed = std::from_chars(digits, rest.data() + rest.size(), value_bytes);
  if (parsed.ec != std::errc{}) return malformed;
  const std::size_t reply_bytes = line.bytes + value_bytes + 2;
  if (input.size() < reply_bytes) return {};
  if (input.substr(reply_bytes - 2, 2) != "\r\n") return malformed;
  return {.kind = ReplyKind::kValue,
          .consumed_bytes = reply_bytes,
          .key = rest.substr(0, key_end),
          .value = input.substr(line.bytes, value_bytes),
          .line = {}};
}

}  // namespace

Reply ReadReply(std::string_view input) {
  const Line line = FirstLine(input);
  if (line.bytes == 0) return {};
  if (line.text.starts_with(kValueStart)) return ReadValue(input, line);
  ReplyKind kind = ReplyKind::kOther;
  if (line.text == "END") kind = ReplyKind::kEnd;
  if (line.text == "STORED") kind = ReplyKind::kStored;
  return {.kind = kind, .consumed_bytes = line.bytes, .key = {}, .value = {}, .line = line.text};
}

}  // namespace larder::bench
