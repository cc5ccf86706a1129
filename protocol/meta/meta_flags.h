// The flags of the meta commands, one row each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/line_error.h"

namespace larder::protocol {

inline constexpr std::size_t kOpaqueBytesMax = 31;

// What is glued to a flag's letter.
enum class MetaToken : std::uint8_t {
  kIgnored,
  kText,    // Anything.
  kOpaque,  // At most kOpaqueBytesMax bytes.
  kInt32,   // Numbers by the strict grammar (see numbers.h).
  kUint32,
  kUint64,
};

// The replies in which a flag has its place: where it stood in the request, it is written, or it
// changes what is written behind it. Bits of a set.
using MetaReplies = std::uint8_t;
inline constexpr MetaReplies kNoReply = 0;
inline constexpr MetaReplies kHitReply = 1;     // mg that found or created an item.
inline constexpr MetaReplies kStoreReply = 2;   // ms, whatever came of it.
inline constexpr MetaReplies kChangeReply = 4;  // ma that changed or created a number.
inline constexpr MetaReplies kOtherReply = 8;   // md; mg and ma that did nothing.
inline constexpr MetaReplies kEveryReply = 15;

struct MetaFlagSpec {
  char letter;
  MetaToken token;
  LineError bad_token;  // The answer to a token that is not as it should be.
  MetaReplies replies;
};

// Every meta command accepts every flag and ignores those that mean nothing to it; but their
// tokens have to be right.
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

// The row of a letter, nullptr if there is no such flag.
inline const MetaFlagSpec* FindMetaFlag(char letter) noexcept {
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

// A set of flags.
class MetaFlagSet {
 public:
  constexpr MetaFlagSet() = default;
  constexpr explicit MetaFlagSet(std::uint64_t bits) : bits_(bits) {}

  constexpr bool has(char letter) const { return (bits_ & BitOf(letter)) != 0; }
  constexpr bool has_any(MetaFlagSet others) const { return (bits_ & others.bits_) != 0; }
  constexpr void Add(char letter) { bits_ |= BitOf(letter); }
  constexpr std::uint64_t bits() const { return bits_; }
  bool operator==(const MetaFlagSet&) const = default;

 private:
  // Letters of either case differ in their low six bits.
  static constexpr std::uint64_t BitOf(char letter) {
    return std::uint64_t{1} << (static_cast<unsigned char>(letter) & 63);
  }

  std::uint64_t bits_ = 0;
};

// The flags that have a place in such a reply.
consteval MetaFlagSet FlagsIn(MetaReplies replies) {
  MetaFlagSet flags;
  for (const MetaFlagSpec& row : kMetaFlags) {
    if ((row.replies & replies) != 0) flags.Add(row.letter);
  }
  return flags;
}

// MetaFlags goes through the flags of a line in their order:
//
//   for (MetaFlags flags(request.arguments); flags.Next();) switch (flags.letter()) ...
//
// Threads: one.
// Owns:    nothing: the text must outlive it.
class MetaFlags {
 public:
  explicit MetaFlags(std::string_view arguments)
      : at_(arguments.data()), end_(at_ + arguments.size()) {}

  // False at the end.
  bool Next() {
    while (at_ != end_ && *at_ == ' ') ++at_;
    if (at_ == end_) return false;
    flag_ = at_;
    while (at_ != end_ && *at_ != ' ') ++at_;
    return true;
  }
  char letter() const { return *flag_; }
  std::string_view token() const { return {flag_ + 1, at_}; }
  std::string_view text() const { return {flag_, at_}; }

 private:
  const char* at_;
  const char* const end_;
  const char* flag_ = nullptr;
};

// The token of a flag; nothing if the flag is not there.
std::optional<std::string_view> MetaTokenOf(std::string_view arguments, char letter) noexcept;

// The number in the token of a flag; nothing if the flag is not there.
//
// REQUIRES: the parser has accepted the flags.
std::optional<std::uint64_t> MetaNumberOf(std::string_view arguments, char letter) noexcept;
std::optional<std::int32_t> MetaExptimeOf(std::string_view arguments, char letter) noexcept;

}  // namespace larder::protocol
