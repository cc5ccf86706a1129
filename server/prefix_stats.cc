#include "server/prefix_stats.h"

#include <fmt/format.h>

#include <iterator>

#include "protocol/meta/meta_reply.h"
#include "slab/check.h"

namespace larder::server {

PrefixStats::Counts* PrefixStats::Find(std::string_view key) {
  // The prefix ends before the first delimiter; it may be empty.
  const std::size_t end = key.find(delimiter_);
  if (end == std::string_view::npos) return nullptr;
  const std::string prefix(key.substr(0, end));
  // Such a prefix could contain line ends, and its line would look like several lines.
  if (!protocol::IsTextKey(prefix)) return nullptr;
  const auto found = counts_.find(prefix);
  if (found != counts_.end()) return &found->second;
  // Keys with further prefixes are not counted.
  if (counts_.size() >= kPrefixesMax) return nullptr;
  // All buckets at once, at the first prefix: see counts_.
  if (counts_.empty()) counts_.reserve(kPrefixesMax);
  // Without room for all prefixes, the table would rehash.
  LARDER_ASSERT(static_cast<double>(counts_.bucket_count()) * counts_.max_load_factor() >=
                kPrefixesMax);
  return &counts_[prefix];
}

void PrefixStats::CountGet(std::string_view key, Result result) {
  const MutexLock lock(mutex_);
  if (Counts* counts = Find(key)) {
    ++counts->gets;
    if (result == Result::kHit) ++counts->hits;
    LARDER_ASSERT(counts->hits <= counts->gets);
  }
}

void PrefixStats::CountSet(std::string_view key) {
  const MutexLock lock(mutex_);
  if (Counts* counts = Find(key)) ++counts->sets;
}

void PrefixStats::CountDelete(std::string_view key) {
  const MutexLock lock(mutex_);
  if (Counts* counts = Find(key)) ++counts->deletes;
}

void PrefixStats::Clear() {
  const MutexLock lock(mutex_);
  counts_.clear();
}

std::string PrefixStats::Dump() const {
  // The lock is released between groups of buckets, so that the workers can go on counting.
  std::string text;
  for (std::size_t bucket = 0, end = 1; bucket < end;) {
    const MutexLock lock(mutex_);
    // Clear() may have been called since the last group of buckets.
    if (counts_.empty()) break;
    end = counts_.bucket_count();
    for (std::size_t i = 0; i < kBucketsPerLock && bucket < end; ++i, ++bucket) {
      for (auto at = counts_.begin(bucket); at != counts_.end(bucket); ++at) {
        const auto& [prefix, counts] = *at;
        fmt::format_to(std::back_inserter(text), "PREFIX {} get {} hit {} set {} del {}\r\n",
                       prefix, counts.gets, counts.hits, counts.sets, counts.deletes);
      }
    }
  }
  return text;
}

}  // namespace larder::server
