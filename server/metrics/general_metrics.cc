#include "server/metrics/general_metrics.h"

#include <algorithm>
#include <array>
#include <bit>

#include "slab/check.h"

namespace larder::server {
namespace {

using slab::ClassStat;
using Sample = ServerSample;
using GeneralRow = Metric<ServerSample>;
using enum MetricKind;

// The descriptors that a worker needs for itself, a number that memcached uses in its statistics.
constexpr int kDescriptorsPerWorker = 5;

// --- Getters -----------------------------------------------------------------------------------
//
// Each prints one number of a sample; the template argument names the number.

// A counter of the workers.
template <Stat kStat>
std::string Count(const Sample& sample) {
  return ValueText(sample.sums.of(kStat));
}
// A counter that the lanes keep by class, summed over all classes.
template <ClassStat kStat>
std::string Hits(const Sample& sample) {
  return ValueText(sample.sums.over_classes(kStat));
}
// A counter of events, summed over all classes.
template <auto kMember>
std::string Evictions(const Sample& sample) {
  return ValueText(sample.evictions.*kMember);
}
// A counter of the eviction queues, summed over all classes.
template <auto kMember>
std::string Queues(const Sample& sample) {
  return ValueText(sample.queues.*kMember);
}
// A counter of the page mover.
template <auto kMember>
std::string Moves(const Sample& sample) {
  return ValueText(sample.page_moves.*kMember);
}
// A duration as seconds with six decimals, as memcached prints CPU times.
template <std::chrono::microseconds Sample::*kTime>
std::string Seconds(const Sample& sample) {
  // The number of microseconds.
  const auto us = (sample.*kTime).count();
  LARDER_ASSERT(us >= 0);
  return fmt::format("{}.{:06}", us / 1'000'000, us % 1'000'000);
}

// memcached does not count its first listener here, so exporters expect one less.
std::string Clients(const Sample& sample) {
  return ValueText(sample.connections - std::min<std::uint64_t>(sample.connections, 1));
}
// Each worker has one input buffer of a fixed size.
std::string InputBytes(const Sample& sample) {
  return ValueText(static_cast<std::uint64_t>(sample.threads) * sample.input_buffer_bytes);
}
std::string Descriptors(const Sample& sample) {
  return ValueText(kDescriptorsPerWorker * sample.threads);
}
// Every key of a get is a hit or a miss. A gat is counted as a touch, not here.
std::string Gets(const Sample& sample) {
  return ValueText(sample.sums.over_classes(ClassStat::kGetHits) +
                   sample.sums.of(Stat::kGetMisses));
}
// memcached's number of buckets is a power of two, and this is the exponent. Here it is that of the
// greatest power of two that the number reaches.
std::string IndexPower(const Sample& sample) {
  LARDER_ASSERT(sample.index_buckets > 0);
  return ValueText(std::bit_width(sample.index_buckets) - 1);
}
// The only reason for which a move is put off here is an item that is in use.
std::string LastBusyStatus(const Sample& sample) {
  return sample.page_moves.busy_pages != 0 ? "in_use" : "none";
}
std::string AliveItems(const Sample& sample) { return ValueText(sample.alive.items); }
std::string AliveBytes(const Sample& sample) { return ValueText(sample.alive.bytes); }
std::string TotalItems(const Sample& sample) { return ValueText(sample.sums.total_items); }
std::string SweepPasses(const Sample& sample) { return ValueText(sample.sums.sweep_passes); }
std::string DirectReclaims(const Sample& sample) {
  return ValueText(sample.evictions.evicted + sample.evictions.reclaimed);
}

// --- Conditions --------------------------------------------------------------------------------
//
// Rows that memcached prints only under certain settings have one of these.

// -o maxconns_fast, -o idle_timeout, -o slab_reassign, -o lru_crawler and the eviction policy, in
// this order.
bool RefusesAtOnce(const Sample& sample) { return sample.refuses_at_once; }
bool ClosesIdle(const Sample& sample) { return sample.idle_timeout_s > 0; }
bool CanMovePages(const Sample& sample) { return sample.can_move_pages; }
bool Sweeps(const Sample& sample) { return sample.sweeps; }
bool IsSegmented(const Sample& sample) { return sample.is_segmented; }
// -Z, alone and with -o ssl_session_cache and -o ssl_ca_cert.
bool SpeaksTls(const Sample& sample) { return sample.speaks_tls; }
bool KeepsSessions(const Sample& sample) { return sample.speaks_tls && sample.keeps_sessions; }
bool HasSigners(const Sample& sample) { return sample.speaks_tls && sample.has_signers; }

// --- Families ----------------------------------------------------------------------------------
//
// Names and labels follow the common exporter for memcached, so that its dashboards work; families
// that it does not have begin with larder_.

constexpr MetricFamily Command(std::string_view command, std::string_view status) {
  return {"memcached_commands_total", {{{"command", command}, {"status", status}}}};
}
constexpr MetricFamily Miss(std::string_view reason) {
  return {"larder_get_misses_total", {{{"reason", reason}}}};
}
constexpr MetricFamily ConfigCommand(std::string_view command) {
  return {"larder_config_commands_total", {{{"command", command}}}};
}

// A new row is appended at the end.
constexpr auto kGeneralRows = std::to_array<GeneralRow>({
    // name, kind, getter, help, family, condition; in memcached's order.
    // --- The process ---
    {"pid", kGauge, Value<&Sample::pid>, "Process id."},
    {"uptime",
     kCounter,
     Value<&Sample::uptime_s>,
     "Seconds since the server started.",
     {"memcached_uptime_seconds"}},
    {"time",
     kGauge,
     Value<&Sample::time_s>,
     "The server's Unix time in seconds.",
     {"memcached_time_seconds"}},
    // On a metrics page the version is the value of a label.
    {"version",
     kText,
     Value<&Sample::version>,
     "Version of the protocol and of the server.",
     {"memcached_version", {{{"version", ""}}}}},
    {"libevent", kText, Value<&Sample::libevent_version>, "Version of libevent."},
    {"pointer_size", kGauge, Always<8 * sizeof(void*)>, "Bits of a pointer."},
    // CPU time of all threads of the process.
    {"rusage_user",
     kCounter,
     Seconds<&Sample::user_time>,
     "CPU seconds in the program.",
     {"memcached_process_user_cpu_seconds_total"}},
    {"rusage_system",
     kCounter,
     Seconds<&Sample::system_time>,
     "CPU seconds in the kernel.",
     {"memcached_process_system_cpu_seconds_total"}},
    // --- Connections ---
    {"max_connections", kGauge, Value<&Sample::connections_max>,
     "Client connections allowed at a time."},
    {"curr_connections",
     kGauge,
     Clients,
     "Client connections that are open.",
     {"memcached_current_connections"}},
    {"total_connections",
     kCounter,
     Count<Stat::kTotalConnections>,
     "Connections opened, the listener's included.",
     {"memcached_connections_total"}},
    {"rejected_connections",
     kCounter,
     Count<Stat::kRejectedConnections>,
     "Connections refused at the limit.",
     {"memcached_connections_rejected_total"},
     RefusesAtOnce},
    {"connection_structures", kGauge, Value<&Sample::connections>,
     "Open connections and listeners."},
    // Replies and input have one area per worker, which all of its connections share.
    {"response_obj_oom", kCounter, Always<0>, "Always 0: there are no response objects."},
    {"response_obj_count", kGauge, Always<0>, "Always 0: there are no response objects."},
    {"response_obj_bytes", kGauge, Always<0>, "Always 0: there are no response objects."},
    {"read_buf_count", kGauge, Value<&Sample::threads>, "Input buffers, one for each worker."},
    {"read_buf_bytes", kGauge, InputBytes, "Bytes of all input buffers."},
    {"read_buf_bytes_free", kGauge, Always<0>, "Always 0: input buffers are not pooled."},
    {"read_buf_oom", kCounter, Always<0>, "Always 0: input buffers are taken at the start."},
    {"reserved_fds", kGauge, Descriptors, "File descriptors that the workers need themselves."},
    // --- Commands ---
    // A command has a row for each result that it can have. Hits and misses are counted by key, not
    // by request.
    {"cmd_get", kCounter, Gets, "Keys that were asked for."},
    {"cmd_set", kCounter, Hits<ClassStat::kCmdSet>, "Stores, whatever became of them."},
    {"cmd_flush", kCounter, Count<Stat::kCmdFlush>, "flush_all commands.", Command("flush", "hit")},
    // touch, gat and gats count here.
    {"cmd_touch", kCounter, Count<Stat::kCmdTouch>, "Keys whose expiry was to be set anew."},
    {"cmd_meta", kCounter, Count<Stat::kCmdMeta>, "Meta commands."},
    {"get_hits", kCounter, Hits<ClassStat::kGetHits>, "Keys asked for that were found.",
     Command("get", "hit")},
    {"get_misses", kCounter, Count<Stat::kGetMisses>, "Keys asked for that were not found.",
     Command("get", "miss")},
    // Both are misses as well: the item was there, but is not valid any more.
    {"get_expired", kCounter, Count<Stat::kGetExpired>, "Gets that found an expired item."},
    {"get_flushed", kCounter, Count<Stat::kGetFlushed>, "Gets that found a flushed item."},
    {"delete_misses", kCounter, Count<Stat::kDeleteMisses>, "Deletes of keys that were not there.",
     Command("delete", "miss")},
    {"delete_hits", kCounter, Hits<ClassStat::kDeleteHits>, "Items deleted.",
     Command("delete", "hit")},
    {"incr_misses", kCounter, Count<Stat::kIncrMisses>, "incr commands that found no item.",
     Command("incr", "miss")},
    {"incr_hits", kCounter, Hits<ClassStat::kIncrHits>, "incr commands that found an item.",
     Command("incr", "hit")},
    {"decr_misses", kCounter, Count<Stat::kDecrMisses>, "decr commands that found no item.",
     Command("decr", "miss")},
    {"decr_hits", kCounter, Hits<ClassStat::kDecrHits>, "decr commands that found an item.",
     Command("decr", "hit")},
    // A cas is a miss, a hit, or finds an item that has changed (badval).
    {"cas_misses", kCounter, Count<Stat::kCasMisses>, "cas commands that found no item.",
     Command("cas", "miss")},
    {"cas_hits", kCounter, Hits<ClassStat::kCasHits>, "cas commands that stored.",
     Command("cas", "hit")},
    {"cas_badval", kCounter, Hits<ClassStat::kCasBadval>, "cas commands that found a changed item.",
     Command("cas", "badval")},
    {"touch_hits", kCounter, Hits<ClassStat::kTouchHits>, "Touches that found an item.",
     Command("touch", "hit")},
    {"touch_misses", kCounter, Count<Stat::kTouchMisses>, "Touches that found no item.",
     Command("touch", "miss")},
    // Refused stores of the text and the meta protocol. Like memcached, the server does not count
    // those of the binary protocol.
    {"store_too_large",
     kCounter,
     Count<Stat::kStoreTooLarge>,
     "Stores refused because the item is too large.",
     {"memcached_item_too_large_total"}},
    {"store_no_memory",
     kCounter,
     Count<Stat::kStoreNoMemory>,
     "Stores refused because there was no memory.",
     {"memcached_item_no_memory_total"}},
    // Both protocols' attempts to authenticate.
    {"auth_cmds", kCounter, Count<Stat::kAuthCmds>, "Attempts to authenticate."},
    {"auth_errors", kCounter, Count<Stat::kAuthErrors>, "Attempts to authenticate that failed."},
    {"idle_kicks",
     kCounter,
     Count<Stat::kIdleKicks>,
     "Connections closed because they were idle.",
     {"larder_idle_closed_total"},
     ClosesIdle},
    // --- Traffic and limits ---
    {"bytes_read",
     kCounter,
     Count<Stat::kBytesRead>,
     "Bytes received from clients.",
     {"memcached_read_bytes_total"}},
    {"bytes_written",
     kCounter,
     Count<Stat::kBytesWritten>,
     "Bytes sent to clients.",
     {"memcached_written_bytes_total"}},
    {"limit_maxbytes",
     kGauge,
     Value<&Sample::memory_limit_bytes>,
     "Bytes allowed for items.",
     {"memcached_limit_bytes"}},
    // The next three are about pauses in accepting: at the limit of -c without maxconns_fast, or
    // when the system is out of resources.
    {"accepting_conns",
     kGauge,
     Value<&Sample::is_accepting>,
     "1 while new connections are accepted, else 0.",
     {"memcached_accepting_connections"}},
    {"listen_disabled_num",
     kCounter,
     Count<Stat::kListenDisabled>,
     "Times that no connections were accepted because the limit was reached.",
     {"memcached_connections_listener_disabled_total"}},
    {"time_in_listen_disabled_us", kCounter, Count<Stat::kTimeInListenDisabledUs>,
     "Microseconds during which no connections were accepted."},
    {"threads", kGauge, Value<&Sample::threads>, "Worker threads."},
    // A connection yields after -R requests, among other reasons: see server/session/turn_budget.h.
    {"conn_yields",
     kCounter,
     Count<Stat::kConnYields>,
     "Times that a connection had to let others go first.",
     {"memcached_connections_yielded_total"}},
    // --- The index and page moves ---
    {"hash_power_level", kGauge, IndexPower, "Binary logarithm of the index's buckets."},
    {"hash_bytes", kGauge, Value<&Sample::index_bytes>, "Bytes of the index."},
    // The index has no phase of expansion, during which memcached keeps two tables.
    {"hash_is_expanding", kGauge, Always<0>, "Always 0: the index grows bucket by bucket."},
    // memcached's names for the events of a page move. A move copies the items of the page into
    // other chunks of its class.
    {"slab_reassign_rescues",
     kCounter,
     Moves<&slab::PageMoveStats::moved_items>,
     "Items copied to another page because theirs moved.",
     {},
     CanMovePages},
    {"slab_reassign_chunk_rescues",
     kCounter,
     Moves<&slab::PageMoveStats::moved_pieces>,
     "Pieces of large items copied because their page moved.",
     {},
     CanMovePages},
    {"slab_reassign_inline_reclaim",
     kCounter,
     Evictions<&slab::ClassStats::evicted_for_page>,
     "Items evicted because their page moved.",
     {},
     CanMovePages},
    {"slab_reassign_busy_items",
     kCounter,
     Moves<&slab::PageMoveStats::busy_pages>,
     "Pages whose move was put off because an item was in use.",
     {},
     CanMovePages},
    {"slab_reassign_busy_deletes",
     kCounter,
     Always<0>,
     "Always 0: items in use are not deleted for a page move.",
     {},
     CanMovePages},
    {"slab_reassign_busy_nomem",
     kCounter,
     Moves<&slab::PageMoveStats::dropped_items>,
     "Items evicted because there was no room to copy them to.",
     {},
     CanMovePages},
    {"slab_reassign_last_busy_status",
     kText,
     LastBusyStatus,
     "Why a page move was put off: in_use, or none.",
     {},
     CanMovePages},
    {"slab_reassign_running",
     kGauge,
     Moves<&slab::PageMoveStats::is_running>,
     "1 while a page moves, else 0.",
     {},
     CanMovePages},
    // Counts the pages; the rows above count their items.
    {"slabs_moved",
     kCounter,
     Value<&Sample::pages_moved>,
     "Pages moved to another class.",
     {"larder_pages_moved_total"}},
    // --- The search for expired items ---
    {"lru_crawler_running",
     kGauge,
     Value<&Sample::is_sweeping>,
     "1 while expired items are looked for, else 0.",
     {"larder_sweep_running"},
     Sweeps},
    {"lru_crawler_starts",
     kCounter,
     SweepPasses,
     "Passes that looked for expired items.",
     {"memcached_lru_crawler_starts_total"},
     Sweeps},
    {"malloc_fails", kCounter, Always<0>, "Always 0: failed allocations are not counted."},
    // --- watch ---
    {"log_worker_dropped", kCounter, Count<Stat::kLogWorkerDropped>,
     "Watched events that were lost in a thread."},
    {"log_worker_written", kCounter, Count<Stat::kLogWorkerWritten>, "Watched events."},
    {"log_watcher_skipped", kCounter, Count<Stat::kLogWatcherSkipped>,
     "Lines that were lost because a watcher did not read."},
    {"log_watcher_sent", kCounter, Count<Stat::kLogWatcherSent>, "Lines for watchers."},
    {"log_watchers", kGauge, Value<&Sample::watchers>, "Clients that watch."},
    // --- TLS ---
    {"ssl_new_sessions",
     kCounter,
     Count<Stat::kTlsNewSessions>,
     "Sessions of TLS that were made.",
     {},
     KeepsSessions},
    {"ssl_handshake_errors",
     kCounter,
     Count<Stat::kTlsHandshakeErrors>,
     "Handshakes of TLS that failed.",
     {"larder_tls_handshakes_total", {{{"status", "failed"}}}},
     SpeaksTls},
    {"ssl_proto_errors",
     kCounter,
     Count<Stat::kTlsProtocolErrors>,
     "Errors of TLS after the handshake.",
     {"larder_tls_protocol_errors_total"},
     SpeaksTls},
    {"time_since_server_cert_refresh",
     kGauge,
     Value<&Sample::certificate_age_s>,
     "Seconds since the certificates were loaded.",
     {"larder_tls_certificate_age_seconds"},
     SpeaksTls},
    // --- Features that do not exist here ---
    {"unexpected_napi_ids", kCounter, Always<0>, "Always 0: there are no workers by queue."},
    {"round_robin_fallback", kCounter, Always<0>, "Always 0: there are no workers by queue."},
    // --- Items ---
    // An item counts as long as it is alive: neither expired nor flushed.
    {"bytes", kGauge, AliveBytes, "Bytes of all items.", {"memcached_current_bytes"}},
    {"curr_items", kGauge, AliveItems, "Items in the cache.", {"memcached_current_items"}},
    {"total_items", kCounter, TotalItems, "Items stored.", {"memcached_items_total"}},
    {"slab_global_page_pool", kGauge, Value<&Sample::free_pages>, "Pages that no class has."},
    // --- Evictions and removals, summed over all classes ---
    {"expired_unfetched", kCounter, Evictions<&slab::ClassStats::expired_unfetched>,
     "Items that expired and were never read."},
    {"evicted_unfetched", kCounter, Evictions<&slab::ClassStats::evicted_unfetched>,
     "Items that were evicted and were never read."},
    {"evicted_active",
     kCounter,
     Queues<&slab::QueueStats::evicted_active>,
     "Items that were evicted although they had been read recently.",
     {},
     IsSegmented},
    {"evictions",
     kCounter,
     Evictions<&slab::ClassStats::evicted>,
     "Items evicted to make room for others.",
     {"memcached_items_evicted_total"}},
    {"reclaimed",
     kCounter,
     Evictions<&slab::ClassStats::reclaimed>,
     "Items whose memory was used again because they had expired.",
     {"memcached_items_reclaimed_total"}},
    {"crawler_reclaimed",
     kCounter,
     Evictions<&slab::ClassStats::crawler_reclaimed>,
     "Expired items that were looked for and freed.",
     {"memcached_lru_crawler_reclaimed_total"}},
    {"crawler_items_checked",
     kCounter,
     Evictions<&slab::ClassStats::crawler_items_checked>,
     "Items looked at for their expiry.",
     {"memcached_lru_crawler_items_checked_total"}},
    {"lrutail_reflocked", kCounter, Queues<&slab::QueueStats::put_back>,
     "Items in use when they were to be evicted."},
    // memcached's segments are mapped to those of this server: hot is probation, cold is main, and
    // there is no warm one.
    {"moves_to_cold",
     kCounter,
     Queues<&slab::QueueStats::promoted>,
     "Items moved from the probation segment to the main one.",
     {"memcached_lru_crawler_moves_to_cold_total"},
     IsSegmented},
    {"moves_to_warm",
     kCounter,
     Always<0>,
     "Always 0: there is no such segment.",
     {"memcached_lru_crawler_moves_to_warm_total"},
     IsSegmented},
    {"moves_within_lru",
     kCounter,
     Queues<&slab::QueueStats::second_chances>,
     "Items of the main segment moved to its head instead of being evicted.",
     {"memcached_lru_crawler_moves_within_lru_total"},
     IsSegmented},
    {"direct_reclaims",
     kCounter,
     DirectReclaims,
     "Items removed by stores that needed room.",
     {"memcached_direct_reclaims_total"},
     IsSegmented},
    {"lru_bumps_dropped",
     kCounter,
     Always<0>,
     "Always 0: a hit queues no move of its item.",
     {},
     IsSegmented},
    // Rows that memcached does not have.
    // The reasons of misses, as far as the removal records know them; they add up to get_misses.
    {"get_misses_evicted", kCounter, Count<Stat::kGetMissesEvicted>,
     "Misses of keys that were evicted.", Miss("evicted")},
    {"get_misses_expired", kCounter, Count<Stat::kGetMissesExpired>, "Misses of keys that expired.",
     Miss("expired")},
    {"get_misses_deleted", kCounter, Count<Stat::kGetMissesDeleted>,
     "Misses of keys that were deleted.", Miss("deleted")},
    {"get_misses_flushed", kCounter, Count<Stat::kGetMissesFlushed>,
     "Misses of keys that were flushed.", Miss("flushed")},
    {"get_misses_dropped", kCounter, Count<Stat::kGetMissesDropped>,
     "Misses of keys of which a prefix was dropped.", Miss("dropped")},
    {"get_misses_too_large", kCounter, Count<Stat::kGetMissesTooLarge>,
     "Misses of keys whose item was too large to be stored.", Miss("too_large")},
    {"get_misses_no_memory", kCounter, Count<Stat::kGetMissesNoMemory>,
     "Misses of keys for whose item there was no memory.", Miss("no_memory")},
    {"get_misses_not_seen", kCounter, Count<Stat::kGetMissesNotSeen>,
     "Misses of keys of which nothing is known.", Miss("not_seen")},
    {"cmd_drop", kCounter, Count<Stat::kCmdDrop>, "drop commands, and md with the flag p."},
    {"curr_drops", kGauge, Value<&Sample::live_drops>,
     "Dropped prefixes of whose keys an item may be left."},
    {"upload_kicks", kCounter, Count<Stat::kUploadKicks>,
     "Connections closed because a value did not come to its end."},
    {"upload_waits", kCounter, Count<Stat::kUploadWaits>,
     "Values that had to wait for memory while they were received."},
    // Rows about the cluster configuration: ElastiCache's, and config_errors.
    {"cmd_config_get", kCounter, Count<Stat::kCmdConfigGet>, "config get commands.",
     ConfigCommand("get")},
    {"cmd_config_set", kCounter, Count<Stat::kCmdConfigSet>, "config set commands.",
     ConfigCommand("set")},
    {"config_errors",
     kCounter,
     Count<Stat::kConfigErrors>,
     "Lists of nodes that could not be fetched or parsed.",
     {"larder_config_errors_total"}},
    {"curr_config", kGauge, Value<&Sample::has_node_list>,
     "1 when there is a list of nodes, else 0."},
    // TLS, as far as memcached has no row.
    {"ssl_handshakes",
     kCounter,
     Count<Stat::kTlsHandshakes>,
     "Handshakes of TLS that were completed.",
     {"larder_tls_handshakes_total", {{{"status", "completed"}}}},
     SpeaksTls},
    {"ssl_resumed",
     kCounter,
     Count<Stat::kTlsResumed>,
     "Completed handshakes that resumed a session.",
     {"larder_tls_resumed_total"},
     SpeaksTls},
    {"ssl_ktls_connections",
     kCounter,
     Count<Stat::kTlsInKernel>,
     "Connections whose replies the kernel encrypts.",
     {"larder_tls_kernel_connections_total"},
     SpeaksTls},
    {"ssl_reload_errors",
     kCounter,
     Value<&Sample::certificate_reload_errors>,
     "Reloads of the certificates that failed.",
     {"larder_tls_reload_errors_total"},
     SpeaksTls},
    {"ssl_cert_expires_in_seconds",
     kGauge,
     Value<&Sample::certificate_expires_in_s>,
     "Seconds until the server's certificate, or one of its chain, expires.",
     {"larder_tls_certificate_expires_in_seconds"},
     SpeaksTls},
    {"ssl_ca_expires_in_seconds",
     kGauge,
     Value<&Sample::signer_expires_in_s>,
     "Seconds until a certificate of ssl_ca_cert expires.",
     {"larder_tls_ca_expires_in_seconds"},
     HasSigners},
    {"ssl_cert_serial",
     kText,
     Value<&Sample::certificate_serial>,
     "Serial number of the server's certificate, in hexadecimal.",
     {},
     SpeaksTls},
});
static_assert(HasWholeRows(kGeneralRows) && HasKindByFamily(kGeneralRows));

}  // namespace

std::span<const Metric<ServerSample>> GeneralMetrics() { return kGeneralRows; }

}  // namespace larder::server
