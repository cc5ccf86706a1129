#include "server/metrics/server_sample.h"

#include "slab/check.h"

namespace larder::server {

std::uint64_t CounterSums::over_classes(slab::ClassStat stat) const {
  std::uint64_t sum = 0;
  for (const ClassValues& of_class : classes) sum += of_class[static_cast<std::size_t>(stat)];
  return sum;
}

void CounterSums::SubtractPrefixes(const CounterSums& earlier) {
  LARDER_ASSERT(prefixes.size() == earlier.prefixes.size());
  // kHits, and whatever follows it, is a counter.
  constexpr auto kFirst = static_cast<std::size_t>(slab::PrefixStat::kHits);
  for (std::size_t row = 0; row < prefixes.size(); ++row) {
    for (std::size_t i = kFirst; i < prefixes[row].size(); ++i) {
      LARDER_ASSERT(prefixes[row][i] >= earlier.prefixes[row][i]);
      prefixes[row][i] -= earlier.prefixes[row][i];
    }
  }
}

void CounterSums::Subtract(const CounterSums& earlier) {
  LARDER_ASSERT(classes.size() == earlier.classes.size());
  LARDER_ASSERT(total_items >= earlier.total_items);
  LARDER_ASSERT(sweep_passes >= earlier.sweep_passes);
  // Only counters are subtracted. A reset does not change what a gauge shows.
  // All of the worker's numbers are counters.
  for (std::size_t i = 0; i < commands.size(); ++i) {
    LARDER_ASSERT(commands[i] >= earlier.commands[i]);
    commands[i] -= earlier.commands[i];
  }
  total_items -= earlier.total_items;
  sweep_passes -= earlier.sweep_passes;
  SubtractPrefixes(earlier);
  for (std::size_t id = 0; id < classes.size(); ++id) {
    // kRequestedBytes, and whatever follows it, is a gauge.
    for (std::size_t i = 0; i < static_cast<std::size_t>(slab::ClassStat::kRequestedBytes); ++i) {
      LARDER_ASSERT(classes[id][i] >= earlier.classes[id][i]);
      classes[id][i] -= earlier.classes[id][i];
    }
  }
}

void ServerSample::AddClass(const slab::ClassSnapshot& snapshot) {
  // The counters that rows of `stats` show; the others of ClassStats are left at 0.
  evictions.evicted += snapshot.stats.evicted;
  evictions.evicted_unfetched += snapshot.stats.evicted_unfetched;
  evictions.evicted_for_page += snapshot.stats.evicted_for_page;
  evictions.reclaimed += snapshot.stats.reclaimed;
  evictions.expired_unfetched += snapshot.stats.expired_unfetched;
  evictions.crawler_reclaimed += snapshot.stats.crawler_reclaimed;
  evictions.crawler_items_checked += snapshot.stats.crawler_items_checked;
  queues.evicted_active += snapshot.queue.evicted_active;
  queues.put_back += snapshot.queue.put_back;
  queues.promoted += snapshot.queue.promoted;
  queues.second_chances += snapshot.queue.second_chances;
}

}  // namespace larder::server
