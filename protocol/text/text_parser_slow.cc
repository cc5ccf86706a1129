#include "protocol/text/text_parser_slow.h"

#include <cassert>
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

// memcached reports a shorter line ('\n' included) as malformed before it looks at the words.
constexpr std::size_t kLineBytesMin = 4;

// Turns `request` into the refusal of its line. Its noreply is kept, because it suppresses errors
// too.
void Refuse(LineError error, LineRequest& request) noexcept {
  assert(error != LineError::kNone);
  request.verb = TextVerb::kNone;
  request.error = error;
}

// Turns `request` into a refusal that is always answered: memcached finds this error before it
// looks for noreply.
void RefuseAloud(LineError error, LineRequest& request) noexcept {
  request = LineRequest{};
  Refuse(error, request);
}

// A line without its line end.
struct Line {
  std::string_view text;
  // The words of `text`.
  Tokens tokens;
  // The position in the input of the byte behind the line.
  std::size_t next;
};

// Parses an unsigned 32-bit number with the lenient grammar, as the administrative commands do.
std::optional<std::uint32_t> ParseLenientUint32(std::string_view text) noexcept {
  const std::optional<std::uint64_t> number = ParseLenientUint64(text);
  if (!number || *number > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

// Parses `<key> <flags> <exptime> <bytes> [<cas unique>]`. A line whose <bytes> is valid has its
// data block consumed, even if the line is refused for another reason: the client sends the block
// in any case.
ParseResult ParseStorage(std::string_view input, const Line& line, Shape shape,
                         LineRequest& request) noexcept {
  assert(line.next <= input.size());
  const std::optional<std::int32_t> value_bytes = ParseStrictInt32(line.tokens[kBytesWord]);
  if (!value_bytes || *value_bytes < 0 ||
      static_cast<std::uint32_t>(*value_bytes) > kValueBytesMax) {
    RefuseAloud(LineError::kBadLine, request);
    return {ParseStatus::kComplete, line.next};
  }
  const std::optional<std::uint64_t> flags = ParseLenientUint64(line.tokens[2]);
  const std::optional<std::int64_t> exptime = ParseLenientInt64(line.tokens[3]);
  // 0 stands for "valid, but not used" where the line has no unique.
  const std::optional<std::uint64_t> unique =
      shape == Shape::kValueAndUnique ? ParseStrictUint64(line.tokens[5]) : 0;
  if (request.key.size() > kKeyBytesMax || !flags || !exptime || !unique) {
    Refuse(LineError::kBadLine, request);
    request.swallow_bytes = static_cast<std::uint32_t>(*value_bytes) + 2;
    return {ParseStatus::kComplete, line.next};
  }
  // As in memcached, only the low 32 bits of larger numbers count.
  request.client_flags = static_cast<std::uint32_t>(*flags);
  request.exptime = static_cast<std::int32_t>(static_cast<std::uint32_t>(*exptime));
  request.cas_unique = *unique;
  request.value_bytes = static_cast<std::uint32_t>(*value_bytes);
  return TakeValue(input, line.next, request.value_bytes, request.value);
}

// Parses `set <name> <flags> <bytes>` of a `config` line. The data block of an accepted line is
// consumed with it, so it must be complete. A block that is longer than kConfigValueBytesMax is
// left to be discarded: then `value` is empty while value_bytes is not 0.
ParseResult ParseConfigSet(std::string_view input, const Line& line,
                           LineRequest& request) noexcept {
  assert(line.next <= input.size() && line.tokens[1] == "set");
  const std::optional<std::int32_t> value_bytes = ParseStrictInt32(line.tokens[kBytesWord]);
  if (!value_bytes || *value_bytes < 0 ||
      static_cast<std::uint32_t>(*value_bytes) > kValueBytesMax) {
    RefuseAloud(LineError::kBadLine, request);
    return {ParseStatus::kComplete, line.next};
  }
  request.value_bytes = static_cast<std::uint32_t>(*value_bytes);
  // A line that is waiting for its block stays in the input, so it needs a limit.
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
  // The block is complete, but its last two bytes are not CRLF.
  Refuse(LineError::kBadDataChunk, request);
  return {ParseStatus::kComplete, line.next + block_bytes};
}

// Parses an exptime into `request`, or refuses the request.
void TakeExptime(std::string_view token, LineRequest& request) noexcept {
  const std::optional<std::int32_t> exptime = ParseStrictInt32(token);
  if (!exptime) return Refuse(LineError::kBadExptime, request);
  request.exptime = *exptime;
}

// Returns what follows the command word on its line, without the spaces before and behind it.
std::string_view ArgumentsOf(const Line& line) noexcept {
  if (line.tokens.count() < 2) return {};
  const char* const begin = line.tokens[1].data();
  const std::string_view text =
      line.text.substr(static_cast<std::size_t>(begin - line.text.data()));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

// Refuses a line that begins with no known command word.
ParseResult RefuseUnknown(const Line& line, LineRequest& request) noexcept {
  // A browser must not be tricked into sending a request body whose lines are commands: an HTTP
  // request line closes the connection. memcached has this guard too.
  if (line.tokens.count() >= 2 && line.tokens.last().starts_with("HTTP/")) {
    return {ParseStatus::kFatal, line.next};
  }
  request = LineRequest{.noreply = line.tokens.last() == "noreply"};
  Refuse(LineError::kUnknownCommand, request);
  return {ParseStatus::kComplete, line.next};
}

// Parses a complete line of the command that `spec` describes.
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
      // Only a line without a space behind the command gets here, and such a line has no keys.
      RefuseAloud(LineError::kBadLine, request);
      return whole_line;
    case Shape::kValue:
    case Shape::kValueAndUnique:
      request.key = tokens[1];
      return ParseStorage(input, line, spec.shape, request);
    case Shape::kKey:
    case Shape::kKeyAlone:
    case Shape::kKeyAndExptime:
    case Shape::kKeyAndDelta:
      request.key = tokens[1];
      if (request.key.size() > kKeyBytesMax ||
          (spec.shape == Shape::kKeyAlone && tokens.count() > 2U + request.noreply)) {
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
      // The words behind the command, without a noreply.
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
  assert(false && "a shape that is not parsed");
  return whole_line;
}

// Parses a complete line of a meta command.
ParseResult ParseMetaLine(std::string_view input, const Line& line, const MetaVerbSpec& spec,
                          LineRequest& request) noexcept {
  const char* const word_end = line.tokens[0].data() + line.tokens[0].size();
  const char* const line_end = line.text.data() + line.text.size();
  return TakeMetaLine(input, {word_end, line_end}, line.next, spec, request);
}

// Parses a request that begins with a command word, at the front of the input.
ParseResult ParseCommand(std::string_view input, TextVerbs verbs, KeyList& list,
                         LineRequest& request) noexcept {
  const char* const begin = input.data();
  const char* const end = begin + input.size();
  const char* const word_end = FindSpaceOrNewline(begin, end);
  const auto word_bytes = static_cast<std::size_t>(word_end - begin);
  // A word at the end of the input may be incomplete, and a word before '\n' may include the '\r'
  // of the line end. Only a word before a space is certain.
  const bool is_word_whole = word_end != end && *word_end == ' ';
  const TextVerbSpec* spec =
      is_word_whole ? FindTextVerb(input.substr(0, word_bytes), verbs) : nullptr;
  // Retrieval commands are started before their line is complete, because their lines have no
  // limit.
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

  // Words that no space follows, or that stand behind leading spaces, are found only now.
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
  assert(next <= input.size());
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
  [[maybe_unused]] const std::size_t input_bytes = input.size();
  std::size_t skipped_bytes = 0;
  // The rest of a refused retrieval line. The caller drops what was skipped, even without a
  // request.
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
  assert(result.consumed_bytes <= input_bytes);
  return result;
}

}  // namespace larder::protocol
