#include "server/metrics/class_metrics.h"

#include <array>

#include "slab/check.h"

namespace larder::server {
namespace {

using slab::ClassSnapshot;
using slab::ClassStat;
using slab::ClassStats;
using slab::QueueStats;
using ClassRow = Metric<ClassSample>;
using enum MetricKind;

// --- Getters -----------------------------------------------------------------------------------
//
// Each prints one number of a sample; the template argument names the number.

// A member of the class's snapshot.
template <auto kMember>
std::string Class(const ClassSample& sample) {
  return Value<kMember>(sample.snapshot);
}
// A counter of events in the class.
template <auto kMember>
std::string Counted(const ClassSample& sample) {
  return ValueText(sample.snapshot.stats.*kMember);
}
// A counter of the class's eviction queue.
template <auto kMember>
std::string Queue(const ClassSample& sample) {
  return ValueText(sample.snapshot.queue.*kMember);
}
// A counter that the lanes keep by class.
template <ClassStat kStat>
std::string Sum(const ClassSample& sample) {
  return ValueText(sample.sums[static_cast<std::size_t>(kStat)]);
}

// The age of the oldest item of the main segment, or of the probation segment if the main segment
// is empty.
std::string OldestAge(const ClassSample& sample) {
  const ClassSnapshot& snapshot = sample.snapshot;
  return ValueText(snapshot.main_items != 0 ? snapshot.main_age_s : snapshot.probation_age_s);
}
// Items that were removed to make room for a store: evicted ones and expired ones.
std::string DirectReclaims(const ClassSample& sample) {
  return ValueText(sample.snapshot.stats.evicted + sample.snapshot.stats.reclaimed);
}
// All chunks of a class, used or free.
std::uint64_t Chunks(const ClassSnapshot& snapshot) {
  return std::uint64_t{snapshot.pages} * snapshot.chunks_per_page;
}
std::string AllChunks(const ClassSample& sample) { return ValueText(Chunks(sample.snapshot)); }
// All chunks that are not in use, wherever they are kept.
std::string FreeChunks(const ClassSample& sample) {
  LARDER_ASSERT(sample.snapshot.used_chunks <= Chunks(sample.snapshot));
  return ValueText(Chunks(sample.snapshot) - sample.snapshot.used_chunks);
}
// Pages are counted as a whole, with the unused ends behind their last chunk.
std::string TotalBytes(const SlabTotals& totals) {
  return ValueText(totals.pages * slab::kPageBytes);
}

// Conditions of rows: the eviction policy has segments; the descriptor is a client's.
bool IsSegmented(const ClassSample& sample) { return sample.is_segmented; }
bool IsClient(const ConnectionSample& sample) { return !sample.is_listener; }
bool IsEncrypted(const ConnectionSample& sample) { return !sample.tls.empty(); }

// --- Families ----------------------------------------------------------------------------------
//
// All rows of this file that are per class have the label `slab` besides those below.

// Three families whose rows differ in one or two labels.
constexpr MetricFamily Evictions(std::string_view segment) {
  return {"larder_evictions_total", {{{"segment", segment}}}};
}
constexpr MetricFamily GhostHits(std::string_view segment) {
  return {"larder_ghost_hits_total", {{{"segment", segment}}}};
}
constexpr MetricFamily SlabCommand(std::string_view command, std::string_view status) {
  return {"memcached_slab_commands_total", {{{"command", command}, {"status", status}}}};
}

constexpr auto kItemsRows = std::to_array<ClassRow>({
    // name, kind, getter, help, family, condition; in memcached's order.
    // Items. memcached's segments are mapped to those of this server: hot is probation, cold is
    // main, and there is no warm one.
    {"number",
     kGauge,
     Class<&ClassSnapshot::items>,
     "Items in the class.",
     {"memcached_slab_current_items"}},
    {"number_hot",
     kGauge,
     Class<&ClassSnapshot::probation_items>,
     "Items in the probation segment.",
     {"memcached_slab_hot_items"},
     IsSegmented},
    {"number_warm",
     kGauge,
     Always<0>,
     "Always 0: there is no such segment.",
     {"memcached_slab_warm_items"},
     IsSegmented},
    {"number_cold",
     kGauge,
     Class<&ClassSnapshot::main_items>,
     "Items in the main segment.",
     {"memcached_slab_cold_items"},
     IsSegmented},
    // Ages, in seconds since the last use.
    {"age_hot",
     kGauge,
     Class<&ClassSnapshot::probation_age_s>,
     "Seconds since the oldest item of the probation segment was used.",
     {"memcached_slab_hot_age_seconds"},
     IsSegmented},
    {"age_warm",
     kGauge,
     Always<0>,
     "Always 0: there is no such segment.",
     {"memcached_slab_warm_age_seconds"},
     IsSegmented},
    {"age",
     kGauge,
     OldestAge,
     "Seconds since the oldest item was used.",
     {"memcached_slab_items_age_seconds"}},
    // The value can decrease, but dashboards for memcached expect a counter.
    {"mem_requested",
     kCounter,
     Sum<ClassStat::kRequestedBytes>,
     "Bytes of the items, without what is left of their chunks.",
     {"memcached_slab_mem_requested_bytes"}},
    // Removals of items, by the reason.
    {"evicted",
     kCounter,
     Counted<&ClassStats::evicted>,
     "Items evicted to make room for others.",
     {"memcached_slab_items_evicted_total"}},
    {"evicted_nonzero",
     kCounter,
     Counted<&ClassStats::evicted_nonzero>,
     "Items evicted that had an expiry.",
     {"memcached_slab_items_evicted_nonzero_total"}},
    // The value can decrease, but dashboards for memcached expect a counter.
    {"evicted_time",
     kCounter,
     Counted<&ClassStats::evicted_age_s>,
     "Seconds for which the item that was evicted last had not been used.",
     {"memcached_slab_items_evicted_time_seconds"}},
    // Stores that failed because no chunk could be found.
    {"outofmemory",
     kCounter,
     Counted<&ClassStats::out_of_memory>,
     "Stores refused because there was no memory.",
     {"memcached_slab_items_outofmemory_total"}},
    {"tailrepairs",
     kCounter,
     Always<0>,
     "Always 0: no item is held forever.",
     {"memcached_slab_items_tailrepairs_total"}},
    {"reclaimed",
     kCounter,
     Counted<&ClassStats::reclaimed>,
     "Items whose memory was used again because they had expired.",
     {"memcached_slab_items_reclaimed_total"}},
    {"expired_unfetched",
     kCounter,
     Counted<&ClassStats::expired_unfetched>,
     "Items that expired and were never read.",
     {"memcached_slab_items_expired_unfetched_total"}},
    {"evicted_unfetched",
     kCounter,
     Counted<&ClassStats::evicted_unfetched>,
     "Items that were evicted and were never read.",
     {"memcached_slab_items_evicted_unfetched_total"}},
    {"evicted_active",
     kCounter,
     Queue<&QueueStats::evicted_active>,
     "Items that were evicted although they had been read recently.",
     {},
     IsSegmented},
    // The search for expired items has memcached's name here, LRU crawler.
    {"crawler_reclaimed",
     kCounter,
     Counted<&ClassStats::crawler_reclaimed>,
     "Expired items that were looked for and freed.",
     {"memcached_slab_items_crawler_reclaimed_total"}},
    {"crawler_items_checked", kCounter, Counted<&ClassStats::crawler_items_checked>,
     "Items looked at for their expiry."},
    {"lrutail_reflocked", kCounter, Queue<&QueueStats::put_back>,
     "Items in use when they were to be evicted."},
    // Moves of items between and within the segments.
    {"moves_to_cold",
     kCounter,
     Queue<&QueueStats::promoted>,
     "Items moved from the probation segment to the main one.",
     {"memcached_slab_items_moves_to_cold"},
     IsSegmented},
    {"moves_to_warm",
     kCounter,
     Always<0>,
     "Always 0: there is no such segment.",
     {"memcached_slab_items_moves_to_warm"},
     IsSegmented},
    {"moves_within_lru",
     kCounter,
     Queue<&QueueStats::second_chances>,
     "Items of the main segment moved to its head instead of being evicted.",
     {"memcached_slab_items_moves_within_lru"},
     IsSegmented},
    {"direct_reclaims",
     kCounter,
     DirectReclaims,
     "Items removed by stores that needed room.",
     {},
     IsSegmented},
    // Rows that memcached does not have.
    // Evictions by segment, and by the page mover.
    {"evicted_hot", kCounter, Queue<&QueueStats::evicted_from_probation>,
     "Items evicted from the probation segment.", Evictions("probation"), IsSegmented},
    {"evicted_cold", kCounter, Queue<&QueueStats::evicted_from_main>,
     "Items evicted from the main segment.", Evictions("main"), IsSegmented},
    {"evicted_for_page", kCounter, Counted<&ClassStats::evicted_for_page>,
     "Items evicted because their page left the class.", Evictions("page"), IsSegmented},
    // A ghost is the memory of a key that was evicted. A key that is stored again soon shows that
    // its segment was too small.
    {"ghosts_hot", kCounter, Queue<&QueueStats::ghosts_of_probation>,
     "Keys stored again soon after their eviction from the probation segment.",
     GhostHits("probation"), IsSegmented},
    {"ghosts_cold", kCounter, Queue<&QueueStats::ghosts_of_main>,
     "Keys stored again soon after their eviction from the main segment.", GhostHits("main"),
     IsSegmented},
    {"ghost_bytes",
     kGauge,
     Class<&ClassSnapshot::ghost_bytes>,
     "Bytes that remember evicted keys.",
     {},
     IsSegmented},
    // The limit moves with the hits on ghosts.
    {"target_hot",
     kGauge,
     Class<&ClassSnapshot::probation_target>,
     "Items in the probation segment above which it is the one to evict from.",
     {},
     IsSegmented},
});
static_assert(HasWholeRows(kItemsRows) && HasKindByFamily(kItemsRows));

constexpr auto kSlabsRows = std::to_array<ClassRow>({
    // name, kind, getter, help, family; in memcached's order.
    // The pages and chunks of the class.
    {"chunk_size",
     kGauge,
     Class<&ClassSnapshot::chunk_bytes>,
     "Bytes of a chunk.",
     {"memcached_slab_chunk_size_bytes"}},
    {"chunks_per_page",
     kGauge,
     Class<&ClassSnapshot::chunks_per_page>,
     "Chunks in a page.",
     {"memcached_slab_chunks_per_page"}},
    {"total_pages",
     kGauge,
     Class<&ClassSnapshot::pages>,
     "Pages of the class.",
     {"memcached_slab_current_pages"}},
    {"total_chunks", kGauge, AllChunks, "Chunks of the class.", {"memcached_slab_current_chunks"}},
    {"used_chunks",
     kGauge,
     Class<&ClassSnapshot::used_chunks>,
     "Chunks in use.",
     {"memcached_slab_chunks_used"}},
    {"free_chunks", kGauge, FreeChunks, "Chunks that are free.", {"memcached_slab_chunks_free"}},
    // memcached's chunks at the end of a page that were never used; here they are ordinary free
    // chunks.
    {"free_chunks_end",
     kGauge,
     Always<0>,
     "Always 0: free chunks are counted in free_chunks.",
     {"memcached_slab_chunks_free_end"}},
    // Commands, counted in the class of the item that they found or stored.
    {"get_hits", kCounter, Sum<ClassStat::kGetHits>, "Keys asked for that were found.",
     SlabCommand("get", "hit")},
    {"cmd_set", kCounter, Sum<ClassStat::kCmdSet>, "Stores, whatever became of them."},
    {"delete_hits", kCounter, Sum<ClassStat::kDeleteHits>, "Items deleted.",
     SlabCommand("delete", "hit")},
    {"incr_hits", kCounter, Sum<ClassStat::kIncrHits>, "incr commands that found an item.",
     SlabCommand("incr", "hit")},
    {"decr_hits", kCounter, Sum<ClassStat::kDecrHits>, "decr commands that found an item.",
     SlabCommand("decr", "hit")},
    {"cas_hits", kCounter, Sum<ClassStat::kCasHits>, "cas commands that stored.",
     SlabCommand("cas", "hit")},
    {"cas_badval", kCounter, Sum<ClassStat::kCasBadval>, "cas commands that found a changed item.",
     SlabCommand("cas", "badval")},
    {"touch_hits", kCounter, Sum<ClassStat::kTouchHits>, "Touches that found an item.",
     SlabCommand("touch", "hit")},
});
static_assert(HasWholeRows(kSlabsRows) && HasKindByFamily(kSlabsRows));

// The last two rows of `stats slabs`.
constexpr auto kSlabTotalsRows = std::to_array<Metric<SlabTotals>>({
    {"active_slabs", kGauge, Value<&SlabTotals::classes>, "Classes that have pages."},
    {"total_malloced",
     kGauge,
     TotalBytes,
     "Bytes of all pages that classes have.",
     {"memcached_malloced_bytes"}},
});
static_assert(HasWholeRows(kSlabTotalsRows) && HasKindByFamily(kSlabTotalsRows));

// The rows of `stats conns` for one descriptor.
constexpr auto kConnectionRows = std::to_array<Metric<ConnectionSample>>({
    {"addr", kText, Value<&ConnectionSample::address>,
     "Address of the client; of a listener, its own."},
    {"listen_addr",
     kText,
     Value<&ConnectionSample::listen_address>,
     "Address at which the client connected.",
     {},
     IsClient},
    {"state", kText, Value<&ConnectionSample::state>, "What the connection waits for or does."},
    // Of a listener: seconds since it was opened.
    {"secs_since_last_cmd", kGauge, Value<&ConnectionSample::idle_s>,
     "Seconds since the last command."},
    {"tls", kText, Value<&ConnectionSample::tls>, "Version of TLS and cipher.", {}, IsEncrypted},
});
static_assert(HasWholeRows(kConnectionRows) && HasKindByFamily(kConnectionRows));

}  // namespace

std::span<const Metric<ClassSample>> ItemsMetrics() { return kItemsRows; }
std::span<const Metric<ClassSample>> SlabsMetrics() { return kSlabsRows; }
std::span<const Metric<SlabTotals>> SlabTotalsMetrics() { return kSlabTotalsRows; }
std::span<const Metric<ConnectionSample>> ConnectionMetrics() { return kConnectionRows; }

}  // namespace larder::server
