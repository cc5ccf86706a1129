#include "server/config/settings.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "server/config/extended_options.h"
#include "server/config/options.h"
#include "slab/check.h"

namespace larder::server {
namespace {

using enum MetricKind;

// A setting of memcached that follows from the eviction policy.
std::string IsSegmented(const SettingsSample& settings) {
  return YesNo(settings.eviction == slab::EvictionPolicy::kSegmented);
}
// A setting of memcached for a feature that does not exist here.
std::string No(const SettingsSample&) { return "no"; }

// The rows that are not the setting of an option in the two tables of options.
constexpr auto kFurther = std::to_array<Setting>({
    // Commands change these two, which no option sets or which an option sets only together with
    // others.
    {"oldest", kGauge, Value<&SettingsSample::oldest_s>,
     "Seconds from the start to the last flush; 0: there was none."},
    {"num_threads_per_udp", kGauge, Always<0>, "Always 0: UDP is not served."},
    {"detail_enabled", kSwitch, Switch<&Config::detail_enabled>,
     "Statistics are kept by key prefix."},
    {"lru_segmented", kSwitch, IsSegmented, "Items are evicted by segments."},
    AcceptedSetting<"temp_lru", "no">(kSwitch, "Items may be of a segment for short lives."),
    {"inline_ascii_response", kSwitch, No, "Always no: items hold no ready replies."},
    {"num_napi_ids", kGauge, Always<0>, "Always 0: there are no workers by queue."},
    // memcached can be built with other sizes; here it is always 4.
    {"client_flags_size", kGauge, Always<4>, "Bytes of an item's flags."},
});
static_assert(HasWholeRows(kFurther));

// The names of memcached's rows in the order in which memcached prints them.
constexpr auto kMemcachedOrder = std::to_array<std::string_view>({"maxbytes",
                                                                  "maxconns",
                                                                  "tcpport",
                                                                  "udpport",
                                                                  "inter",
                                                                  "verbosity",
                                                                  "oldest",
                                                                  "evictions",
                                                                  "domain_socket",
                                                                  "umask",
                                                                  "shutdown_command",
                                                                  "growth_factor",
                                                                  "chunk_size",
                                                                  "num_threads",
                                                                  "num_threads_per_udp",
                                                                  "stat_key_prefix",
                                                                  "detail_enabled",
                                                                  "reqs_per_event",
                                                                  "cas_enabled",
                                                                  "tcp_backlog",
                                                                  "binding_protocol",
                                                                  "auth_enabled_sasl",
                                                                  "auth_enabled_ascii",
                                                                  "item_size_max",
                                                                  "maxconns_fast",
                                                                  "hashpower_init",
                                                                  "slab_reassign",
                                                                  "slab_automove",
                                                                  "slab_automove_ratio",
                                                                  "slab_automove_window",
                                                                  "slab_chunk_max",
                                                                  "lru_crawler",
                                                                  "lru_crawler_sleep",
                                                                  "lru_crawler_tocrawl",
                                                                  "tail_repair_time",
                                                                  "flush_enabled",
                                                                  "dump_enabled",
                                                                  "hash_algorithm",
                                                                  "lru_maintainer_thread",
                                                                  "lru_segmented",
                                                                  "hot_lru_pct",
                                                                  "warm_lru_pct",
                                                                  "hot_max_factor",
                                                                  "warm_max_factor",
                                                                  "temp_lru",
                                                                  "temporary_ttl",
                                                                  "idle_timeout",
                                                                  "watcher_logbuf_size",
                                                                  "worker_logbuf_size",
                                                                  "read_buf_mem_limit",
                                                                  "track_sizes",
                                                                  "inline_ascii_response",
                                                                  "ssl_enabled",
                                                                  "ssl_chain_cert",
                                                                  "ssl_key",
                                                                  "ssl_verify_mode",
                                                                  "ssl_keyformat",
                                                                  "ssl_ciphers",
                                                                  "ssl_ca_cert",
                                                                  "ssl_wbuf_size",
                                                                  "ssl_session_cache",
                                                                  "ssl_kernel_tls",
                                                                  "ssl_min_version",
                                                                  "num_napi_ids",
                                                                  "memory_file",
                                                                  "client_flags_size"});

// Returns the position of a row in that order. Rows that memcached does not have come after all
// others.
std::size_t PlaceOf(const Setting& setting) {
  return static_cast<std::size_t>(std::ranges::find(kMemcachedOrder, setting.name) -
                                  kMemcachedOrder.begin());
}

// Collects the rows of all options and sorts them.
std::vector<Setting> Collect() {
  std::vector<Setting> rows(kFurther.begin(), kFurther.end());
  const auto add = [&](const Setting& setting) {
    if (!setting.name.empty()) rows.push_back(setting);
  };
  for (const Option& option : Options()) add(option.setting);
  for (const ExtendedOption& option : ExtendedOptions()) add(option.setting);
  // Stable, so that rows that memcached does not have keep the order of their options.
  std::ranges::stable_sort(rows, {}, PlaceOf);
  LARDER_ASSERT(HasWholeRows(rows));
  // All rows of memcached are there.
  LARDER_ASSERT(std::ranges::equal(kMemcachedOrder, std::span(rows).first(kMemcachedOrder.size()),
                                   {}, {}, &Setting::name));
  return rows;
}

}  // namespace

std::span<const Setting> SettingsMetrics() {
  // Sorted once; the initialisation of a local static is safe with several threads.
  static const std::vector<Setting> kRows = Collect();
  return kRows;
}

}  // namespace larder::server
