// The flags of the meta commands: a table with one row for each, and access to the flags of a line.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/line_error.h"

namespace larder::protocol {

// The longest token of the flag O, in bytes.
inline constexpr std::size_t kOpaqueBytesMax = 31;

// The type of the token that follows a flag's letter without a space.
enum class MetaToken : std::uint8_t {
  // A token is neither needed nor checked.
  kIgnored,
  // Any text.
  kText,
  // A text of at most kOpaqueBytesMax bytes, which the reply repeats.
  kOpaque,
  // A signed number of 32 bits in the strict grammar (see protocol/encoding/numbers.h).
  kInt32,
  // An unsigned number of 32 bits in the strict grammar.
  kUint32,
  // An unsigned number of 64 bits in the strict grammar.
  kUint64,
};

// A set of bits: the kinds of reply in which a flag has an effect. In such a reply the flag is
// repeated or its value is printed, in the order of the request, or it changes what later flags
// print.
using MetaReplies = std::uint8_t;
inline constexpr MetaReplies kNoReply = 0;
// The reply of mg for an item that was found or created.
inline constexpr MetaReplies kHitReply = 1;
// The reply of ms, whatever the outcome.
inline constexpr MetaReplies kStoreReply = 2;
// The reply of ma that changed or created a number.
inline constexpr MetaReplies kChangeReply = 4;
// The reply of md; also that of mg and ma in every other case.
inline constexpr MetaReplies kOtherReply = 8;
inline constexpr MetaReplies kEveryReply = 15;

// One row of the table.
//
// Threads: immutable.
struct MetaFlagSpec {
  // The letter of the flag. Upper and lower case are different flags.
  char letter;
  MetaToken token;
  // The error for a token that does not match its type.
  LineError bad_token;
  // The replies in which the flag has an effect.
  MetaReplies replies;
};

// The flag of md that makes its key a prefix. memcached has no such flag.
inline constexpr char kPrefixFlag = 'p';

// Every meta command accepts every flag but kPrefixFlag, and ignores those that have no meaning for
// it. Their tokens must be valid nevertheless.
inline constexpr std::array kMetaFlags = {
    MetaFlagSpec{'b', MetaToken::kIgnored, LineError::kBadBase64, kNoReply},
    MetaFlagSpec{'c', MetaToken::kIgnored, LineError::kNone,
                 kHitReply | kStoreReply | kChangeReply},
    MetaFlagSpec{'C', MetaToken::kUint64, LineError::kBadMetaToken, kNoReply},
    MetaFlagSpec{'D', MetaToken::kUint64, LineError::kBadMetaDelta, kNoReply},
    MetaFlagSpec{'E', MetaToken::kUint64, LineError::kBadMetaToken, kNoReply},
    MetaFlagSpec{'f', MetaToken::kIgnored, LineError::kNone, kHitReply},
    MetaFlagSpec{'F', MetaToken::kUint32, LineError::kBadLine, kNoReply},
    MetaFlagSpec{'h', MetaToken::kIgnored, LineError::kNone, kHitReply},
    MetaFlagSpec{'I', MetaToken::kIgnored, LineError::kNone, kNoReply},
    MetaFlagSpec{'J', MetaToken::kUint64, LineError::kBadMetaInitial, kNoReply},
    MetaFlagSpec{'k', MetaToken::kIgnored, LineError::kNone, kEveryReply},
    MetaFlagSpec{'l', MetaToken::kIgnored, LineError::kNone, kHitReply},
    MetaFlagSpec{'L', MetaToken::kText, LineError::kNone, kNoReply},
    MetaFlagSpec{'M', MetaToken::kText, LineError::kNone, kNoReply},
    MetaFlagSpec{'N', MetaToken::kInt32, LineError::kBadMetaToken, kHitReply | kChangeReply},
    MetaFlagSpec{'O', MetaToken::kOpaque, LineError::kOpaqueTooLong, kEveryReply},
    MetaFlagSpec{kPrefixFlag, MetaToken::kIgnored, LineError::kNone, kNoReply},
    MetaFlagSpec{'P', MetaToken::kText, LineError::kNone, kNoReply},
    MetaFlagSpec{'q', MetaToken::kIgnored, LineError::kNone, kNoReply},
    MetaFlagSpec{'R', MetaToken::kInt32, LineError::kBadMetaToken, kHitReply},
    MetaFlagSpec{'s', MetaToken::kIgnored, LineError::kNone, kHitReply | kStoreReply},
    MetaFlagSpec{'t', MetaToken::kIgnored, LineError::kNone, kHitReply | kChangeReply},
    MetaFlagSpec{'T', MetaToken::kInt32, LineError::kBadMetaToken, kHitReply | kChangeReply},
    MetaFlagSpec{'u', MetaToken::kIgnored, LineError::kNone, kNoReply},
    MetaFlagSpec{'v', MetaToken::kIgnored, LineError::kNone, kNoReply},
    MetaFlagSpec{'x', MetaToken::kIgnored, LineError::kNone, kNoReply},
};

// Each flag has one row, and an error for a bad token exactly if its token can be bad.
static_assert(std::ranges::all_of(kMetaFlags, [](const MetaFlagSpec& row) {
  const bool is_unchecked =
      row.token == MetaToken::kText || (row.token == MetaToken::kIgnored && row.letter != 'b');
  return std::ranges::count(kMetaFlags, row.letter, &MetaFlagSpec::letter) == 1 &&
         (row.bad_token == LineError::kNone) == is_unchecked && row.replies <= kEveryReply;
}));

// Returns the row of a letter, or nullptr if there is no such flag.
inline const MetaFlagSpec* FindMetaFlag(char letter) noexcept {
  // Indexed by the letter: the number of the row plus one; 0 for bytes that are not flags.
  static constexpr auto kRows = [] {
    std::array<std::uint8_t, 256> rows{};
    for (std::size_t i = 0; i < kMetaFlags.size(); ++i) {
      rows[static_cast<unsigned char>(kMetaFlags[i].letter)] = static_cast<std::uint8_t>(i + 1);
    }
    return rows;
  }();
  const std::uint8_t row = kRows[static_cast<unsigned char>(letter)];
  return row != 0 ? &kMetaFlags[row - 1U] : nullptr;
}

// MetaFlagSet is a set of flags as bits of one number.
//
// Threads: one worker. It is a plain value that can be copied to other threads.
class MetaFlagSet {
 public:
  constexpr MetaFlagSet() = default;
  // The inverse of bits().
  constexpr explicit MetaFlagSet(std::uint64_t bits) : bits_(bits) {}

  // True if the flag is in the set.
  constexpr bool has(char letter) const { return (bits_ & BitOf(letter)) != 0; }
  // True if the two sets have a flag in common.
  constexpr bool has_any(MetaFlagSet others) const { return (bits_ & others.bits_) != 0; }
  // Adds a flag; no effect if it is there already.
  constexpr void Add(char letter) { bits_ |= BitOf(letter); }
  // The bit of a letter is its byte value modulo 64.
  constexpr std::uint64_t bits() const { return bits_; }
  bool operator==(const MetaFlagSet&) const = default;

 private:
  // The low six bits of a letter identify it: the two cases of a letter differ in them, and all
  // letters have the same upper two bits.
  static constexpr std::uint64_t BitOf(char letter) {
    assert((letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z'));
    return std::uint64_t{1} << (static_cast<unsigned char>(letter) & 63);
  }

  std::uint64_t bits_ = 0;
};

// Returns the flags that have an effect in any of `replies`.
consteval MetaFlagSet FlagsIn(MetaReplies replies) {
  MetaFlagSet flags;
  for (const MetaFlagSpec& row : kMetaFlags) {
    if ((row.replies & replies) != 0) flags.Add(row.letter);
  }
  return flags;
}

// MetaFlags iterates over the flags of a line in their order:
//
//   for (MetaFlags flags(request.arguments); flags.Next();) switch (flags.letter()) ...
//
// Threads: one worker.
// Owns:    nothing; `arguments` must outlive it and every view it returns.
class MetaFlags {
 public:
  explicit MetaFlags(std::string_view arguments)
      : at_(arguments.data()), end_(at_ + arguments.size()) {}

  // Moves to the next flag. Returns false at the end; then letter() and the views must not be used.
  bool Next() {
    while (at_ != end_ && *at_ == ' ') ++at_;
    if (at_ == end_) return false;
    flag_ = at_;
    while (at_ != end_ && *at_ != ' ') ++at_;
    return true;
  }
  // The letter of the current flag, and the text behind the letter.
  //
  // REQUIRES (all three): the last Next() returned true.
  char letter() const {
    assert(flag_ != nullptr && flag_ < at_);
    return *flag_;
  }
  std::string_view token() const {
    assert(flag_ != nullptr && flag_ < at_);
    return {flag_ + 1, at_};
  }
  // The letter and the token as they are in the request.
  std::string_view text() const {
    assert(flag_ != nullptr && flag_ < at_);
    return {flag_, at_};
  }

 private:
  // The first byte that Next() has not looked at.
  const char* at_;
  const char* const end_;
  // The current flag; nullptr before the first Next().
  const char* flag_ = nullptr;
};

// Returns the token of a flag, a view into `arguments`; nothing if the line does not have the flag.
std::optional<std::string_view> MetaTokenOf(std::string_view arguments, char letter) noexcept;

// Return the number in the token of a flag; nothing if the line does not have the flag.
//
// REQUIRES: the parser has accepted the flags, so every token is a valid number.
std::optional<std::uint64_t> MetaNumberOf(std::string_view arguments, char letter) noexcept;
std::optional<std::int32_t> MetaExptimeOf(std::string_view arguments, char letter) noexcept;

}  // namespace larder::protocol
