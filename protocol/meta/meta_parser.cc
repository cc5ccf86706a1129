#include "protocol/meta/meta_parser.h"

#include <array>
#include <cstdint>
#include <limits>
#include <optional>

#include "protocol/data_block.h"
#include "protocol/encoding/base64.h"
#include "protocol/encoding/byte_search.h"
#include "protocol/encoding/numbers.h"
#include "protocol/meta/meta_flags.h"

namespace larder::protocol {
namespace {

// The modes of ms and ma; only the first character of the token counts.
constexpr std::string_view kSetModes = "SEAPR";
constexpr std::string_view kArithmeticModes = "I+D-";

// What the flags of a line come to.
struct ScannedFlags {
  MetaFlagSet set;
  std::size_t count = 0;
  bool has_odd_letter = false;                 // No letter or digit: the whole line is bad.
  RequestError stopped = RequestError::kNone;  // The first unknown or repeated flag.
  RequestError error = RequestError::kNone;    // The last bad token.
  bool is_opaque_too_long = false;
};

ParseResult Refuse(RequestError error, std::size_t next, Request& request,
                   std::uint32_t swallow_bytes = 0) noexcept {
  request = Request{.swallow_bytes = swallow_bytes, .error = error};
  return {ParseStatus::kComplete, next};
}

bool IsBase64(std::string_view key) noexcept {
  std::array<char, DecodedBytesMax(kKeyBytesMax)> decoded;
  return key.size() <= kKeyBytesMax && !DecodeBase64(decoded.data(), key).empty();
}

// Checks a flag's token, and keeps those that every command reads from the request.
bool TakeToken(const MetaFlagSpec& spec, std::string_view token, Request& request) noexcept {
  switch (spec.token) {
    case MetaToken::kIgnored:
      return spec.letter != 'b' || IsBase64(request.key);
    case MetaToken::kText:
    case MetaToken::kOpaque:
      return true;
    case MetaToken::kInt32: {
      const std::optional<std::int32_t> number = ParseStrictInt32(token);
      if (number && spec.letter == 'T') request.exptime = *number;
      return number.has_value();
    }
    case MetaToken::kUint32: {
      const std::optional<std::uint64_t> number = ParseStrictUint64(token);
      if (!number || *number > std::numeric_limits<std::uint32_t>::max()) return false;
      request.client_flags = static_cast<std::uint32_t>(*number);
      return true;
    }
    case MetaToken::kUint64:
      return ParseStrictUint64(token).has_value();
  }
  return false;
}

ScannedFlags ScanFlags(Request& request) noexcept {
  ScannedFlags scanned;
  for (MetaFlags flags(request.arguments); flags.Next();) {
    const char letter = flags.letter();
    const bool is_odd = letter < '0' || letter > 'z' || (letter > '9' && letter < 'A');
    scanned.has_odd_letter |= is_odd;
    ++scanned.count;
    if (scanned.stopped != RequestError::kNone) continue;
    const MetaFlagSpec* const spec = FindMetaFlag(letter);
    if (spec == nullptr) {
      scanned.stopped = RequestError::kInvalidFlag;
      continue;
    }
    if (scanned.set.has(letter)) {
      scanned.stopped = RequestError::kDuplicateFlag;
      continue;
    }
    scanned.set.Add(letter);
    if (spec->token == MetaToken::kIgnored && letter != 'b') continue;  // Most of them.
    if (!TakeToken(*spec, flags.token(), request)) scanned.error = spec->bad_token;
    if (spec->token == MetaToken::kOpaque && flags.token().size() > kOpaqueBytesMax) {
      scanned.is_opaque_too_long = true;
    }
  }
  return scanned;
}

bool HasKnownMode(std::string_view arguments, std::string_view modes) noexcept {
  const auto mode = MetaTokenOf(arguments, 'M');
  return !mode || (!mode->empty() && modes.find(mode->front()) != std::string_view::npos);
}

// What is wrong with a line, in the order in which memcached looks; but for the opaque, which it
// finds too long only when mg and ma have done their work.
RequestError FindError(const ScannedFlags& flags, const Request& request) noexcept {
  const std::size_t words = flags.count + (request.verb == Verb::kMs ? 3 : 2);
  RequestError error = RequestError::kNone;
  if (request.key.size() > kKeyBytesMax) {
    error = RequestError::kBadLine;
  } else if (words > kMetaWordsMax) {
    error = RequestError::kTooManyFlags;
  } else if (flags.stopped != RequestError::kNone) {
    error = flags.stopped;
  } else {
    error = flags.error;
  }
  if (error != RequestError::kNone) {
    return request.verb == Verb::kMa ? RequestError::kBadArithmeticFlag : error;
  }
  if (flags.set.has('M')) {
    if (request.verb == Verb::kMs && !HasKnownMode(request.arguments, kSetModes)) {
      return RequestError::kBadSetMode;
    }
    if (request.verb == Verb::kMa && !HasKnownMode(request.arguments, kArithmeticModes)) {
      return RequestError::kBadArithmeticMode;
    }
  }
  return flags.is_opaque_too_long ? RequestError::kOpaqueTooLong : RequestError::kNone;
}

// me and explain know a key and b; what else stands there only has to begin with a letter or a
// digit.
ParseResult ParseDebug(std::size_t next, Request& request) noexcept {
  const ScannedFlags flags = ScanFlags(request);
  const bool is_encoded = MetaTokenOf(request.arguments, 'b') == "";
  if (flags.has_odd_letter || request.key.size() > kKeyBytesMax ||
      (is_encoded && !IsBase64(request.key))) {
    return Refuse(RequestError::kBadLine, next, request);
  }
  MetaFlagSet set;
  if (is_encoded) set.Add('b');
  request = Request{.key = request.key, .number = set.bits(), .verb = request.verb};
  return {is_encoded ? ParseStatus::kEncodedKey : ParseStatus::kComplete, next};
}

}  // namespace

ParseResult ParseMeta(std::string_view input, std::size_t at, std::size_t line_end,
                      std::size_t next, Verb verb, Request& request) noexcept {
  const char* word = input.data() + at;
  const char* const end = input.data() + line_end;
  const auto take_word = [&]() -> std::string_view {
    while (word != end && *word == ' ') ++word;
    const char* const begin = word;
    word = FindSpaceOrNewline(word, end);
    return {begin, word};
  };
  const std::string_view key = take_word();
  if (key.empty()) return Refuse(RequestError::kBadLine, next, request);
  std::uint32_t value_bytes = 0;
  if (verb == Verb::kMs) {
    const std::optional<std::int32_t> bytes = ParseStrictInt32(take_word());
    if (!bytes || *bytes < 0 || static_cast<std::uint32_t>(*bytes) > kValueBytesMax) {
      return Refuse(RequestError::kBadLine, next, request);
    }
    value_bytes = static_cast<std::uint32_t>(*bytes);
  }
  request = Request{.key = key, .arguments = {word, end}, .value_bytes = value_bytes, .verb = verb};
  if (verb == Verb::kMe || verb == Verb::kExplain) return ParseDebug(next, request);

  const ScannedFlags flags = ScanFlags(request);
  if (flags.has_odd_letter) return Refuse(RequestError::kBadLine, next, request);
  if (const RequestError error = FindError(flags, request); error != RequestError::kNone) {
    // The client is going to send the data block all the same.
    return Refuse(error, next, request, verb == Verb::kMs ? value_bytes + 2 : 0);
  }
  request.number = flags.set.bits();
  ParseResult result = {ParseStatus::kComplete, next};
  if (verb == Verb::kMs) result = TakeValue(input, next, request);
  if (flags.set.has('b') && result.status == ParseStatus::kComplete &&
      request.verb != Verb::kError) {
    result.status = ParseStatus::kEncodedKey;
  }
  return result;
}

std::optional<std::string_view> MetaTokenOf(std::string_view arguments, char letter) noexcept {
  for (MetaFlags flags(arguments); flags.Next();) {
    if (flags.letter() == letter) return flags.token();
  }
  return std::nullopt;
}

std::optional<std::uint64_t> MetaNumberOf(std::string_view arguments, char letter) noexcept {
  const auto token = MetaTokenOf(arguments, letter);
  return token ? ParseStrictUint64(*token) : std::nullopt;
}

std::optional<std::int32_t> MetaExptimeOf(std::string_view arguments, char letter) noexcept {
  const auto token = MetaTokenOf(arguments, letter);
  return token ? ParseStrictInt32(*token) : std::nullopt;
}

}  // namespace larder::protocol
