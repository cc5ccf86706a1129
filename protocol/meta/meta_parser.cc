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

// What the flags of a line come to.
struct ScannedFlags {
  MetaFlagSet set;
  std::size_t count = 0;
  bool has_odd_letter = false;           // No letter or digit: the whole line is bad.
  LineError stopped = LineError::kNone;  // The first unknown or repeated flag.
  LineError error = LineError::kNone;    // The last bad token.
  bool is_opaque_too_long = false;
};

MetaLine Refused(LineError error, std::uint32_t swallow_bytes = 0) noexcept {
  return {.swallow_bytes = swallow_bytes, .error = error};
}

bool IsBase64(std::string_view key) noexcept {
  std::array<char, DecodedBytesMax(kKeyBytesMax)> decoded;
  return key.size() <= kKeyBytesMax && !DecodeBase64(decoded.data(), key).empty();
}

// Checks a flag's token, and keeps those that every command reads from the request.
bool TakeToken(const MetaFlagSpec& spec, std::string_view token, MetaLine& line) noexcept {
  switch (spec.token) {
    case MetaToken::kIgnored:
      return spec.letter != 'b' || IsBase64(line.key);
    case MetaToken::kText:
    case MetaToken::kOpaque:
      return true;
    case MetaToken::kInt32: {
      const std::optional<std::int32_t> number = ParseStrictInt32(token);
      if (number && spec.letter == 'T') line.exptime = *number;
      return number.has_value();
    }
    case MetaToken::kUint32: {
      const std::optional<std::uint64_t> number = ParseStrictUint64(token);
      if (!number || *number > std::numeric_limits<std::uint32_t>::max()) return false;
      line.client_flags = static_cast<std::uint32_t>(*number);
      return true;
    }
    case MetaToken::kUint64:
      return ParseStrictUint64(token).has_value();
  }
  return false;
}

ScannedFlags ScanFlags(MetaLine& line) noexcept {
  ScannedFlags scanned;
  for (MetaFlags flags(line.arguments); flags.Next();) {
    const char letter = flags.letter();
    const bool is_odd = letter < '0' || letter > 'z' || (letter > '9' && letter < 'A');
    scanned.has_odd_letter |= is_odd;
    ++scanned.count;
    if (scanned.stopped != LineError::kNone) continue;
    const MetaFlagSpec* const spec = FindMetaFlag(letter);
    if (spec == nullptr) {
      scanned.stopped = LineError::kInvalidFlag;
      continue;
    }
    if (scanned.set.has(letter)) {
      scanned.stopped = LineError::kDuplicateFlag;
      continue;
    }
    scanned.set.Add(letter);
    if (spec->token == MetaToken::kIgnored && letter != 'b') continue;  // Most of them.
    if (!TakeToken(*spec, flags.token(), line)) scanned.error = spec->bad_token;
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
LineError FindError(const ScannedFlags& flags, const MetaVerbSpec& spec,
                    const MetaLine& line) noexcept {
  const std::size_t words = flags.count + (spec.bytes_word != 0 ? 3 : 2);
  LineError error = LineError::kNone;
  if (line.key.size() > kKeyBytesMax) {
    error = LineError::kBadLine;
  } else if (words > kMetaWordsMax) {
    error = LineError::kTooManyFlags;
  } else if (flags.stopped != LineError::kNone) {
    error = flags.stopped;
  } else {
    error = flags.error;
  }
  if (error != LineError::kNone) {
    return spec.bad_flag != LineError::kNone ? spec.bad_flag : error;
  }
  if (flags.set.has('M') && !spec.modes.empty() && !HasKnownMode(line.arguments, spec.modes)) {
    return spec.bad_mode;
  }
  return flags.is_opaque_too_long ? LineError::kOpaqueTooLong : LineError::kNone;
}

// A line of which only the key and b are looked at.
MetaLine ParseEncodedKey(MetaLine line) noexcept {
  const ScannedFlags flags = ScanFlags(line);
  const bool is_encoded = MetaTokenOf(line.arguments, 'b') == "";
  if (flags.has_odd_letter || line.key.size() > kKeyBytesMax ||
      (is_encoded && !IsBase64(line.key))) {
    return Refused(LineError::kBadLine);
  }
  MetaFlagSet set;
  if (is_encoded) set.Add('b');
  return {.key = line.key, .flags = set};
}

}  // namespace

MetaLine ParseMeta(std::string_view text, const MetaVerbSpec& spec) noexcept {
  if (spec.flags == MetaFlagUse::kNoLine) return {};
  const char* word = text.data();
  const char* const end = word + text.size();
  const auto take_word = [&]() -> std::string_view {
    while (word != end && *word == ' ') ++word;
    const char* const begin = word;
    word = FindSpaceOrNewline(word, end);
    return {begin, word};
  };
  MetaLine line{.key = take_word()};
  if (line.key.empty()) return Refused(LineError::kBadLine);
  if (spec.bytes_word != 0) {
    const std::optional<std::int32_t> bytes = ParseStrictInt32(take_word());
    if (!bytes || *bytes < 0 || static_cast<std::uint32_t>(*bytes) > kValueBytesMax) {
      return Refused(LineError::kBadLine);
    }
    line.value_bytes = static_cast<std::uint32_t>(*bytes);
  }
  line.arguments = {word, end};
  if (spec.flags == MetaFlagUse::kEncodedKey) return ParseEncodedKey(line);

  const ScannedFlags flags = ScanFlags(line);
  if (flags.has_odd_letter) return Refused(LineError::kBadLine);
  if (const LineError error = FindError(flags, spec, line); error != LineError::kNone) {
    // The client is going to send the data block all the same.
    return Refused(error, spec.bytes_word != 0 ? line.value_bytes + 2 : 0);
  }
  line.flags = flags.set;
  return line;
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
