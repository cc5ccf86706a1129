#include "protocol/text/login_parser.h"

#include <algorithm>
#include <cassert>
#include <optional>

#include "protocol/data_block.h"
#include "protocol/encoding/byte_search.h"
#include "protocol/encoding/numbers.h"
#include "protocol/meta/meta_verbs.h"
#include "protocol/text/text_parser.h"
#include "protocol/text/text_reply.h"
#include "protocol/text/text_verbs.h"
#include "protocol/text/tokens.h"

namespace larder::protocol {
namespace {

// memcached treats a shorter line (without its '\n') as the end of the connection.
constexpr std::size_t kLoginLineBytesMin = 6;

// Returns the length of the data block that follows a line, its CRLF included; nothing if the line
// announces none. The block must be discarded even if the command is refused.
std::optional<std::uint64_t> BlockBytes(const Tokens& tokens) noexcept {
  const TextVerbSpec* const spec = FindTextVerb(tokens[0]);
  const MetaVerbSpec* const meta = FindMetaVerb(tokens[0]);
  std::size_t word = 0;
  if (spec != nullptr) word = spec->bytes_word(tokens[1]);
  if (meta != nullptr) word = meta->bytes_word;
  if (word == 0) return std::nullopt;
  const std::optional<std::int32_t> bytes = ParseStrictInt32(tokens[word]);
  if (!bytes || *bytes < 0 || static_cast<std::uint32_t>(*bytes) > kValueBytesMax) {
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(*bytes) + kCrlf.size();
}

// Splits a block of `<user> <password>` at its first space; the password may contain spaces.
LoginRequest ReadCredentials(std::string_view block) noexcept {
  assert(block.size() >= kCrlf.size());
  if (!block.ends_with(kCrlf)) return {.login = Login::kBadEnd};
  block.remove_suffix(kCrlf.size());
  const std::size_t space = block.find(' ');
  if (space == std::string_view::npos) return {.login = Login::kBadFormat};
  return {.login = Login::kCredentials,
          .user = block.substr(0, space),
          .password = block.substr(space + 1)};
}

}  // namespace

ParseResult ParseLogin(std::string_view input, LoginRequest& request) noexcept {
  // The first byte of a binary packet. All of the input is consumed, because the connection closes.
  if (!input.empty() && static_cast<unsigned char>(input.front()) == kRequestMagic) {
    request = LoginRequest{.login = Login::kQuit};
    return {ParseStatus::kComplete, input.size()};
  }
  // A line is searched for its end within the limit only, however much input there is.
  const std::string_view front = input.substr(0, kLineBytesMax + 1);
  const char* const end = front.data() + front.size();
  const char* const newline = FindNewline(front.data(), end);
  if (newline == end) {
    if (input.size() <= kLineBytesMax) return {ParseStatus::kNeedMore, 0};
    request = LoginRequest{};
    return {ParseStatus::kFatal, 0};
  }
  std::string_view line = front.substr(0, static_cast<std::size_t>(newline - front.data()));
  const std::size_t line_bytes = line.size() + 1;
  const bool is_short = line.size() < kLoginLineBytesMin;
  if (line.ends_with('\r')) line.remove_suffix(1);
  const Tokens tokens(line);
  const std::optional<std::uint64_t> block_bytes = BlockBytes(tokens);

  // Only a set can carry credentials; everything else is refused or closes the connection.
  request = LoginRequest{};
  if (block_bytes && tokens[0] == "set") {
    if (*block_bytes <= kCredentialsBytesMax + kCrlf.size()) {
      if (input.size() - line_bytes < *block_bytes) return {ParseStatus::kNeedMore, 0};
      request = ReadCredentials(input.substr(line_bytes, *block_bytes));
      return {ParseStatus::kComplete, line_bytes + *block_bytes};
    }
    request.login = Login::kTooLong;
  } else if (is_short || tokens[0] == "quit") {
    request.login = Login::kQuit;
  } else if (tokens[0] == "version") {
    request.login = Login::kVersion;
  }
  // The block of a refused command follows the line and must not be read as a command.
  assert(line_bytes <= input.size());
  request.swallow_bytes = block_bytes.value_or(0);
  return {ParseStatus::kComplete, line_bytes};
}

}  // namespace larder::protocol
