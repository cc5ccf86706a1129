// The command words of the meta protocol: a table with one row for each.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/line_error.h"

namespace larder::protocol {

// The command that a line of the meta protocol asks for. What each does is defined in
// server/command/.
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

// Which flags of its line a command uses.
enum class MetaFlagUse : std::uint8_t {
  // All flags, by the rules of protocol/meta/meta_flags.h.
  kAll,
  // Only b. The other flags need only begin with a letter or a digit.
  kEncodedKey,
  // Nothing on the line is read, not even a key.
  kNoLine,
};

// One row of the table.
//
// Threads: immutable.
struct MetaVerbSpec {
  // The command word.
  std::string_view name;
  MetaVerb verb;
  // The flags that the command uses.
  MetaFlagUse flags = MetaFlagUse::kAll;
  // The position on the line of <bytes>, the length of the data block that follows; the command
  // word is at 0. A value of 0 means that the command has no data block.
  std::size_t bytes_word = 0;
  // The bytes with which the token of M may begin; empty: M is not checked.
  std::string_view modes = {};
  // The error for another M.
  LineError bad_mode = LineError::kNone;
  // The command knows the flag p, which no other does.
  bool takes_prefix = false;
  // The error for every bad flag; kNone: each kind of bad flag has its own error.
  LineError bad_flag = LineError::kNone;
};

inline constexpr std::array kMetaVerbs = {
    // Sorted by name.
    MetaVerbSpec{.name = "explain", .verb = MetaVerb::kExplain, .flags = MetaFlagUse::kEncodedKey},
    MetaVerbSpec{.name = "ma",
                 .verb = MetaVerb::kArithmetic,
                 .modes = "I+D-",
                 .bad_mode = LineError::kBadArithmeticMode,
                 .bad_flag = LineError::kBadArithmeticFlag},
    MetaVerbSpec{.name = "md", .verb = MetaVerb::kDelete, .takes_prefix = true},
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
static_assert(std::ranges::all_of(kMetaVerbs, [](const MetaVerbSpec& row) {
  return std::ranges::count(kMetaVerbs, row.verb, &MetaVerbSpec::verb) == 1 &&
         std::ranges::count(kMetaVerbs, row.name, &MetaVerbSpec::name) == 1;
}));
// A row that names modes has an error for others, and a data block needs flags that are checked.
static_assert(std::ranges::all_of(kMetaVerbs, [](const MetaVerbSpec& row) {
  return row.modes.empty() == (row.bad_mode == LineError::kNone) &&
         (row.bytes_word == 0 || row.flags == MetaFlagUse::kAll);
}));

// Returns the row of a command word, or nullptr if there is none. Case matters.
constexpr const MetaVerbSpec* FindMetaVerb(std::string_view name) noexcept {
  const auto* const row = std::ranges::lower_bound(kMetaVerbs, name, {}, &MetaVerbSpec::name);
  return row != kMetaVerbs.end() && row->name == name ? row : nullptr;
}

}  // namespace larder::protocol
