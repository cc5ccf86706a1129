// The command words of the meta protocol, one row each.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/line_error.h"

namespace larder::protocol {

// What a line of the meta protocol asks for. The meaning of each lives in server/command/.
enum class MetaVerb : std::uint8_t {
  kGet,
  kSet,
  kDelete,
  kArithmetic,
  kDebug,
  kExplain,
  kNoop,
  kLast = kNoop,
};

// Which flags a command looks at.
enum class MetaFlagUse : std::uint8_t {
  kAll,
  kEncodedKey,  // b only. What else stands there has to begin with a letter or a digit.
  kNoLine,      // Nothing on the line is looked at, not even a key.
};

struct MetaVerbSpec {
  std::string_view name;
  MetaVerb verb;
  MetaFlagUse flags = MetaFlagUse::kAll;
  // Which word is <bytes>, the length of the data block that follows; the command word is 0, as is
  // a command without a block.
  std::size_t bytes_word = 0;
  std::string_view modes = {};            // What M may begin with; empty: M is not looked at.
  LineError bad_mode = LineError::kNone;  // The answer to another M.
  LineError bad_flag = LineError::kNone;  // The answer to every bad flag; kNone: its own.
};

inline constexpr std::array kMetaVerbs = {
    // Sorted by name.
    MetaVerbSpec{.name = "explain", .verb = MetaVerb::kExplain, .flags = MetaFlagUse::kEncodedKey},
    MetaVerbSpec{.name = "ma",
                 .verb = MetaVerb::kArithmetic,
                 .modes = "I+D-",
                 .bad_mode = LineError::kBadArithmeticMode,
                 .bad_flag = LineError::kBadArithmeticFlag},
    MetaVerbSpec{.name = "md", .verb = MetaVerb::kDelete},
    MetaVerbSpec{.name = "me", .verb = MetaVerb::kDebug, .flags = MetaFlagUse::kEncodedKey},
    MetaVerbSpec{.name = "mg", .verb = MetaVerb::kGet},
    MetaVerbSpec{.name = "mn", .verb = MetaVerb::kNoop, .flags = MetaFlagUse::kNoLine},
    MetaVerbSpec{.name = "ms",
                 .verb = MetaVerb::kSet,
                 .bytes_word = 2,
                 .modes = "SEAPR",
                 .bad_mode = LineError::kBadSetMode},
};
static_assert(kMetaVerbs.size() == static_cast<std::size_t>(MetaVerb::kLast) + 1);
static_assert(std::ranges::is_sorted(kMetaVerbs, {}, &MetaVerbSpec::name));

// The row of a command word, nullptr if there is none. Case matters.
constexpr const MetaVerbSpec* FindMetaVerb(std::string_view name) noexcept {
  const auto* const row = std::ranges::lower_bound(kMetaVerbs, name, {}, &MetaVerbSpec::name);
  return row != kMetaVerbs.end() && row->name == name ? row : nullptr;
}

}  // namespace larder::protocol
