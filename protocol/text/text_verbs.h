// The command words of the text protocol: a table with one row for each.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace larder::protocol {

// The command that a line of the text protocol asks for. What each does is defined in
// server/command/.
enum class TextVerb : std::uint8_t {
  kGet,
  kGets,
  kGat,
  kGats,
  kSet,
  kAdd,
  kReplace,
  kAppend,
  kPrepend,
  kCas,
  kDelete,
  kTouch,
  kIncr,
  kDecr,
  kFlushAll,
  kVersion,
  kVerbosity,
  kQuit,
  kShutdown,
  kCacheMemlimit,
  kStats,
  kLru,
  kLruCrawler,
  kSlabs,
  kConfig,
  kRefreshCerts,
  kDrop,
  kWatch,
  kLast = kWatch,
  // Values that are not words of this protocol:
  // A command of the meta protocol; LineRequest::meta_verb says which.
  kMeta,
  // Nothing to execute: the line was refused.
  kNone,
};

// What follows a command word on its line, which determines how the line is parsed.
enum class Shape : std::uint8_t {
  kKeys,            // <key>...
  kExptimeAndKeys,  // <exptime> <key>...
  kValue,           // <key> <flags> <exptime> <bytes>, then a data block
  // <key> <flags> <exptime> <bytes> <cas unique>, then a data block
  kValueAndUnique,
  kKey,              // <key>
  kKeyAlone,         // <key>, and nothing behind it
  kKeyAndExptime,    // <key> <exptime>
  kKeyAndDelta,      // <key> <delta>
  kOptionalExptime,  // [<exptime>]
  // <n>; a missing or bad number makes the line malformed
  kLevel,
  // <n>; a missing or bad number is reported like an unknown command
  kMegabytes,
  // Any text, which the executor of the command parses.
  kArguments,
  // Any text, which the executor parses; behind `set <name> <flags> <bytes>` a data block follows.
  kConfig,
  // The rest of the line is ignored.
  kNothing,
};

// The position on its line of the length of a data block, which is the same for all commands. The
// command word is word 0.
inline constexpr std::size_t kBytesWord = 4;

// One row of the table.
//
// Threads: immutable.
struct TextVerbSpec {
  // The command word.
  std::string_view name;
  TextVerb verb;
  // What follows the word.
  Shape shape;
  // The least number of words, the command word included; a line with fewer is malformed.
  std::size_t tokens_min;
  // A last word `noreply` suppresses the reply.
  bool may_noreply;
  // memcached finds these administrative commands behind leading spaces too.
  bool may_follow_a_space;

  // Returns the position of the word that is the length of the data block behind the line; 0: there
  // is no block. A config line has one if its first word behind the command, `first_word`, is
  // `set`.
  constexpr std::size_t bytes_word(std::string_view first_word) const {
    const bool has_block = shape == Shape::kValue || shape == Shape::kValueAndUnique ||
                           (shape == Shape::kConfig && first_word == "set");
    return has_block ? kBytesWord : 0;
  }
};

inline constexpr std::array kTextVerbs = {
    // name, verb, shape, tokens_min, may_noreply, may_follow_a_space; sorted by name.
    TextVerbSpec{"add", TextVerb::kAdd, Shape::kValue, 5, true, false},
    TextVerbSpec{"append", TextVerb::kAppend, Shape::kValue, 5, true, false},
    TextVerbSpec{"cache_memlimit", TextVerb::kCacheMemlimit, Shape::kMegabytes, 1, true, true},
    TextVerbSpec{"cas", TextVerb::kCas, Shape::kValueAndUnique, 5, true, false},
    TextVerbSpec{"config", TextVerb::kConfig, Shape::kConfig, 3, true, false},
    TextVerbSpec{"decr", TextVerb::kDecr, Shape::kKeyAndDelta, 3, true, false},
    TextVerbSpec{"delete", TextVerb::kDelete, Shape::kKey, 2, true, false},
    TextVerbSpec{"drop", TextVerb::kDrop, Shape::kKeyAlone, 2, true, false},
    TextVerbSpec{"flush_all", TextVerb::kFlushAll, Shape::kOptionalExptime, 1, true, false},
    TextVerbSpec{"gat", TextVerb::kGat, Shape::kExptimeAndKeys, 3, false, false},
    TextVerbSpec{"gats", TextVerb::kGats, Shape::kExptimeAndKeys, 3, false, false},
    TextVerbSpec{"get", TextVerb::kGet, Shape::kKeys, 2, false, false},
    TextVerbSpec{"gets", TextVerb::kGets, Shape::kKeys, 2, false, false},
    TextVerbSpec{"incr", TextVerb::kIncr, Shape::kKeyAndDelta, 3, true, false},
    TextVerbSpec{"lru", TextVerb::kLru, Shape::kArguments, 1, true, true},
    TextVerbSpec{"lru_crawler", TextVerb::kLruCrawler, Shape::kArguments, 1, true, true},
    TextVerbSpec{"prepend", TextVerb::kPrepend, Shape::kValue, 5, true, false},
    TextVerbSpec{"quit", TextVerb::kQuit, Shape::kNothing, 1, false, false},
    TextVerbSpec{"refresh_certs", TextVerb::kRefreshCerts, Shape::kNothing, 1, false, false},
    TextVerbSpec{"replace", TextVerb::kReplace, Shape::kValue, 5, true, false},
    TextVerbSpec{"set", TextVerb::kSet, Shape::kValue, 5, true, false},
    TextVerbSpec{"shutdown", TextVerb::kShutdown, Shape::kArguments, 1, true, false},
    TextVerbSpec{"slabs", TextVerb::kSlabs, Shape::kArguments, 1, true, true},
    TextVerbSpec{"stats", TextVerb::kStats, Shape::kArguments, 1, false, false},
    TextVerbSpec{"touch", TextVerb::kTouch, Shape::kKeyAndExptime, 3, true, false},
    TextVerbSpec{"verbosity", TextVerb::kVerbosity, Shape::kLevel, 2, true, true},
    TextVerbSpec{"version", TextVerb::kVersion, Shape::kNothing, 1, false, false},
    TextVerbSpec{"watch", TextVerb::kWatch, Shape::kArguments, 1, false, false},
};
// Every verb has one row, and FindTextVerb() may search by bisection.
static_assert(kTextVerbs.size() == static_cast<std::size_t>(TextVerb::kLast) + 1);
static_assert(std::ranges::is_sorted(kTextVerbs, {}, &TextVerbSpec::name));
static_assert(std::ranges::all_of(kTextVerbs, [](const TextVerbSpec& row) {
  return std::ranges::count(kTextVerbs, row.verb, &TextVerbSpec::verb) == 1 &&
         std::ranges::count(kTextVerbs, row.name, &TextVerbSpec::name) == 1;
}));
// The line of a command with a data block has the word that is the length of the block.
static_assert(std::ranges::all_of(kTextVerbs, [](const TextVerbSpec& row) {
  return row.tokens_min >= 1 && (row.bytes_word("") == 0 || row.tokens_min > row.bytes_word(""));
}));

// Rows of a table like kTextVerbs: tests parse with tables of their own.
using TextVerbs = std::span<const TextVerbSpec>;

// Returns the row of a command word, or nullptr if there is none. Case matters.
//
// REQUIRES: `rows` are sorted by name.
constexpr const TextVerbSpec* FindTextVerb(std::string_view name,
                                           TextVerbs rows = kTextVerbs) noexcept {
  // The words of this protocol are sorted, see above.
  assert(rows.data() == kTextVerbs.data() || std::ranges::is_sorted(rows, {}, &TextVerbSpec::name));
  const auto row = std::ranges::lower_bound(rows, name, {}, &TextVerbSpec::name);
  return row != rows.end() && row->name == name ? &*row : nullptr;
}

}  // namespace larder::protocol
