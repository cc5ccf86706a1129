// `stats detail`: counts by the part of a key before the first delimiter.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "slab/sync/mutex.h"

namespace larder::server {

inline constexpr std::size_t kPrefixesMax = 65536;

// Threads: internally locked. Off by default: only then is a lock shared by all workers in order.
class PrefixStats {
 public:
  explicit PrefixStats(char delimiter) : delimiter_(delimiter) {}

  void CountGet(std::string_view key, bool is_hit) LARDER_EXCLUDES(mutex_);
  void CountSet(std::string_view key) LARDER_EXCLUDES(mutex_);
  void CountDelete(std::string_view key) LARDER_EXCLUDES(mutex_);
  void Clear() LARDER_EXCLUDES(mutex_);

  // `PREFIX <p> get <n> hit <n> set <n> del <n>` lines, in no order, without the final END. Locks
  // for some hundred prefixes at a time.
  std::string Dump() const LARDER_EXCLUDES(mutex_);

 private:
  struct Counts {
    std::uint64_t gets = 0;
    std::uint64_t hits = 0;
    std::uint64_t sets = 0;
    std::uint64_t deletes = 0;
  };
  // Null for a key without a delimiter, for a prefix that no line can hold, and for a new one when
  // there are kPrefixesMax.
  Counts* Find(std::string_view key) LARDER_REQUIRES(mutex_);

  static constexpr std::size_t kBucketsPerLock = 256;

  const char delimiter_;
  mutable Mutex mutex_;
  // Has all its buckets from the first prefix on, so that they stay what they are while Dump() goes
  // through them.
  std::unordered_map<std::string, Counts> counts_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::server
