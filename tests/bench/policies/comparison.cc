#include "tests/bench/policies/comparison.h"

#include <algorithm>
#include <array>

#include "tests/bench/policies/arc.h"
#include "tests/bench/policies/belady.h"
#include "tests/bench/policies/larder_cache.h"
#include "tests/bench/policies/lirs.h"
#include "tests/bench/policies/lru.h"
#include "tests/bench/policies/s3_fifo.h"
#include "tests/bench/policies/sieve.h"
#include "tests/bench/policies/w_tiny_lfu.h"

namespace larder::bench {
namespace {

// Room for key and value in the smallest chunk: with it, Larder wastes as much of a chunk as
// memcached does with values of kValueBytes, and holds as many items.
constexpr std::uint32_t kChunkRoom = 1160;

template <class P>
std::unique_ptr<Policy> Make(std::uint64_t capacity, std::uint64_t /*keys*/) {
  return std::make_unique<P>(capacity);
}
template <Window window>
std::unique_ptr<Policy> MakeWTinyLfu(std::uint64_t capacity, std::uint64_t keys) {
  return std::make_unique<WTinyLfu>(capacity, keys, window);
}

constexpr std::array kPolicyKinds = {
    PolicyKind{"LRU", Make<Lru>},
    PolicyKind{"SIEVE", Make<Sieve>},
    PolicyKind{"S3-FIFO", Make<S3Fifo>},
    PolicyKind{"ARC", Make<Arc>},
    PolicyKind{"LIRS", Make<Lirs>},
    PolicyKind{"W-TinyLFU", MakeWTinyLfu<Window::kFixed>},
    PolicyKind{"W-TinyLFU, climbing", MakeWTinyLfu<Window::kClimbing>},
};

// `size_of`: what a request counts in the policy's unit.
template <class SizeOf>
double MissRatio(std::span<const CacheRequest> requests, Policy& policy, SizeOf size_of) {
  std::uint64_t misses = 0;
  for (const CacheRequest& request : requests) {
    misses += policy.Access(request.key, size_of(request)) ? 0 : 1;
  }
  return static_cast<double>(misses) / static_cast<double>(requests.size());
}

std::uint64_t MeanItemBytes(std::span<const CacheRequest> requests) {
  std::uint64_t bytes = 0;
  for (const CacheRequest& request : requests) bytes += request.item_bytes;
  return bytes / requests.size();
}

double OptimumOf(std::span<const CacheRequest> requests, std::uint64_t capacity) {
  std::vector<Key> keys;
  keys.reserve(requests.size());
  for (const CacheRequest& request : requests) keys.push_back(request.key);
  Belady belady(capacity, keys);
  return MissRatio(requests, belady, [](const CacheRequest&) { return 1u; });
}

}  // namespace

std::span<const PolicyKind> PolicyKinds() { return kPolicyKinds; }

slab::Cache::Options LarderOptions(const WorkloadSpec& spec, std::uint32_t memory_mib) {
  slab::Cache::Options options{.memory_bytes = std::uint64_t{memory_mib} << 20};
  if (!spec.has_sizes) options.chunk_room_min = kChunkRoom;
  return options;
}

double LarderMissRatio(std::span<const CacheRequest> requests,
                       const slab::Cache::Options& options) {
  LarderCache larder(options);
  return MissRatio(requests, larder, [](const CacheRequest& r) { return r.item_bytes; });
}

ComparisonRow Compare(const WorkloadSpec& spec, std::span<const CacheRequest> requests,
                      std::uint32_t memory_mib) {
  LARDER_ASSERT(!requests.empty());
  const slab::Cache::Options options = LarderOptions(spec, memory_mib);
  ComparisonRow row;
  row.larder = LarderMissRatio(requests, options);
  row.capacity = spec.has_sizes ? options.memory_bytes
                                : CountItemsOf(options, LarderCache::kHeadBytes + kValueBytes);
  const std::uint64_t keys = spec.has_sizes ? row.capacity / MeanItemBytes(requests) : row.capacity;
  for (const PolicyKind& kind : kPolicyKinds) {
    row.others.push_back(MissRatio(
        requests, *kind.make(row.capacity, keys),
        [&](const CacheRequest& request) { return spec.has_sizes ? request.item_bytes : 1u; }));
  }
  if (!spec.has_sizes) row.optimum = OptimumOf(requests, row.capacity);
  return row;
}

}  // namespace larder::bench
