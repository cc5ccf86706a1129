// The command words of the text protocol, one row each.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/request.h"

namespace larder::protocol {

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
  kMeta,             // <key> [<bytes>] [<flag>...], see meta_parser.h
  kNothing,          // What follows is ignored.
};

struct VerbSpec {
  std::string_view name;
  Verb verb;
  Shape shape;
  std::size_t tokens_min;   // The command word included; fewer are a bad line.
  bool may_noreply;         // A last word `noreply` silences it.
  bool may_follow_a_space;  // memcached finds these admin commands behind leading spaces too.
};

inline constexpr std::array kVerbs = {
    // Sorted by name.
    VerbSpec{"add", Verb::kAdd, Shape::kValue, 5, true, false},
    VerbSpec{"append", Verb::kAppend, Shape::kValue, 5, true, false},
    VerbSpec{"cache_memlimit", Verb::kCacheMemlimit, Shape::kMegabytes, 1, true, true},
    VerbSpec{"cas", Verb::kCas, Shape::kValueAndUnique, 5, true, false},
    VerbSpec{"config", Verb::kConfig, Shape::kConfig, 3, true, false},
    VerbSpec{"decr", Verb::kDecr, Shape::kKeyAndDelta, 3, true, false},
    VerbSpec{"delete", Verb::kDelete, Shape::kKey, 2, true, false},
    VerbSpec{"explain", Verb::kExplain, Shape::kMeta, 2, false, false},
    VerbSpec{"flush_all", Verb::kFlushAll, Shape::kOptionalExptime, 1, true, false},
    VerbSpec{"gat", Verb::kGat, Shape::kExptimeAndKeys, 3, false, false},
    VerbSpec{"gats", Verb::kGats, Shape::kExptimeAndKeys, 3, false, false},
    VerbSpec{"get", Verb::kGet, Shape::kKeys, 2, false, false},
    VerbSpec{"gets", Verb::kGets, Shape::kKeys, 2, false, false},
    VerbSpec{"incr", Verb::kIncr, Shape::kKeyAndDelta, 3, true, false},
    VerbSpec{"lru", Verb::kLru, Shape::kArguments, 1, true, true},
    VerbSpec{"lru_crawler", Verb::kLruCrawler, Shape::kArguments, 1, true, true},
    VerbSpec{"ma", Verb::kMa, Shape::kMeta, 2, false, false},
    VerbSpec{"md", Verb::kMd, Shape::kMeta, 2, false, false},
    VerbSpec{"me", Verb::kMe, Shape::kMeta, 2, false, false},
    VerbSpec{"mg", Verb::kMg, Shape::kMeta, 2, false, false},
    VerbSpec{"mn", Verb::kMn, Shape::kNothing, 1, false, false},
    VerbSpec{"ms", Verb::kMs, Shape::kMeta, 2, false, false},
    VerbSpec{"prepend", Verb::kPrepend, Shape::kValue, 5, true, false},
    VerbSpec{"quit", Verb::kQuit, Shape::kNothing, 1, false, false},
    VerbSpec{"replace", Verb::kReplace, Shape::kValue, 5, true, false},
    VerbSpec{"set", Verb::kSet, Shape::kValue, 5, true, false},
    VerbSpec{"shutdown", Verb::kShutdown, Shape::kArguments, 1, true, false},
    VerbSpec{"slabs", Verb::kSlabs, Shape::kArguments, 1, true, true},
    VerbSpec{"stats", Verb::kStats, Shape::kArguments, 1, false, false},
    VerbSpec{"touch", Verb::kTouch, Shape::kKeyAndExptime, 3, true, false},
    VerbSpec{"verbosity", Verb::kVerbosity, Shape::kLevel, 2, true, true},
    VerbSpec{"version", Verb::kVersion, Shape::kNothing, 1, false, false},
};
// kError is no command, and what comes behind it none of the text protocol.
static_assert(kVerbs.size() == static_cast<std::size_t>(Verb::kError));
static_assert(std::ranges::is_sorted(kVerbs, {}, &VerbSpec::name));

// The row of a command word, nullptr if there is none. Case matters.
inline const VerbSpec* FindVerb(std::string_view name) noexcept {
  const auto* const row = std::ranges::lower_bound(kVerbs, name, {}, &VerbSpec::name);
  return row != kVerbs.end() && row->name == name ? row : nullptr;
}

}  // namespace larder::protocol
