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

  // Returns `PREFIX <p> get <n> hit <n> set <n> del <n>` lines in no particular order, without the
  // final END. Takes the lock for some hundred prefixes at a time, so the counts are not of one
  // moment.
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

  // How many buckets Dump() prints with the lock held.
  static constexpr std::size_t kBucketsPerLock = 256;

  const char delimiter_;
  mutable Mutex mutex_;
  // All its buckets exist from the first prefix on, so that it never rehashes: Dump() relies on a
  // prefix staying in its bucket.
  std::unordered_map<std::string, Counts> counts_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::server
