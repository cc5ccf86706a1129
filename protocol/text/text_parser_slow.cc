#include "protocol/text/text_parser_slow.h"

#include <limits>
#include <optional>

#include "protocol/data_block.h"
#include "protocol/encoding/byte_search.h"
#include "protocol/encoding/numbers.h"
#include "protocol/meta/meta_parser.h"
#include "protocol/meta/meta_verbs.h"
#include "protocol/text/key_list.h"
#include "protocol/text/text_parser.h"
#include "protocol/text/text_verbs.h"
#include "protocol/text/tokens.h"

namespace larder::protocol {
namespace {

// memcached calls a shorter line, '\n' included, malformed before it looks at the words.
constexpr std::size_t kLineBytesMin = 4;

// Turns `request` into the refusal of its line. Its noreply is kept: it silences errors too.
void Refuse(LineError error, LineRequest& request) noexcept {
  request.verb = TextVerb::kNone;
  request.error = error;
}

// A refusal found before memcached looks for noreply, which therefore answers in any case.
void RefuseAloud(LineError error, LineRequest& request) noexcept {
  request = LineRequest{};
  Refuse(error, request);
}

// A line without its line end, and where in the input the next one begins.
struct Line {
  std::string_view text;
  Tokens tokens;
  std::size_t next;
};

// An unsigned 32-bit number as the admin commands take it.
std::optional<std::uint32_t> ParseLenientUint32(std::string_view text) noexcept {
  const std::optional<std::uint64_t> number = ParseLenientUint64(text);
  if (!number || *number > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

// <key> <flags> <exptime> <bytes> [<cas unique>]. A line whose <bytes> is known takes its data
// block with it, even if refused for another reason: the client is going to send the block.
ParseResult ParseStorage(std::string_view input, const Line& line, Shape shape,
                         LineRequest& request) noexcept {
  const std::optional<std::int32_t> value_bytes = ParseStrictInt32(line.tokens[kBytesWord]);
  if (!value_bytes || *value_bytes < 0 ||
      static_cast<std::uint32_t>(*value_bytes) > kValueBytesMax) {
    RefuseAloud(LineError::kBadLine, request);
    return {ParseStatus::kComplete, line.next};
  }
  const std::optional<std::uint64_t> flags = ParseLenientUint64(line.tokens[2]);
  const std::optional<std::int64_t> exptime = ParseLenientInt64(line.tokens[3]);
  const std::optional<std::uint64_t> unique =
      shape == Shape::kValueAndUnique ? ParseStrictUint64(line.tokens[5]) : 0;
  if (request.key.size() > kKeyBytesMax || !flags || !exptime || !unique) {
    Refuse(LineError::kBadLine, request);
    request.swallow_bytes = static_cast<std::uint32_t>(*value_bytes) + 2;
    return {ParseStatus::kComplete, line.next};
  }
  // memcached keeps the low 32 bits of larger numbers.
  request.client_flags = static_cast<std::uint32_t>(*flags);
  request.exptime = static_cast<std::int32_t>(static_cast<std::uint32_t>(*exptime));
  request.cas_unique = *unique;
  request.value_bytes = static_cast<std::uint32_t>(*value_bytes);
  return TakeValue(input, line.next, request.value_bytes, request.value);
}

// set <name> <flags> <bytes>. The data block of a request that is not refused is taken with it if
// it is not too long; otherwise `value` stays empty while value_bytes is not 0.
ParseResult ParseConfigSet(std::string_view input, const Line& line,
                           LineRequest& request) noexcept {
  const std::optional<std::int32_t> value_bytes = ParseStrictInt32(line.tokens[kBytesWord]);
  if (!value_bytes || *value_bytes < 0 ||
      static_cast<std::uint32_t>(*value_bytes) > kValueBytesMax) {
    RefuseAloud(LineError::kBadLine, request);
    return {ParseStatus::kComplete, line.next};
  }
  request.value_bytes = static_cast<std::uint32_t>(*value_bytes);
  const bool is_bad = !ParseLenientUint64(line.tokens[3]) || line.next > kLineBytesMax;
  if (is_bad) Refuse(LineError::kBadLine, request);
  if (is_bad || request.value_bytes > kConfigValueBytesMax) {
    request.swallow_bytes = request.value_bytes + 2;
    return {ParseStatus::kComplete, line.next};
  }
  const std::size_t block_bytes = std::size_t{request.value_bytes} + 2;
  if (input.size() - line.next < block_bytes) return {ParseStatus::kNeedMore, 0};
  const ParseResult result = TakeValue(input, line.next, request.value_bytes, request.value);
  if (result.status != ParseStatus::kNeedValue) return result;
  Refuse(LineError::kBadDataChunk, request);
  return {ParseStatus::kComplete, line.next + block_bytes};
}

void TakeExptime(std::string_view token, LineRequest& request) noexcept {
  const std::optional<std::int32_t> exptime = ParseStrictInt32(token);
  if (!exptime) return Refuse(LineError::kBadExptime, request);
  request.exptime = *exptime;
}

// What follows the command word on its line, without the spaces around it.
std::string_view ArgumentsOf(const Line& line) noexcept {
  if (line.tokens.count() < 2) return {};
  const char* const begin = line.tokens[1].data();
  const std::string_view text =
      line.text.substr(static_cast<std::size_t>(begin - line.text.data()));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

// A line that names no command.
ParseResult RefuseUnknown(const Line& line, LineRequest& request) noexcept {
  // A browser that was lured here must not get to send a body (memcached's guard).
  if (line.tokens.count() >= 2 && line.tokens.last().starts_with("HTTP/")) {
    return {ParseStatus::kFatal, line.next};
  }
  request = LineRequest{.noreply = line.tokens.last() == "noreply"};
  Refuse(LineError::kUnknownCommand, request);
  return {ParseStatus::kComplete, line.next};
}

ParseResult ParseLine(std::string_view input, const Line& line, const TextVerbSpec& spec,
                      LineRequest& request) noexcept {
  const Tokens& tokens = line.tokens;
  const ParseResult whole_line = {ParseStatus::kComplete, line.next};
  if (tokens.count() < spec.tokens_min) {
    RefuseAloud(LineError::kBadLine, request);
    return whole_line;
  }
  request =
      LineRequest{.verb = spec.verb, .noreply = spec.may_noreply && tokens.last() == "noreply"};
  switch (spec.shape) {
    case Shape::kKeys:
    case Shape::kExptimeAndKeys:
      // Only a line without a space behind the command comes here, and that has no keys.
      RefuseAloud(LineError::kBadLine, request);
      return whole_line;
    case Shape::kValue:
    case Shape::kValueAndUnique:
      request.key = tokens[1];
      return ParseStorage(input, line, spec.shape, request);
    case Shape::kKey:
    case Shape::kKeyAndExptime:
    case Shape::kKeyAndDelta:
      request.key = tokens[1];
      if (request.key.size() > kKeyBytesMax) {
        Refuse(LineError::kBadLine, request);
      } else if (spec.shape == Shape::kKeyAndExptime) {
        TakeExptime(tokens[2], request);
      } else if (spec.shape == Shape::kKeyAndDelta) {
        const std::optional<std::uint64_t> delta = ParseStrictUint64(tokens[2]);
        request.delta = delta.value_or(0);
        if (!delta) Refuse(LineError::kBadDelta, request);
      }
      return whole_line;
    case Shape::kOptionalExptime: {
      const std::size_t argument_count = tokens.count() - 1 - request.noreply;
      if (argument_count > 0) TakeExptime(tokens[1], request);
      return whole_line;
    }
    case Shape::kLevel:
    case Shape::kMegabytes: {
      const std::optional<std::uint32_t> number = ParseLenientUint32(tokens[1]);
      request.setting = number.value_or(0);
      request.arguments = ArgumentsOf(line);
      if (!number) {
        Refuse(spec.shape == Shape::kLevel ? LineError::kBadLine : LineError::kUnknownCommand,
               request);
      }
      return whole_line;
    }
    case Shape::kArguments:
      request.arguments = ArgumentsOf(line);
      return whole_line;
    case Shape::kConfig:
      request.arguments = ArgumentsOf(line);
      return spec.bytes_word(tokens[1]) != 0 ? ParseConfigSet(input, line, request) : whole_line;
    case Shape::kNothing:
      return whole_line;
  }
  return whole_line;
}

ParseResult ParseMetaLine(std::string_view input, const Line& line, const MetaVerbSpec& spec,
                          LineRequest& request) noexcept {
  const char* const word_end = line.tokens[0].data() + line.tokens[0].size();
  const char* const line_end = line.text.data() + line.text.size();
  return TakeMetaLine(input, {word_end, line_end}, line.next, spec, request);
}

// Parses what begins with a command word, at the front of the input.
ParseResult ParseCommand(std::string_view input, TextVerbs verbs, KeyList& list,
                         LineRequest& request) noexcept {
  const char* const begin = input.data();
  const char* const end = begin + input.size();
  const char* const word_end = FindSpaceOrNewline(begin, end);
  const auto word_bytes = static_cast<std::size_t>(word_end - begin);
  // A word at the end of the input may yet grow, one before '\n' may hold the '\r' of the line end.
  const bool is_word_whole = word_end != end && *word_end == ' ';
  const TextVerbSpec* spec =
      is_word_whole ? FindTextVerb(input.substr(0, word_bytes), verbs) : nullptr;
  if (spec != nullptr) {
    if (spec->shape == Shape::kKeys) {
      list = KeyList{.verb = spec->verb, .is_open = true};
      return TakeKey(input, word_bytes, list, request);
    }
    if (spec->shape == Shape::kExptimeAndKeys) {
      return TakeExptimeAndKey(input, word_bytes, spec->verb, list, request);
    }
  }

  const char* const newline = FindNewline(word_end, end);
  if (newline == end) {
    return {input.size() > kLineBytesMax ? ParseStatus::kLineTooLong : ParseStatus::kNeedMore, 0};
  }
  const auto line_bytes = static_cast<std::size_t>(newline + 1 - begin);
  if (line_bytes < kLineBytesMin) {
    RefuseAloud(LineError::kBadLine, request);
    return {ParseStatus::kComplete, line_bytes};
  }
  std::string_view text = input.substr(0, line_bytes - 1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  const Line line = {text, Tokens(text), line_bytes};
  if (spec == nullptr) {
    spec = FindTextVerb(line.tokens[0], verbs);
    if (spec != nullptr && text.starts_with(' ') && !spec->may_follow_a_space) spec = nullptr;
  }
  if (spec == nullptr) {
    const MetaVerbSpec* const meta = text.starts_with(' ') ? nullptr : FindMetaVerb(line.tokens[0]);
    return meta != nullptr ? ParseMetaLine(input, line, *meta, request)
                           : RefuseUnknown(line, request);
  }
  return ParseLine(input, line, *spec, request);
}

}  // namespace

ParseResult TakeMetaLine(std::string_view input, std::string_view text, std::size_t next,
                         const MetaVerbSpec& spec, LineRequest& request) noexcept {
  const MetaLine line = ParseMeta(text, spec);
  if (line.error != LineError::kNone) {
    request = LineRequest{
        .swallow_bytes = line.swallow_bytes, .verb = TextVerb::kNone, .error = line.error};
    return {ParseStatus::kComplete, next};
  }
  request = LineRequest{.key = line.key,
                        .arguments = line.arguments,
                        .flags = line.flags,
                        .client_flags = line.client_flags,
                        .exptime = line.exptime,
                        .value_bytes = line.value_bytes,
                        .verb = TextVerb::kMeta,
                        .meta_verb = spec.verb,
                        .is_key_encoded = line.flags.has('b')};
  ParseResult result = {ParseStatus::kComplete, next};
  if (spec.bytes_word != 0) result = TakeValue(input, next, request.value_bytes, request.value);
  if (request.is_key_encoded && result.status == ParseStatus::kComplete) {
    result.status = ParseStatus::kEncodedKey;
  }
  return result;
}

ParseResult ParseTextSlow(std::string_view input, KeyList& list, LineRequest& request) noexcept {
  return ParseTextSlow(input, list, request, kTextVerbs);
}

ParseResult ParseTextSlow(std::string_view input, KeyList& list, LineRequest& request,
                          TextVerbs verbs) noexcept {
  std::size_t skipped_bytes = 0;
  if (list.is_skipping) {
    const char* const end = input.data() + input.size();
    const char* const newline = FindNewline(input.data(), end);
    if (newline == end) return {ParseStatus::kNeedMore, input.size()};
    list = KeyList{};
    skipped_bytes = static_cast<std::size_t>(newline + 1 - input.data());
    input.remove_prefix(skipped_bytes);
  }
  ParseResult result =
      list.is_open ? TakeKey(input, 0, list, request) : ParseCommand(input, verbs, list, request);
  result.consumed_bytes += skipped_bytes;
  return result;
}

}  // namespace larder::protocol
