#include "server/config/extended_options.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <string>
#include <system_error>

#include "server/config/option_number.h"
#include "slab/check.h"
#include "slab/memory/arena.h"

namespace larder::server {
namespace {

using enum Effect;
using enum MetricKind;
using enum Shown;
using enum ValueKind;

// Upper limits of values: those of the type that the value is stored in, or none.
constexpr double kIntMax = std::numeric_limits<int>::max();
constexpr double kUint32Max = std::numeric_limits<std::uint32_t>::max();
// The most KiB of the buffers for watchers: 1 GiB.
constexpr double kLogKilobytesMax = 1 << 20;
constexpr double kAnyMax = std::numeric_limits<double>::max();

// --- Functions that apply an option -----------------------------------------------------------
//
// All of them expect a value that was checked against its row of the table.

// Set a switch to a value that the name of the option determines.
template <bool Config::*kSwitch>
void TurnOn(Config& config, std::string_view) {
  config.*kSwitch = true;
}
template <bool Config::*kSwitch>
void TurnOff(Config& config, std::string_view) {
  config.*kSwitch = false;
}

// Sets a number to the given value.
template <class T, T Config::*kNumber>
void SetNumber(Config& config, std::string_view value) {
  const auto number = ParseNumber<T>(value);
  LARDER_ASSERT(number.has_value());
  config.*kNumber = *number;
}

// The row of `stats settings` of a number of KiB, in bytes.
template <std::uint32_t Config::*kKilobytesOf>
std::string KilobytesInBytes(const SettingsSample& settings) {
  return ValueText(std::uint64_t{settings.*kKilobytesOf} * 1024);
}

// Stores a text.
template <std::string Config::*kText>
void SetText(Config& config, std::string_view value) {
  LARDER_ASSERT(!value.empty());
  config.*kText = value;
}

// Stores the path of a file that may be read when the process has changed its directory.
template <std::string Config::*kPath>
void SetPath(Config& config, std::string_view value) {
  std::error_code error;
  config.*kPath = std::filesystem::absolute(value, error).string();
  // The working directory was removed.
  if (error) config.*kPath = value;
}

void SetKeyFormat(Config& config, std::string_view value) {
  const auto format = ParseKeyFormat(value);
  LARDER_ASSERT(format.has_value());
  config.tls_key_format = *format;
}

void SetEviction(Config& config, std::string_view value) {
  LARDER_ASSERT(value == "lru" || value == "segmented");
  config.eviction = value == "lru" ? slab::EvictionPolicy::kLru : slab::EvictionPolicy::kSegmented;
}

// Without a value, slab_automove means 1.
void SetPageMoves(Config& config, std::string_view value) {
  const int number = ParseNumber<int>(value).value_or(1);
  LARDER_ASSERT(number >= 0 && number <= static_cast<int>(slab::PageMoves::kEager));
  config.page_moves = static_cast<slab::PageMoves>(number);
}
void SetNoPageMoves(Config& config, std::string_view) { config.page_moves = slab::PageMoves::kOff; }

void SetNoModern(Config& config, std::string_view) {
  config.maxconns_fast = false;
  config.sweeps = false;
  config.slab_reassign = false;
  config.page_moves = slab::PageMoves::kOff;
}

// Options that memcached knows and that would mislead an operator if they were accepted silently.
void WarnOfPrivileges(Config& config, std::string_view) {
  config.warnings.emplace_back(
      "warning: drop_privileges has no effect: there is no system-call filter");
}
void WarnOfReplyMemory(Config& config, std::string_view) {
  config.warnings.emplace_back(
      "DEPRECATED: resp_obj_mem_limit no longer used. See read_buf_mem_limit,");
}

// --- Functions that print a setting -----------------------------------------------------------

std::string Eviction(const SettingsSample& settings) {
  return settings.eviction == slab::EvictionPolicy::kLru ? "lru" : "segmented";
}
std::string PageMoves(const SettingsSample& settings) {
  return ValueText(static_cast<int>(settings.page_moves));
}

template <std::string Config::*kText>
std::string PathOrNull(const SettingsSample& settings) {
  return (settings.*kText).empty() ? "(null)" : settings.*kText;
}
// The key lies beside the chain unless it has a file of its own.
std::string KeyPath(const SettingsSample& settings) {
  return settings.tls_key_path().empty() ? "(null)" : settings.tls_key_path();
}
// memcached prints OpenSSL's mask: bit 0 asks for a certificate, 1 requires it, 2 asks once.
std::string VerifyMask(const SettingsSample& settings) {
  constexpr std::array<int, 4> kMasks = {0, 1, 3, 7};
  return ValueText(kMasks.at(static_cast<std::size_t>(settings.tls_verify_mode)));
}
std::string WriteBytes(const SettingsSample& settings) {
  return ValueText(std::uint64_t{settings.tls_write_kilobytes} << 10);
}
std::string MinVersion(const SettingsSample& settings) {
  return "tlsv1." + ValueText(settings.tls_min_version);
}

// The longest time of a handshake and between two looks for changed certificates: a day.
constexpr double kTlsSecondsMax = 24 * 60 * 60;
// A write of TLS is gathered in an area of this many KiB at most.
constexpr double kTlsWriteKilobytesMax = 64 * 1024;

// The default of slab_chunk_max in the table below.
static_assert(slab::kPageBytes / 2 == 131072);

// The rows in the order of the help text, then those that the help text leaves out. A limit that a
// row does not give is 0.
constexpr auto kExtendedOptions = std::to_array<ExtendedOption>({
    // The options of the help text. The first two and track_sizes are memcached's, the others this
    // server's own.
    {.name = "idle_timeout",
     .value_name = "SECONDS",
     .help = "close idle connections (default: never)",
     .kind = kInteger,
     .high = kIntMax,
     .missing_text = "Missing numeric argument for idle_timeout",
     .range_text = "idle_timeout must be >= 0",
     .effect = kApplied,
     .apply = SetNumber<int, &Config::idle_timeout_s>,
     .setting = {"idle_timeout", kGauge, Value<&Config::idle_timeout_s>,
                 "Seconds after which idle connections are closed; 0: never."}},
    {.name = "no_maxconns_fast",
     .help = "over the -c limit, let clients wait",
     .effect = kApplied,
     .apply = TurnOff<&Config::maxconns_fast>,
     .setting = {"maxconns_fast", kSwitch, Switch<&Config::maxconns_fast>,
                 "Connections above the limit are refused at once."}},
    // The command `lru mode` changes the policy while the server runs.
    {.name = "eviction",
     .value_name = "{}",
     .help = "order of eviction: segmented, or lru",
     .kind = kChoice,
     .choices = {"segmented", "lru"},
     .missing_text = "Missing eviction argument",
     .range_text = "Unknown eviction option (segmented, lru)",
     .effect = kApplied,
     .apply = SetEviction,
     .setting = {"eviction", kText, Eviction, "How items to evict are chosen: segmented, or lru."}},
    // A drop stays until the whole index was searched for what it has killed.
    {.name = "drops_max",
     .value_name = "{}",
     .help = "most drops remembered at a time; 0: none",
     .kind = kInteger,
     .high = 1 << 20,
     .missing_text = "Missing drops_max argument",
     .range_text = "drops_max must be between 0 and 1048576",
     .effect = kApplied,
     .apply = SetNumber<std::uint32_t, &Config::drops_max>,
     .setting = {"drops_max", kGauge, Value<&Config::drops_max>,
                 "Most drops that are remembered at a time; 0: nothing can be dropped."}},
    // What watchers do not read in time is lost for them, so that nobody waits for them.
    {.name = "watchers_max",
     .value_name = "{}",
     .help = "most clients that watch at a time",
     .kind = kInteger,
     .high = 1000,
     .missing_text = "Missing watchers_max argument",
     .range_text = "watchers_max must be between 0 and 1000",
     .effect = kApplied,
     .apply = SetNumber<std::uint32_t, &Config::watchers_max>,
     .setting = {"watchers_max", kGauge, Value<&Config::watchers_max>,
                 "Most clients that watch at a time."}},
    {.name = "watcher_logbuf_size",
     .value_name = "{}",
     .help = "KiB of lines that wait for a watcher",
     .kind = kInteger,
     .low = 1,
     .high = kLogKilobytesMax,
     .missing_text = "Missing watcher_logbuf_size argument",
     .range_text = "could not parse argument to watcher_logbuf_size",
     .effect = kApplied,
     .apply = SetNumber<std::uint32_t, &Config::watcher_log_kilobytes>,
     .setting = {"watcher_logbuf_size", kGauge, KilobytesInBytes<&Config::watcher_log_kilobytes>,
                 "Most bytes of lines that wait for a watcher."}},
    {.name = "worker_logbuf_size",
     .value_name = "{}",
     .help = "KiB of watched events of one thread",
     .kind = kInteger,
     .high = kLogKilobytesMax,
     .missing_text = "Missing worker_logbuf_size argument",
     .range_text = "could not parse argument to worker_logbuf_size",
     .effect = kApplied,
     .apply = SetNumber<std::uint32_t, &Config::worker_log_kilobytes>,
     .setting = {"worker_logbuf_size", kGauge, KilobytesInBytes<&Config::worker_log_kilobytes>,
                 "Most bytes of watched events that wait in a thread."}},
    // Values that are being received reserve memory, which clients could otherwise fill with values
    // that they never finish.
    {.name = "upload_memory",
     .value_name = "{}",
     .help = "percent of -m for unfinished values",
     .kind = kInteger,
     .low = 1,
     .high = 50,
     .missing_text = "Missing upload_memory argument",
     .range_text = "upload_memory must be between 1 and 50",
     .effect = kApplied,
     .apply = SetNumber<std::uint32_t, &Config::upload_memory_percent>,
     .setting = {"upload_memory", kGauge, Value<&Config::upload_memory_percent>,
                 "Percent of the memory for items that unfinished values may hold."}},
    {.name = "upload_staging",
     .value_name = "{}",
     .help = "MiB of buffers for unfinished values",
     .kind = kInteger,
     .high = kIntMax,
     .missing_text = "Missing upload_staging argument",
     .range_text = "upload_staging must be >= 0",
     .effect = kApplied,
     .apply = SetNumber<std::uint32_t, &Config::upload_staging_megabytes>,
     .setting = {"upload_staging", kGauge, Value<&Config::upload_staging_megabytes>,
                 "MiB of buffers that unfinished values may fill beside that; 0: none."}},
    {.name = "upload_timeout",
     .value_name = "{}",
     .help = "seconds until a stalled value is given up",
     .kind = kInteger,
     .high = kIntMax,
     .missing_text = "Missing numeric argument for upload_timeout",
     .range_text = "upload_timeout must be >= 0",
     .effect = kApplied,
     .apply = SetNumber<int, &Config::upload_timeout_s>,
     .setting = {"upload_timeout", kGauge, Value<&Config::upload_timeout_s>,
                 "Seconds after which a stalled value is given up; 0: never."}},
    {.name = "upload_rate",
     .value_name = "{}",
     .help = "KiB a second of a value while others wait",
     .kind = kInteger,
     .high = kIntMax,
     .missing_text = "Missing numeric argument for upload_rate",
     .range_text = "upload_rate must be >= 0",
     .effect = kApplied,
     .apply = SetNumber<std::uint32_t, &Config::upload_rate_kilobytes>,
     .setting = {"upload_rate", kGauge, Value<&Config::upload_rate_kilobytes>,
                 "KiB a second that a value must come by while others wait; 0: any rate."}},
    // Counted only on request, because every store and every removal has to update a count.
    {.name = "track_sizes",
     .help = "count items by size for stats sizes",
     .effect = kApplied,
     .apply = TurnOn<&Config::track_sizes>,
     .setting = {"track_sizes", kSwitch, Switch<&Config::track_sizes>,
                 "Items are counted by size."}},
    {.name = "no_mrc",
     .help = "do not estimate miss ratios for stats mrc",
     .effect = kApplied,
     .apply = TurnOff<&Config::estimate_miss_ratios>,
     .setting = {"mrc", kSwitch, Switch<&Config::estimate_miss_ratios>,
                 "The miss ratios of other memory limits are estimated."}},
    {.name = "prefix_stats",
     .help = "count by prefix for stats prefixes",
     .effect = kApplied,
     .apply = TurnOn<&Config::count_prefixes>,
     .setting = {"prefix_stats", kSwitch, Switch<&Config::count_prefixes>,
                 "Items and reads are counted by prefix."}},
    // TLS. All of these are accepted without -Z too, and then unused.
    {.name = "ssl_chain_cert",
     .value_name = "PATH",
     .help = "certificates of -Z in PEM, own one first",
     .kind = kAnyText,
     .missing_text = "Missing ssl_chain_cert argument",
     .effect = kApplied,
     .apply = SetPath<&Config::tls_chain_file>,
     .setting = {"ssl_chain_cert", kText, PathOrNull<&Config::tls_chain_file>,
                 "File of the certificate chain; (null): none."}},
    {.name = "ssl_key",
     .value_name = "PATH",
     .help = "private key (default: in ssl_chain_cert)",
     .kind = kAnyText,
     .missing_text = "Missing ssl_key argument",
     .effect = kApplied,
     .apply = SetPath<&Config::tls_key_file>,
     .setting = {"ssl_key", kText, KeyPath, "File of the private key; (null): none."}},
    {.name = "ssl_keyformat",
     .value_name = "{}",
     .help = "format of ssl_key: 1 or PEM, 2 or DER",
     .kind = kKeyFormat,
     .missing_text = "Missing ssl_keyformat argument",
     .range_text = "could not parse argument to ssl_keyformat",
     .effect = kApplied,
     .apply = SetKeyFormat,
     .setting = {"ssl_keyformat", kGauge, Value<&Config::tls_key_format>,
                 "Format of the private key: 1 PEM, 2 DER."}},
    {.name = "ssl_verify_mode",
     .value_name = "0",
     .help = "client certificates: 1 asked, 2 required",
     .kind = kInteger,
     .high = 3,
     .missing_text = "Missing ssl_verify_mode argument",
     .range_text = "Invalid ssl_verify_mode. Use help to see valid options.",
     .effect = kApplied,
     .apply = SetNumber<int, &Config::tls_verify_mode>,
     .setting = {"ssl_verify_mode", kGauge, VerifyMask,
                 "Client certificates: 0 not asked for, 1 asked for, 3 and 7 required."}},
    {.name = "ssl_ca_cert",
     .value_name = "PATH",
     .help = "who may sign client certificates, in PEM",
     .kind = kAnyText,
     .missing_text = "Missing ssl_ca_cert argument",
     .effect = kApplied,
     .apply = SetPath<&Config::tls_ca_file>,
     .setting = {"ssl_ca_cert", kText, TextOrNull<&Config::tls_ca_file>,
                 "File of those who may sign client certificates; NULL: none."}},
    {.name = "ssl_ciphers",
     .value_name = "LIST",
     .help = "OpenSSL's list of ciphers for TLS 1.2",
     .kind = kAnyText,
     .missing_text = "Missing ssl_ciphers argument",
     .effect = kApplied,
     .apply = SetText<&Config::tls_ciphers>,
     .setting = {"ssl_ciphers", kText, TextOrNull<&Config::tls_ciphers>,
                 "Ciphers for TLS 1.2; NULL: the library's."}},
    {.name = "ssl_ciphersuites",
     .value_name = "LIST",
     .help = "the same for TLS 1.3",
     .kind = kAnyText,
     .missing_text = "Missing ssl_ciphersuites argument",
     .effect = kApplied,
     .apply = SetText<&Config::tls_ciphersuites>,
     .setting = {"ssl_ciphersuites", kText, TextOrNull<&Config::tls_ciphersuites>,
                 "Ciphers for TLS 1.3; NULL: the library's."}},
    {.name = "ssl_wbuf_size",
     .value_name = "16",
     .help = "most KiB encrypted at a time",
     .kind = kInteger,
     .low = 1,
     .high = kTlsWriteKilobytesMax,
     .missing_text = "Missing ssl_wbuf_size argument",
     .range_text = "could not parse argument to ssl_wbuf_size",
     .effect = kApplied,
     .apply = SetNumber<std::uint32_t, &Config::tls_write_kilobytes>,
     .setting = {"ssl_wbuf_size", kGauge, WriteBytes, "Most bytes encrypted at a time."}},
    {.name = "ssl_min_version",
     .value_name = "2",
     .help = "oldest version: 0 is 1.0, ..., 3 is 1.3",
     .kind = kInteger,
     .high = 3,
     .missing_text = "Missing ssl_min_version argument",
     .range_text = "Invalid ssl_min_version. Use help to see valid options.",
     .effect = kApplied,
     .apply = SetNumber<int, &Config::tls_min_version>,
     .setting = {"ssl_min_version", kText, MinVersion, "Oldest version of TLS that is served."}},
    {.name = "ssl_session_cache",
     .help = "keep sessions in memory, not only tickets",
     .effect = kApplied,
     .apply = TurnOn<&Config::tls_session_cache>,
     .setting = {"ssl_session_cache", kSwitch, Switch<&Config::tls_session_cache>,
                 "Sessions are kept in memory, too."}},
    {.name = "ssl_kernel_tls",
     .help = "let the kernel encrypt, if it can",
     .effect = kApplied,
     .apply = TurnOn<&Config::tls_kernel>,
     .setting = {"ssl_kernel_tls", kSwitch, Switch<&Config::tls_kernel>,
                 "The kernel may encrypt what is sent."}},
    {.name = "ssl_handshake_timeout",
     .value_name = "{}",
     .help = "seconds until a handshake is given up",
     .kind = kInteger,
     .low = 1,
     .high = kTlsSecondsMax,
     .missing_text = "Missing ssl_handshake_timeout argument",
     .range_text = "ssl_handshake_timeout must be between 1 and 86400",
     .effect = kApplied,
     .apply = SetNumber<std::uint32_t, &Config::tls_handshake_timeout_s>,
     .setting = {"ssl_handshake_timeout", kGauge, Value<&Config::tls_handshake_timeout_s>,
                 "Seconds after which an unfinished handshake is given up."}},
    {.name = "ssl_reload_interval",
     .value_name = "{}",
     .help = "seconds between looks at the files",
     .kind = kInteger,
     .high = kTlsSecondsMax,
     .missing_text = "Missing ssl_reload_interval argument",
     .range_text = "ssl_reload_interval must be between 0 and 86400",
     .effect = kApplied,
     .apply = SetNumber<std::uint32_t, &Config::tls_reload_interval_s>,
     .setting = {"ssl_reload_interval", kGauge, Value<&Config::tls_reload_interval_s>,
                 "Seconds between two looks for changed certificates; 0: never."}},

    // The other options of memcached, sorted by name. They are not in the help text.
    {.name = "drop_privileges", .apply = WarnOfPrivileges},
    // The hash function is always XXH3: the option only changes what the row shows.
    {.name = "hash_algorithm",
     .kind = kChoice,
     .choices = {"jenkins", "murmur3", "xxh3"},
     .missing_text = "Missing hash_algorithm argument",
     .range_text = "Unknown hash_algorithm option (jenkins, murmur3, xxh3)",
     .setting = AcceptedSetting<"hash_algorithm", "xxh3">(kText, "Hash function of the keys."),
     .changes = {{{"hash_algorithm", kAsGiven}}}},
    // The index grows by itself, so its first size is not an option here.
    {.name = "hashpower",
     .kind = kInteger,
     .low = 12,
     .high = 32,
     .missing_text = "Missing numeric argument for hashpower",
     .range_text = "Initial hashtable multiplier must be between 12 and 32\n"
                   "Choose a value based on \"STAT hash_power_level\" from a running instance",
     .setting = AcceptedSetting<"hashpower_init", "0">(
         kGauge, "Binary logarithm of the buckets at the start; 0: not given."),
     .changes = {{{"hashpower_init", kAsGiven}}}},
    // The parameters of memcached's segments (hot, warm, temporary) have no effect, because the
    // segments here are different ones.
    {.name = "hot_lru_pct",
     .kind = kInteger,
     .low = 1,
     .high = 79,
     .missing_text = "Missing hot_lru_pct argument",
     .range_text = "hot_lru_pct must be > 1 and < 80",
     .setting = AcceptedSetting<"hot_lru_pct", "20">(
         kGauge, "Accepted: percent of memcached's hot segment.",
         {"memcached_lru_crawler_hot_percent"}),
     .changes = {{{"hot_lru_pct", kAsGiven}}}},
    {.name = "hot_max_factor",
     .kind = kFraction,
     .high = kAnyMax,
     .missing_text = "Missing hot_max_factor argument",
     .range_text = "hot_max_factor must be > 0",
     .setting = AcceptedSetting<"hot_max_factor", "0.20">(
         kGauge, "Accepted: greatest age in memcached's hot segment.",
         {"memcached_lru_crawler_hot_max_factor"}),
     .changes = {{{"hot_max_factor", kTwoDecimals}}}},
    // Items contain no prepared replies, so this and its opposite change nothing.
    {.name = "inline_ascii_resp"},
    // The search for expired items, which memcached calls the LRU crawler.
    {.name = "lru_crawler",
     .effect = kApplied,
     .apply = TurnOn<&Config::sweeps>,
     .setting = {"lru_crawler",
                 kSwitch,
                 Switch<&Config::sweeps>,
                 "Expired items are looked for.",
                 {"memcached_lru_crawler_enabled"}}},
    // The command `lru_crawler sleep` changes this value, and `lru_crawler tocrawl` the next one.
    {.name = "lru_crawler_sleep",
     .kind = kInteger,
     .high = 1'000'000,
     .missing_text = "Missing lru_crawler_sleep value",
     .range_text = "LRU crawler sleep must be between 0 and 1 second",
     .effect = kApplied,
     .apply = SetNumber<std::uint32_t, &Config::sweep_pause_us>,
     .setting = {"lru_crawler_sleep",
                 kGauge,
                 Value<&Config::sweep_pause_us>,
                 "Microseconds between two slices of looking for expired items.",
                 {"memcached_lru_crawler_sleep"}}},
    {.name = "lru_crawler_tocrawl",
     .kind = kInteger,
     .high = kUint32Max,
     .missing_text = "Missing lru_crawler_tocrawl value",
     .range_text = "lru_crawler_tocrawl takes a numeric 32bit value",
     .effect = kApplied,
     .apply = SetNumber<std::uint32_t, &Config::sweep_slice_max>,
     .setting = {"lru_crawler_tocrawl",
                 kGauge,
                 Value<&Config::sweep_slice_max>,
                 "Chunks looked at in a slice; 0: no bound.",
                 {"memcached_lru_crawler_to_crawl"}}},

    // memcached's maintainer thread does not exist here: the option only changes what the row
    // shows.
    {.name = "lru_maintainer",
     .setting = AcceptedSetting<"lru_maintainer_thread", "no">(
         kSwitch, "Accepted: memcached has a thread that moves items between segments.",
         {"memcached_lru_crawler_maintainer_thread"}),
     .changes = {{{"lru_maintainer_thread", kYes}}}},
    {.name = "maxconns_fast", .effect = kApplied, .apply = TurnOn<&Config::maxconns_fast>},
    {.name = "modern"},
    // Not memcached's: undoes no_mrc.
    {.name = "mrc", .effect = kApplied, .apply = TurnOn<&Config::estimate_miss_ratios>},
    // Items that are larger than a chunk always have several chunks: only the row changes.
    {.name = "no_chunked_items", .changes = {{{"slab_chunk_max", kMemcachedPage}}}},
    {.name = "no_drop_privileges"},
    // The index always grows.
    {.name = "no_hashexpand"},
    {.name = "no_inline_ascii_resp"},
    {.name = "no_lru_crawler", .effect = kApplied, .apply = TurnOff<&Config::sweeps>},
    // Conflicts with temporary_ttl, see CheckExtendedOptions().
    {.name = "no_lru_maintainer", .changes = {{{"lru_maintainer_thread", kNo}}}},
    // Stands for no_maxconns_fast, no_lru_crawler, no_slab_reassign and slab_automove=0.
    {.name = "no_modern",
     .apply = SetNoModern,
     .changes = {{{"slab_chunk_max", kMemcachedPage},
                  {"hash_algorithm", kJenkins},
                  {"lru_maintainer_thread", kNo}}}},
    // Not memcached's: undoes prefix_stats.
    {.name = "no_prefix_stats", .effect = kApplied, .apply = TurnOff<&Config::count_prefixes>},
    {.name = "no_slab_automove", .apply = SetNoPageMoves},
    {.name = "no_slab_reassign", .apply = TurnOff<&Config::slab_reassign>},
    // The input buffers have a fixed size for each worker, so their memory needs no limit.
    {.name = "read_buf_mem_limit",
     .kind = kInteger,
     .high = kUint32Max,
     .missing_text = "Missing read_buf_mem_limit argument",
     .range_text = "could not parse argument to read_buf_mem_limit",
     .setting = AcceptedSetting<"read_buf_mem_limit", "0">(
         kGauge, "Accepted: bytes of memcached's input buffers."),
     .changes = {{{"read_buf_mem_limit", kMegabytes}}}},
    // memcached has replaced this option by read_buf_mem_limit.
    {.name = "resp_obj_mem_limit", .apply = WarnOfReplyMemory},
    // This option is applied, and recorded as accepted too.
    {.name = "slab_automove",
     .kind = kOptionalInteger,
     .high = 2,
     .range_text = "slab_automove must be between 0 and 2",
     .apply = SetPageMoves,
     .setting = {"slab_automove", kGauge, PageMoves,
                 "Pages move to classes that need them: 0 no, 1 yes, 2 on less evidence."}},
    // The parameters of memcached's page mover, which compares ages. The page mover here compares
    // hits, so they have no effect.
    {.name = "slab_automove_ratio",
     .kind = kFraction,
     .high = 1,
     .missing_text = "Missing slab_automove_ratio argument",
     .range_text = "slab_automove_ratio must be > 0 and < 1",
     .setting = AcceptedSetting<"slab_automove_ratio", "0.80">(
         kGauge, "Accepted: ratio of ages at which memcached moves pages."),
     .changes = {{{"slab_automove_ratio", kTwoDecimals}}}},
    {.name = "slab_automove_window",
     .kind = kInteger,
     .low = 3,
     .high = 1800,
     .missing_text = "Missing slab_automove_window argument",
     .range_text = "slab_automove_window must be > 2 and < 1800",
     .setting = AcceptedSetting<"slab_automove_window", "10">(
         kGauge, "Accepted: seconds for which memcached observes before it moves pages."),
     .changes = {{{"slab_automove_window", kAsGiven}}}},
    // The largest chunk is half a page and cannot be changed.
    {.name = "slab_chunk_max",
     .kind = kInteger,
     .low = 1,
     .high = 1024,
     .missing_text = "Missing slab_chunk_max argument",
     .range_text = "slab_chunk_max must be specified in kilobytes.",
     .setting = AcceptedSetting<"slab_chunk_max", "131072">(
         kGauge, "Bytes of the largest chunk; larger items have several."),
     .changes = {{{"slab_chunk_max", kKilobytes}}}},
    // Without it no page ever moves, neither by itself nor by the command `slabs reassign`.
    {.name = "slab_reassign",
     .apply = TurnOn<&Config::slab_reassign>,
     .setting = {"slab_reassign", kSwitch, Switch<&Config::slab_reassign>,
                 "Pages may move between classes."}},
    // The list of sizes is checked, but the sizes of chunks follow from -f and -n.
    {.name = "slab_sizes", .kind = kChunkSizes, .missing_text = "Missing slab_sizes argument"},
    // A mark for sockets, which has no effect here.
    {.name = "sock_cookie_id",
     .kind = kInteger,
     .high = kUint32Max,
     .missing_text = "Missing sock_cookie_id argument",
     .range_text = "could not parse argument to sock_cookie_id"},
    // No item is held for ever, so there is nothing to repair.
    {.name = "tail_repair_time",
     .kind = kInteger,
     .low = 10,
     .high = kIntMax,
     .missing_text = "Missing numeric argument for tail_repair_time",
     .range_text = "Cannot set tail_repair_time to less than 10 seconds",
     .setting = AcceptedSetting<"tail_repair_time", "0">(
         kGauge, "Accepted: seconds until memcached frees an item that is held."),
     .changes = {{{"tail_repair_time", kAsGiven}}}},
    {.name = "temporary_ttl",
     .kind = kInteger,
     .high = kUint32Max,
     .missing_text = "Missing temporary_ttl argument",
     .range_text = "temporary_ttl must be >= 0",
     .setting = AcceptedSetting<"temporary_ttl", "61">(
         kGauge, "Accepted: longest life in memcached's segment for short lives."),
     .changes = {{{"temp_lru", kYes}, {"temporary_ttl", kAsGiven}}}},
    {.name = "warm_lru_pct",
     .kind = kInteger,
     .low = 1,
     .high = 79,
     .missing_text = "Missing warm_lru_pct argument",
     .range_text = "warm_lru_pct must be > 1 and < 80",
     .setting = AcceptedSetting<"warm_lru_pct", "40">(
         kGauge, "Accepted: percent of memcached's warm segment.",
         {"memcached_lru_crawler_warm_percent"}),
     .changes = {{{"warm_lru_pct", kAsGiven}}}},
    {.name = "warm_max_factor",
     .kind = kFraction,
     .high = kAnyMax,
     .missing_text = "Missing warm_max_factor argument",
     .range_text = "warm_max_factor must be > 0",
     .setting = AcceptedSetting<"warm_max_factor", "2.00">(
         kGauge, "Accepted: greatest age in memcached's warm segment.",
         {"memcached_lru_crawler_warm_max_factor"}),
     .changes = {{{"warm_max_factor", kTwoDecimals}}}},
});

// Whether a row has what its kind of value needs: limits, choices and messages.
constexpr bool FitsKind(const ExtendedOption& option) {
  const bool has_missing = !option.missing_text.empty();
  const bool has_range = !option.range_text.empty();
  switch (option.kind) {
    case ValueKind::kNone:
      return option.high == 0 && !has_missing && !has_range;
    case ValueKind::kInteger:
    case ValueKind::kFraction:
      return option.low < option.high && has_missing && has_range;
    case ValueKind::kOptionalInteger:
      return option.low < option.high && has_range;
    case ValueKind::kChoice:
      return !option.choices[0].empty() && has_missing && has_range;
    case ValueKind::kChunkSizes:
    case ValueKind::kAnyText:
      return has_missing;
    case ValueKind::kKeyFormat:
      return has_missing && has_range;
  }
  return false;
}
static_assert(std::ranges::all_of(kExtendedOptions, FitsKind));
// The rows of the help text come first.
static_assert(std::ranges::is_partitioned(kExtendedOptions, [](const ExtendedOption& option) {
  return !option.help.empty();
}));
// No name is given twice.
static_assert([] {
  for (const ExtendedOption& option : kExtendedOptions) {
    if (std::ranges::count(kExtendedOptions, option.name, &ExtendedOption::name) != 1) return false;
  }
  return true;
}());

// Whether a default that the help text shows has a setting that it comes from. g++ does not compare
// functions in constants when it looks for undefined behaviour, so this is no static_assert.
[[maybe_unused]] bool HasShownDefault(const ExtendedOption& option) {
  return option.value_name.find("{}") == option.value_name.npos || option.setting.get != nullptr;
}

}  // namespace

std::optional<int> ParseKeyFormat(std::string_view value) {
  std::string name(value);
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  if (name == "1" || name == "PEM") return 1;
  if (name == "2" || name == "DER") return 2;
  return std::nullopt;
}

std::span<const ExtendedOption> ExtendedOptions() {
  LARDER_ASSERT(std::ranges::all_of(kExtendedOptions, HasShownDefault));
  return kExtendedOptions;
}

}  // namespace larder::server
