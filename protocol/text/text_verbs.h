// The command words of the text protocol, one row each.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace larder::protocol {

// What a line of the text protocol asks for. The meaning of each lives in server/command/.
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
  kLast = kRefreshCerts,
  // Not words of this protocol:
  kMeta,  // A command of the meta protocol.
  kNone,  // Nothing to run: the line was bad.
};

// What stands behind a command word, and so how its line is parsed.
enum class Shape : std::uint8_t {
  kKeys,             // <key>...
  kExptimeAndKeys,   // <exptime> <key>...
  kValue,            // <key> <flags> <exptime> <bytes>, then a data block
  kValueAndUnique,   // the same with <cas unique> at the end
  kKey,              // <key>
  kKeyAndExptime,    // <key> <exptime>
  kKeyAndDelta,      // <key> <delta>
  kOptionalExptime,  // [<exptime>]
  kLevel,            // <n>; missing or bad is a bad line
  kMegabytes,        // <n>; missing or bad is as if the command were unknown
  kArguments,        // Anything, left to who executes it.
  kConfig,           // The same; behind `set <name> <flags> <bytes>` comes a data block.
  kNothing,          // What follows is ignored.
};

// Where the length of a data block stands on its line; the command word is word 0.
inline constexpr std::size_t kBytesWord = 4;

struct TextVerbSpec {
  std::string_view name;
  TextVerb verb;
  Shape shape;
  std::size_t tokens_min;   // The command word included; fewer are a bad line.
  bool may_noreply;         // A last word `noreply` silences it.
  bool may_follow_a_space;  // memcached finds these admin commands behind leading spaces too.

  // The word that is the length of the data block behind the line; 0: there is none. A config has
  // one if its first word is `set`.
  constexpr std::size_t bytes_word(std::string_view first_word) const {
    const bool has_block = shape == Shape::kValue || shape == Shape::kValueAndUnique ||
                           (shape == Shape::kConfig && first_word == "set");
    return has_block ? kBytesWord : 0;
  }
};

inline constexpr std::array kTextVerbs = {
    // Sorted by name.
    TextVerbSpec{"add", TextVerb::kAdd, Shape::kValue, 5, true, false},
    TextVerbSpec{"append", TextVerb::kAppend, Shape::kValue, 5, true, false},
    TextVerbSpec{"cache_memlimit", TextVerb::kCacheMemlimit, Shape::kMegabytes, 1, true, true},
    TextVerbSpec{"cas", TextVerb::kCas, Shape::kValueAndUnique, 5, true, false},
    TextVerbSpec{"config", TextVerb::kConfig, Shape::kConfig, 3, true, false},
    TextVerbSpec{"decr", TextVerb::kDecr, Shape::kKeyAndDelta, 3, true, false},
    TextVerbSpec{"delete", TextVerb::kDelete, Shape::kKey, 2, true, false},
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
};
static_assert(kTextVerbs.size() == static_cast<std::size_t>(TextVerb::kLast) + 1);
static_assert(std::ranges::is_sorted(kTextVerbs, {}, &TextVerbSpec::name));

using TextVerbs = std::span<const TextVerbSpec>;

// The row of a command word, nullptr if there is none. Case matters.
//
// REQUIRES: `rows` are sorted by name.
constexpr const TextVerbSpec* FindTextVerb(std::string_view name,
                                           TextVerbs rows = kTextVerbs) noexcept {
  const auto row = std::ranges::lower_bound(rows, name, {}, &TextVerbSpec::name);
  return row != rows.end() && row->name == name ? &*row : nullptr;
}

}  // namespace larder::protocol
