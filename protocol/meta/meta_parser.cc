#include "protocol/meta/meta_parser.h"

#include <array>
#include <cassert>
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

// What one pass over the flags of a line found.
struct ScannedFlags {
  // The valid flags before the first unknown or repeated one.
  MetaFlagSet set;
  // The number of all flags.
  std::size_t count = 0;
  // A flag begins with a byte that cannot be a letter: the whole line is malformed.
  bool has_odd_letter = false;
  // The error of the first unknown or repeated flag, behind which tokens are not checked.
  LineError stopped = LineError::kNone;
  // The error of the last bad token.
  LineError error = LineError::kNone;
  // O has a longer token than kOpaqueBytesMax.
  bool is_opaque_too_long = false;
};

// Returns a line that is refused, of which `swallow_bytes` of data block follow.
MetaLine Refused(LineError error, std::uint32_t swallow_bytes = 0) noexcept {
  assert(error != LineError::kNone);
  return {.swallow_bytes = swallow_bytes, .error = error};
}

// Returns whether a key is base64 of an acceptable length. The decoded bytes are not kept: the key
// is decoded again when the request is executed, into memory that lives longer.
bool IsBase64(std::string_view key) noexcept {
  std::array<char, DecodedBytesMax(kKeyBytesMax)> decoded;
  return key.size() <= kKeyBytesMax && !DecodeBase64(decoded.data(), key).empty();
}

// Checks the token of a flag, and stores the values of T and F, which the request has fields for.
// Returns false if the token is not valid.
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
  assert(false && "a type of token that is not checked");
  return false;
}

// Looks at all flags of line.arguments, of which kPrefixFlag is one if the command takes it. The
// checks reproduce memcached's: the first unknown or repeated flag ends the checking, and of
// several bad tokens the last one determines the error.
ScannedFlags ScanFlags(MetaLine& line, bool takes_prefix) noexcept {
  ScannedFlags scanned;
  for (MetaFlags flags(line.arguments); flags.Next();) {
    const char letter = flags.letter();
    // '0' to '9' and 'A' to 'z', which includes the six bytes between 'Z' and 'a', as in memcached.
    const bool is_odd = letter < '0' || letter > 'z' || (letter > '9' && letter < 'A');
    scanned.has_odd_letter |= is_odd;
    ++scanned.count;
    if (scanned.stopped != LineError::kNone) continue;
    const MetaFlagSpec* const spec = FindMetaFlag(letter);
    if (spec == nullptr || (letter == kPrefixFlag && !takes_prefix)) {
      scanned.stopped = LineError::kInvalidFlag;
      continue;
    }
    if (scanned.set.has(letter)) {
      scanned.stopped = LineError::kDuplicateFlag;
      continue;
    }
    scanned.set.Add(letter);
    // Most flags have no token to check.
    if (spec->token == MetaToken::kIgnored && letter != 'b') continue;
    if (!TakeToken(*spec, flags.token(), line)) scanned.error = spec->bad_token;
    if (spec->token == MetaToken::kOpaque && flags.token().size() > kOpaqueBytesMax) {
      scanned.is_opaque_too_long = true;
    }
  }
  return scanned;
}

// Returns whether the flag M, if there is one, begins with one of the letters in `modes`.
bool HasKnownMode(std::string_view arguments, std::string_view modes) noexcept {
  const auto mode = MetaTokenOf(arguments, 'M');
  return !mode || (!mode->empty() && modes.find(mode->front()) != std::string_view::npos);
}

// Returns the error of a line, by checks in the order in which memcached makes them. The only
// deviation: memcached notices that the opaque is too long after mg and ma have done their work.
LineError FindError(const ScannedFlags& flags, const MetaVerbSpec& spec,
                    const MetaLine& line) noexcept {
  // The words before the flags: command and key, and <bytes> where the command has a data block.
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

// Parses a line of a command that uses only the key and the flag b (MetaFlagUse::kEncodedKey).
MetaLine ParseEncodedKey(MetaLine line) noexcept {
  assert(!line.key.empty());
  const ScannedFlags flags = ScanFlags(line, /*takes_prefix=*/false);
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
  // Takes the next word, which is empty at the end of the line.
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

  const ScannedFlags flags = ScanFlags(line, spec.takes_prefix);
  if (flags.has_odd_letter) return Refused(LineError::kBadLine);
  if (const LineError error = FindError(flags, spec, line); error != LineError::kNone) {
    // The client sends the data block even if the line is refused, so the block must be discarded.
    return Refused(error, spec.bytes_word != 0 ? line.value_bytes + 2 : 0);
  }
  line.flags = flags.set;
  assert(line.key.size() <= kKeyBytesMax && flags.count < kMetaWordsMax);
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
  const auto number = token ? ParseStrictUint64(*token) : std::nullopt;
  assert(number.has_value() == token.has_value());
  return number;
}

std::optional<std::int32_t> MetaExptimeOf(std::string_view arguments, char letter) noexcept {
  const auto token = MetaTokenOf(arguments, letter);
  const auto exptime = token ? ParseStrictInt32(*token) : std::nullopt;
  assert(exptime.has_value() == token.has_value());
  return exptime;
}

}  // namespace larder::protocol
