#include "slab/engine/engine.h"

#include <cstddef>
#include <utility>

namespace larder::slab {
namespace {

// The size of the items that prefaulting prepares the index for: a 20 B key with a 100 B value.
constexpr std::size_t kPrefaultItemBytes = 144;
// The share of the memory limit that the removal records take.
constexpr std::uint64_t kRemovalRecordsPercent = 1;

// The most bytes that the arena can ever have.
std::uint64_t CapacityBytes(const Arena& arena) {
  return std::uint64_t{arena.capacity_pages()} << kPageShift;
}

}  // namespace

Result<Foundation, std::string> Foundation::Make(const CacheOptions& options,
                                                 std::unique_ptr<MemoryFile> memory_file) {
  // The order matters: the index needs the smallest chunk size, which depends on the unit of the
  // arena.
  auto arena = Arena::Create({.limit_bytes = options.memory_bytes,
                              .lock_memory = options.lock_memory,
                              .prefault = options.prefault,
                              .file = memory_file.get()});
  if (!arena) return Failure{arena.error()};
  SizeLadder ladder({.chunk_bytes_min = sizeof(Item) + options.chunk_room_min,
                     .growth_factor = options.growth_factor.value_or(kGrowthFactorDefault),
                     .has_fine_steps = !options.growth_factor.has_value(),
                     .unit_bytes = (*arena)->unit_bytes()});
  auto index = Index::Create(CapacityBytes(**arena) / ladder.chunk_bytes(1));
  if (!index) return Failure{index.error()};
  if (options.prefault) (*index)->PrefaultFor(options.memory_bytes / kPrefaultItemBytes);
  PageTable page_table((*arena)->capacity_pages());
  if (!page_table.ok()) return Failure{std::string("cannot reserve memory for the page table")};
  return Foundation{.memory_file = std::move(memory_file),
                    .arena = std::move(*arena),
                    .index = std::move(*index),
                    .ladder = std::move(ladder),
                    .page_table = std::move(page_table)};
}

Engine::Engine(const CacheOptions& options, Foundation foundation)
    // In the order of the members: a part is made after those that it uses.
    : hash(options.hash_seed),
      pause(options.pause),
      memory_file(std::move(foundation.memory_file)),
      arena(std::move(foundation.arena)),
      index(std::move(foundation.index)),
      classes(*arena, std::move(foundation.ladder), std::move(foundation.page_table)),
      admission(options.item_bytes_max, options.forbidden_key, hash),
      lanes({.item_bytes_tracked =
                 options.track_sizes ? options.item_bytes_max + Item::kExpiryBytes : 0,
             .counts_prefixes = options.count_prefixes}),
      drops(versions, options.drops_max, options.hash_seed),
      prefixes(classes, {.delimiter = options.prefix_delimiter,
                         .seed = options.hash_seed,
                         .shares = options.prefix_shares}),
      liveness(versions, drops, lanes, prefixes),
      removal_records(options.memory_bytes / 100 * kRemovalRecordsPercent,
                      CapacityBytes(*arena) / 100 * kRemovalRecordsPercent),
      pins(classes),
      magazines(classes, *index),
      usage(classes, magazines, options.eviction),
      unlinker({.classes = classes,
                .index = *index,
                .liveness = liveness,
                .versions = versions,
                .records = removal_records,
                .hash = hash}),
      drop_purge({.index = *index,
                  .classes = classes,
                  .liveness = liveness,
                  .unlinker = unlinker,
                  .drops = drops,
                  .hash = hash}),
      lookup(*index, classes, liveness, unlinker),
      opening(classes, options.evict),
      allocator({.classes = classes,
                 .opening = opening,
                 .index = *index,
                 .magazines = magazines,
                 .liveness = liveness,
                 .unlinker = unlinker,
                 .prefixes = prefixes,
                 .pause = pause,
                 .hash = hash,
                 .evicts = options.evict}),
      page_mover({.classes = classes,
                  .lanes = lanes,
                  .allocator = allocator,
                  .pause = pause,
                  .counters = page_move_counters,
                  .evacuator = PageEvacuator({.classes = classes,
                                              .index = *index,
                                              .magazines = magazines,
                                              .liveness = liveness,
                                              .unlinker = unlinker,
                                              .allocator = allocator,
                                              .pause = pause,
                                              .hash = hash,
                                              .counters = page_move_counters})},
                 options.page_moves),
      miss_review({.index = *index,
                   .classes = classes,
                   .magazines = magazines,
                   .lanes = lanes,
                   .hash = hash}),
      reserver(classes, opening, allocator, page_mover),
      miss_ratios({.classes = classes,
                   .lanes = lanes,
                   .usage = usage,
                   .versions = versions,
                   .reserver = reserver,
                   .index = *index,
                   .lookup = lookup,
                   .liveness = liveness,
                   .hash = hash},
                  options.estimate_miss_ratios),
      linker(classes, liveness),
      growth({.index = *index,
              .classes = classes,
              .admission = admission,
              .versions = versions,
              .liveness = liveness,
              .pins = pins,
              .unlinker = unlinker,
              .lookup = lookup,
              .linker = linker,
              .usage = usage,
              .reserver = reserver}),
      deleter(*index, classes, lookup, unlinker, removal_records),
      storer({.index = *index,
              .classes = classes,
              .admission = admission,
              .versions = versions,
              .liveness = liveness,
              .unlinker = unlinker,
              .lookup = lookup,
              .linker = linker,
              .usage = usage,
              .allocator = allocator,
              .reserver = reserver,
              .growth = growth,
              .deleter = deleter}),
      walker({.classes = classes,
              .index = *index,
              .magazines = magazines,
              .liveness = liveness,
              .unlinker = unlinker,
              .pause = pause,
              .hash = hash}),
      census({.index = *index,
              .classes = classes,
              .magazines = magazines,
              .versions = versions,
              .liveness = liveness,
              .lanes = lanes,
              .lookup = lookup,
              .records = removal_records,
              .drops = drops,
              .prefixes = prefixes,
              .hash = hash,
              .is_on_file = memory_file != nullptr}),
      warmer_(options.prefault ? nullptr : std::make_unique<MemoryWarmer>(Growing())) {}

std::vector<GrowingMemory*> Engine::Growing() {
  std::vector<GrowingMemory*> growing = {&index->growing_buckets(), &index->growing_overflow()};
  // Memory of a file is in the file system from the start. What was given back shall stay so.
  if (memory_file == nullptr) growing.push_back(&arena->growing());
  return growing;
}

bool Engine::SetMemoryLimit(std::uint64_t bytes) {
  // The removal records are a share of the limit, so both change together.
  const MutexLock lock(limit_mutex_);
  if (!arena->SetLimit(bytes)) return false;
  removal_records.Resize(bytes / 100 * kRemovalRecordsPercent);
  storer.NoteMemoryLimit();
  return true;
}

}  // namespace larder::slab
