// PrefixStats, the counts of `stats detail` by the part of a key before the first delimiter.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "slab/sync/mutex.h"

namespace larder::server {

// The most prefixes that are counted. Clients choose them, so there must be a limit.
inline constexpr std::size_t kPrefixesMax = 65536;

// PrefixStats counts commands by prefix. It is used only while `stats detail` is on, because all
// workers share its lock.
//
// Threads: internally locked.
class PrefixStats {
 public:
  explicit PrefixStats(char delimiter) : delimiter_(delimiter) {}

  // What a retrieval has found.
  enum class Result : std::uint8_t { kHit, kMiss };

  // Count one command for the prefix of `key`. Keys without a countable prefix (see Find) are
  // ignored.
  void CountGet(std::string_view key, Result result) LARDER_EXCLUDES(mutex_);
  void CountSet(std::string_view key) LARDER_EXCLUDES(mutex_);
  void CountDelete(std::string_view key) LARDER_EXCLUDES(mutex_);
  // Forgets all prefixes.
  void Clear() LARDER_EXCLUDES(mutex_);

  // A place in the list of all prefixes.
  //
  // Threads: a value.
  struct Place {
    std::size_t bucket = 0;
    bool is_at_end = false;
  };
  // Appends `PREFIX <p> get <n> hit <n> set <n> del <n>` lines to `text`, for some hundred prefixes
  // behind `place`, in no particular order, and moves `place` behind them. There may be none.
  // REQUIRES: place is not at the end.
  void AppendLines(Place& place, std::string& text) const LARDER_EXCLUDES(mutex_);
  // Returns the lines of all prefixes, without the final END. The lock is released in between, so
  // the counts are not of one moment.
  std::string Dump() const LARDER_EXCLUDES(mutex_);

 private:
  // The counts of one prefix.
  struct Counts {
    std::uint64_t gets = 0;
    std::uint64_t hits = 0;
    std::uint64_t sets = 0;
    std::uint64_t deletes = 0;
  };
  // Returns the counts of the prefix of `key`, which are created if there are none. Returns nullptr
  // for a key without a delimiter, for a prefix that a line cannot contain, and for a new prefix if
  // there are kPrefixesMax already.
  Counts* Find(std::string_view key) LARDER_REQUIRES(mutex_);

  // How many buckets AppendLines() prints with the lock held.
  static constexpr std::size_t kBucketsPerLock = 256;

  const char delimiter_;
  mutable Mutex mutex_;
  // All its buckets exist from the first prefix on, so that it never rehashes: a Place relies on a
  // prefix staying in its bucket.
  std::unordered_map<std::string, Counts> counts_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::server
