// larder_micro: the parser and the cache in process, without a socket.
//
// The benchmarks follow the server's way with a batch: hash and prefetch the bucket of every key,
// prefetch every item, then visit them in order. Names end in the number of items; memory is what
// costs, so the same code gets slower with more of them.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "protocol/text/text_parser.h"
#include "slab/cache.h"
#include "tests/bench/clock.h"
#include "tests/bench/histogram.h"
#include "tests/bench/key_format.h"
#include "tests/bench/random.h"

namespace larder::bench {
namespace {

using slab::Cache;
using slab::Lane;

constexpr std::size_t kKeyBytes = 20;
constexpr std::size_t kValueBytes = 100;
constexpr std::size_t kBatch = 32;
constexpr std::uint32_t kNowS = 1000;

// Enough draws that a pass over them touches more items than any CPU cache holds.
constexpr std::size_t kDraws = 1 << 20;

constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;

// Room for `items` with some to spare.
std::uint64_t MemoryFor(std::uint64_t items) { return items * 200 + 64 * kMegabyte; }

std::string KeyText(std::uint64_t number) {
  std::string text(kKeyBytes, ' ');
  KeyFormat(kKeyBytes).Write(number, text.data());
  return text;
}

enum class Memory : bool { kAsNeeded, kAtStart };  // kAtStart: as the server's -L.

std::unique_ptr<Cache> NewCache(std::uint64_t memory_bytes, Memory memory = Memory::kAsNeeded) {
  Cache::Options options;
  options.memory_bytes = memory_bytes;
  options.prefault = memory == Memory::kAtStart;
  auto cache = Cache::Create(options);
  if (cache) return std::move(*cache);
  fmt::print(stderr, "larder_micro: {}\n", cache.error());
  std::exit(1);
}

Lane& NewLane(Cache& cache) {
  Lane& lane = cache.AddLane();
  lane.now_s = kNowS;
  return lane;
}

slab::StoreStatus Set(Cache& cache, Lane& lane, std::string_view key, std::string_view value) {
  const slab::HashedKey hashed{.bytes = key, .hash = cache.Hash(key)};
  const slab::ItemSpec spec{.key = hashed, .value_bytes = static_cast<std::uint32_t>(value.size())};
  return cache.Store(slab::StoreMode::kSet, spec, value, 0, lane).status;
}

// A cache that holds keys 0 .. items - 1; the one with that number of items is kept for the next
// benchmark, and another one replaced, for 10 million take seconds to store.
Cache& LoadedCache(std::uint64_t items) {
  static std::mutex mutex;
  static std::unique_ptr<Cache> cache;
  static std::uint64_t items_held = 0;
  const std::lock_guard lock(mutex);
  if (items_held == items) return *cache;
  cache.reset();
  cache = NewCache(MemoryFor(items));
  Lane& lane = NewLane(*cache);
  const std::string value(kValueBytes, 'v');
  for (std::uint64_t number = 0; number < items; ++number) {
    Set(*cache, lane, KeyText(number), value);
  }
  items_held = items;
  return *cache;
}

// Random keys of 0 .. items - 1, one after the other in memory, as a batch of requests has them.
class DrawnKeys {
 public:
  DrawnKeys(std::uint64_t items, std::uint64_t seed) : text_(kDraws * kKeyBytes, ' ') {
    Random random(seed);
    for (std::size_t i = 0; i < kDraws; ++i) {
      KeyFormat(kKeyBytes).Write(random.Below(static_cast<std::uint32_t>(items)),
                                 &text_[i * kKeyBytes]);
    }
  }

  std::string_view Next() {
    next_ = next_ + 1 < kDraws ? next_ + 1 : 0;
    return {&text_[next_ * kKeyBytes], kKeyBytes};
  }

 private:
  std::string text_;
  std::size_t next_ = 0;
};

void ParsePipeline(benchmark::State& state, const std::string& request) {
  constexpr int kRequests = 100;
  std::string input;
  for (int i = 0; i < kRequests; ++i) input += request;
  const std::size_t bytes = input.size();
  input.append(protocol::kInputSlackBytes, '\0');
  for (auto _ : state) {
    std::string_view unread(input.data(), bytes);
    protocol::KeyList list;
    protocol::LineRequest parsed;
    while (!unread.empty()) {
      const protocol::ParseResult result = protocol::ParseText(unread, list, parsed);
      if (result.status != protocol::ParseStatus::kComplete) {
        state.SkipWithError("the parser refused a request");
        return;
      }
      benchmark::DoNotOptimize(parsed);
      unread.remove_prefix(result.consumed_bytes);
    }
  }
  state.SetItemsProcessed(state.iterations() * kRequests);
}

void ParseGet(benchmark::State& state) {
  ParsePipeline(state, fmt::format("get {}\r\n", KeyText(123)));
}

void ParseMultiget(benchmark::State& state) {
  std::string keys;
  for (std::uint64_t number = 0; number < 50; ++number) keys += fmt::format(" {}", KeyText(number));
  ParsePipeline(state, fmt::format("get{}\r\n", keys));
  state.SetItemsProcessed(state.items_processed() * 50);
}

void ParseSet(benchmark::State& state) {
  ParsePipeline(state, fmt::format("set {} 0 0 {}\r\n{}\r\n", KeyText(123), kValueBytes,
                                   std::string(kValueBytes, 'v')));
}

// The keys of one of several threads, which take them in turn.
class NewKeys {
 public:
  NewKeys(const std::string& text, std::size_t part, std::size_t parts)
      : text_(text), next_(part), step_(parts) {}

  std::string_view Next() {
    const std::string_view key(&text_[next_ * kKeyBytes], kKeyBytes);
    next_ += step_;
    return key;
  }

 private:
  const std::string& text_;
  std::size_t next_;
  std::size_t step_;
};

// Draws and hashes a batch of keys, and has their buckets and items prefetched, as a server does.
template <class Keys>
void HashAndPrefetch(const Cache& cache, Keys& keys, std::array<slab::HashedKey, kBatch>& batch) {
  std::array<std::uint64_t, kBatch> hashes;
  for (std::size_t i = 0; i < kBatch; ++i) {
    batch[i].bytes = keys.Next();
    batch[i].hash = hashes[i] = cache.Hash(batch[i].bytes);
    cache.PrefetchBucket(hashes[i]);
  }
  cache.PrefetchItems(hashes);
}

void FindAndCopy(benchmark::State& state) {
  const auto items = static_cast<std::uint64_t>(state.range(0));
  Cache& cache = LoadedCache(items);
  Lane& lane = NewLane(cache);
  DrawnKeys keys(items, static_cast<std::uint64_t>(state.thread_index()) + 1);
  std::array<slab::HashedKey, kBatch> batch;
  std::array<std::byte, kBatch * kValueBytes> output;
  std::int64_t misses = 0;
  for (auto _ : state) {
    HashAndPrefetch(cache, keys, batch);
    std::byte* out = output.data();
    for (const slab::HashedKey& key : batch) {
      const slab::Presence presence = cache.Visit(key, lane, [&](slab::Item& item) {
        cache.MarkAccess(item, cache.ClassOf(item), lane);
        const auto value = cache.Value(item).piece();
        std::copy(value.begin(), value.end(), out);
        out += value.size();
      });
      if (presence != slab::Presence::kHit) ++misses;
    }
    benchmark::DoNotOptimize(output);
  }
  if (misses != 0) state.SkipWithError("a key was missing");
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}

// Overwrites random keys. All values are of one size: every thread stores into one class.
void Store(benchmark::State& state) {
  const auto items = static_cast<std::uint64_t>(state.range(0));
  Cache& cache = LoadedCache(items);
  Lane& lane = NewLane(cache);
  DrawnKeys keys(items, static_cast<std::uint64_t>(state.thread_index()) + 100);
  const std::string value(kValueBytes, 'w');
  std::array<slab::HashedKey, kBatch> batch;
  std::int64_t failures = 0;
  for (auto _ : state) {
    HashAndPrefetch(cache, keys, batch);
    for (const slab::HashedKey& key : batch) {
      const slab::ItemSpec spec{.key = key, .value_bytes = kValueBytes};
      const auto outcome = cache.Store(slab::StoreMode::kSet, spec, value, 0, lane);
      if (outcome.status != slab::StoreStatus::kStored) ++failures;
    }
  }
  if (failures != 0) state.SkipWithError("a store failed");
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}

// Keeps the calling thread on one of the machine's cores.
void KeepOnCore(std::size_t number) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(number % std::thread::hardware_concurrency(), &cores);
  pthread_setaffinity_np(pthread_self(), sizeof cores, &cores);
}

// Where new keys find room.
struct Room {
  std::uint64_t memory_bytes = 0;
  std::uint64_t keys_before = 0;
};
const Room kFreeMemory{.memory_bytes = MemoryFor(1'000'000), .keys_before = 400'000};
// 64 MB hold fewer than 500,000 such items, so that each store evicts one.
const Room kFullMemory{.memory_bytes = 512 * kMegabyte, .keys_before = 4'000'000};

// What the threads of StoreNew share. Nothing that changes is in the cache lines that they read.
struct NewStores {
  static constexpr std::uint64_t kCount = 512'000;

  Cache& cache;
  const std::string& keys;
  const std::string value = std::string(kValueBytes, 'v');
  const std::size_t threads;
  alignas(128) std::atomic<std::size_t> ready{0};
  std::atomic<std::size_t> failures{0};
  std::atomic<std::int64_t> first_ns{0};

  // One thread's part, which begins when all threads are there.
  void StorePart(std::size_t part) {
    Lane& lane = NewLane(cache);
    ++ready;
    while (ready < threads) continue;
    std::int64_t unset = 0;
    first_ns.compare_exchange_strong(unset, NowNs());
    NewKeys own_keys(keys, part, threads);
    std::array<slab::HashedKey, kBatch> batch;
    for (std::uint64_t stores = 0; stores < kCount / threads; stores += kBatch) {
      HashAndPrefetch(cache, own_keys, batch);
      for (const slab::HashedKey& key : batch) {
        const slab::ItemSpec spec{.key = key, .value_bytes = kValueBytes};
        const auto outcome = cache.Store(slab::StoreMode::kSet, spec, value, 0, lane);
        if (outcome.status != slab::StoreStatus::kStored) ++failures;
      }
    }
  }
};

// Stores keys that are new; all of one size, so that every thread stores into one class. Each
// thread has a core of its own: a second thread that begins on the core of the first is moved away
// only after a part of these milliseconds.
void StoreNew(benchmark::State& state, const Room& room, std::size_t threads) {
  for (auto _ : state) {
    const std::unique_ptr<Cache> cache = NewCache(room.memory_bytes, Memory::kAtStart);
    Lane& lane = NewLane(*cache);
    const std::string value(kValueBytes, 'v');
    for (std::uint64_t number = 0; number < room.keys_before; ++number) {
      Set(*cache, lane, KeyText(number), value);
    }
    std::string keys;
    for (std::uint64_t i = 0; i < NewStores::kCount; ++i) keys += KeyText(room.keys_before + i);

    NewStores stores{.cache = *cache, .keys = keys, .threads = threads};
    std::vector<std::thread> parts;
    for (std::size_t part = 0; part < threads; ++part) {
      parts.emplace_back([&stores, part] {
        KeepOnCore(part);
        stores.StorePart(part);
      });
    }
    for (std::thread& thread : parts) thread.join();
    state.SetIterationTime(static_cast<double>(NowNs() - stores.first_ns) / kSecondNs);
    if (stores.failures != 0) return state.SkipWithError("a store failed");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(NewStores::kCount));
}

// What the kernel knows of this thread.
struct ThreadUse {
  std::int64_t cpu_ns = 0;
  std::int64_t page_faults = 0;
  std::int64_t waits = 0;  // Gave the CPU away by itself, as for a mutex.

  static ThreadUse Now() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    timespec cpu{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    return {.cpu_ns = cpu.tv_sec * kSecondNs + cpu.tv_nsec,
            .page_faults = usage.ru_minflt + usage.ru_majflt,
            .waits = usage.ru_nvcsw};
  }
};

// The longest first touch of a huge page, over a gigabyte: what this machine charges for memory,
// whoever asks. A virtual machine whose host has to find the memory first may take 5 ms.
std::int64_t LongestPageTouchNs() {
  constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;
  constexpr std::size_t kBytes = std::size_t{1} << 30;
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 0;
  madvise(memory, kBytes, MADV_HUGEPAGE);
  std::int64_t longest_ns = 0;
  for (std::size_t at = 0; at < kBytes; at += kHugePageBytes) {
    const std::int64_t before_ns = NowNs();
    static_cast<volatile char*>(memory)[at] = 1;
    longest_ns = std::max(longest_ns, NowNs() - before_ns);
  }
  munmap(memory, kBytes);
  return longest_ns;
}

// The time of every single store while a cache grows from empty: does anything ever stop to
// rehash?
//
// max_us is by the clock, and so contains what a busy machine or its host gave to others, and the
// kernel's time to find memory; page_touch_max_us is what the latter takes without a cache. own_*
// is the store's own: only stores without a page fault, their CPU time, or the clock's if they had
// to wait for somebody.
void GrowFromEmpty(benchmark::State& state, Memory memory) {
  const auto items = static_cast<std::uint64_t>(state.range(0));
  const std::string value(kValueBytes, 'v');
  const auto all_ns = std::make_unique<Histogram>();
  const auto own_ns = std::make_unique<Histogram>();
  const std::int64_t page_touch_max_ns = LongestPageTouchNs();
  for (auto _ : state) {
    const std::unique_ptr<Cache> cache = NewCache(MemoryFor(items), memory);
    Lane& lane = NewLane(*cache);
    for (std::uint64_t number = 0; number < items; ++number) {
      const std::string key = KeyText(number);
      const ThreadUse before = ThreadUse::Now();
      const std::int64_t before_ns = NowNs();
      const auto status = Set(*cache, lane, key, value);
      const std::int64_t store_ns = NowNs() - before_ns;
      const ThreadUse after = ThreadUse::Now();
      if (status != slab::StoreStatus::kStored) return state.SkipWithError("a store failed");
      all_ns->Record(static_cast<std::uint64_t>(store_ns));
      if (after.page_faults != before.page_faults) continue;
      const bool has_waited = after.waits != before.waits;
      const std::int64_t store_cpu_ns = after.cpu_ns - before.cpu_ns;
      own_ns->Record(static_cast<std::uint64_t>(has_waited ? store_ns : store_cpu_ns));
    }
  }
  const auto microseconds = [](std::uint64_t ns) { return static_cast<double>(ns) / 1000; };
  state.counters["max_us"] = microseconds(all_ns->max());
  state.counters["p99.99_us"] = microseconds(all_ns->Percentile(99.99));
  state.counters["own_max_us"] = microseconds(own_ns->max());
  state.counters["own_p99.99_us"] = microseconds(own_ns->Percentile(99.99));
  state.counters["page_touch_max_us"] = microseconds(static_cast<std::uint64_t>(page_touch_max_ns));
}

void RegisterAll() {
  benchmark::RegisterBenchmark("parse_get", ParseGet);
  benchmark::RegisterBenchmark("parse_multiget_50", ParseMultiget);
  benchmark::RegisterBenchmark("parse_set", ParseSet);
  for (const std::int64_t items : {100'000, 1'000'000, 10'000'000}) {
    for (const int threads : {1, 2}) {
      benchmark::RegisterBenchmark("find_and_copy", FindAndCopy)
          ->Arg(items)
          ->Threads(threads)
          ->UseRealTime();
      benchmark::RegisterBenchmark("store", Store)->Arg(items)->Threads(threads)->UseRealTime();
    }
  }
  for (const std::size_t threads : {1U, 2U}) {
    const auto add = [threads](const char* name, const Room& room) {
      const auto run = [&room, threads](benchmark::State& state) {
        StoreNew(state, room, threads);
      };
      benchmark::RegisterBenchmark(fmt::format("{}/threads:{}", name, threads).c_str(), run)
          ->UseManualTime()
          ->Iterations(5);
    };
    add("store_into_free_memory", kFreeMemory);
    add("store_evicting", kFullMemory);
  }
  for (const Memory memory : {Memory::kAsNeeded, Memory::kAtStart}) {
    const bool is_early = memory == Memory::kAtStart;
    benchmark::RegisterBenchmark(
        is_early ? "grow_from_empty_memory_at_start" : "grow_from_empty",
        [memory](benchmark::State& state) { GrowFromEmpty(state, memory); })
        ->Arg(10'000'000)
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  }
}

}  // namespace
}  // namespace larder::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  larder::bench::RegisterAll();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
