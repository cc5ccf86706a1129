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

void PrefixStats::AppendLines(Place& place, std::string& text) const {
  LARDER_ASSERT(!place.is_at_end);
  const MutexLock lock(mutex_);
  // Clear() may have been called since the last group of buckets; then there are none.
  const std::size_t end = counts_.empty() ? 0 : counts_.bucket_count();
  for (std::size_t i = 0; i < kBucketsPerLock && place.bucket < end; ++i, ++place.bucket) {
    for (auto at = counts_.begin(place.bucket); at != counts_.end(place.bucket); ++at) {
      const auto& [prefix, counts] = *at;
      fmt::format_to(std::back_inserter(text), "PREFIX {} get {} hit {} set {} del {}\r\n", prefix,
                     counts.gets, counts.hits, counts.sets, counts.deletes);
    }
  }
  place.is_at_end = place.bucket >= end;
}

std::string PrefixStats::Dump() const {
  std::string text;
  for (Place place; !place.is_at_end;) AppendLines(place, text);
  return text;
}

}  // namespace larder::server
