#include "server/stats.h"

#include <event2/event.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <vector>

#include "protocol/binary/binary_reply.h"
#include "protocol/encoding/numbers.h"
#include "protocol/encoding/percent.h"
#include "protocol/meta/meta_reply.h"
#include "protocol/text/text_reply.h"
#include "protocol/text/tokens.h"
#include "server/certificates.h"
#include "server/cluster.h"
#include "server/config/settings.h"
#include "server/config/version.h"
#include "server/input/input_area.h"
#include "server/input/upload.h"
#include "server/metrics/class_metrics.h"
#include "server/metrics/general_metrics.h"
#include "server/metrics/memory_metrics.h"
#include "server/metrics/mrc_metrics.h"
#include "server/metrics/prefix_metrics.h"
#include "server/socket/connection_table.h"
#include "server/socket/socket_address.h"
#include "server/watch/watch_hub.h"
#include "slab/cache.h"
#include "slab/check.h"
#include "slab/expiry_sweep.h"

namespace larder::server {
namespace {

using slab::ClassSnapshot;
using slab::EvictionPolicy;

// Converts a time of the system's interface.
std::chrono::microseconds Duration(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

// Returns memcached's name of a state of a connection.
std::string_view StateName(ConnectionState state) {
  switch (state) {
    case ConnectionState::kListening:
      return "conn_listening";
    case ConnectionState::kWaiting:
      return "conn_waiting";
    case ConnectionState::kParseCmd:
      return "conn_parse_cmd";
    case ConnectionState::kNread:
      return "conn_nread";
    case ConnectionState::kSwallow:
      return "conn_swallow";
    case ConnectionState::kMwrite:
      return "conn_mwrite";
    case ConnectionState::kWatch:
      return "conn_watch";
  }
  LARDER_ASSERT(false && "a state without a name");
  return "conn_unknown";
}

// A prefix as `lru_crawler metadump` would print it.
std::string Encoded(std::string_view prefix) {
  std::string text(protocol::PercentEncodedBytesMax(prefix.size()), '\0');
  text.resize(static_cast<std::size_t>(protocol::EncodePercent(text.data(), prefix) - text.data()));
  return text;
}

// Returns the version of TLS and the cipher of a connection; empty: it is not encrypted.
std::string TlsText(const ConnectionInfo& info, const Certificates* certificates) {
  const std::uint8_t version = info.tls_version.load(std::memory_order_relaxed);
  if (version == 0 || certificates == nullptr) return {};
  return fmt::format(
      "{} {}", TlsContexts::VersionName(version),
      certificates->Current()->CipherName(info.tls_cipher.load(std::memory_order_relaxed)));
}

// Adds what rows about TLS print.
void SampleTls(const Config& config, const Certificates& certificates, std::uint64_t time_s,
               ServerSample& sample) {
  const CertificateState state = certificates.state();
  const auto now_s = static_cast<std::int64_t>(time_s);
  sample.speaks_tls = true;
  sample.keeps_sessions = config.tls_session_cache;
  sample.has_signers = state.facts.ca_expires_at_s != 0;
  sample.certificate_age_s = state.age_s;
  sample.certificate_expires_in_s = state.facts.expires_at_s - now_s;
  sample.signer_expires_in_s = state.facts.ca_expires_at_s - now_s;
  sample.certificate_reload_errors = state.reload_errors;
  sample.certificate_serial = state.facts.serial;
}

// The lists that need more than their rows.
constexpr std::string_view kReset = "reset";
constexpr std::string_view kDetail = "detail";
constexpr std::string_view kCachedump = "cachedump";

}  // namespace

// --- Lists -------------------------------------------------------------------------------------

// A list of statistics, as clients ask for it.
struct Stats::List {
  // How the word of a client and the name of a list have to agree.
  enum class Match : std::uint8_t {
    kNever,    // The protocol does not have the list.
    kWhole,    // They are equal.
    kShorter,  // The word is a beginning of the name, and not empty.
    kLonger,   // The word begins with the name.
  };

  std::string_view name;
  Match in_text;
  Match in_binary;
  // Writes the rows; nullptr: the reply consists of more than rows, or changes something.
  void (Stats::*write)(slab::Lane&, StatWriter&) const;

  // All lists, in the order in which they are searched.
  static const std::array<List, 13> kAll;

  // Returns whether `word` and `name` agree in this way.
  static bool Matches(Match match, std::string_view word, std::string_view name) {
    switch (match) {
      case Match::kNever:
        return false;
      case Match::kWhole:
        return word == name;
      case Match::kShorter:
        return !word.empty() && name.starts_with(word);
      case Match::kLonger:
        return word.starts_with(name);
    }
    LARDER_ASSERT(false && "a way to match that is not known");
    return false;
  }
  // Returns the first list that matches, or nullptr. `protocol` selects in_text or in_binary.
  static const List* Find(std::string_view word, Match List::*protocol) {
    const auto* const found = std::ranges::find_if(
        kAll, [&](const List& list) { return Matches(list.*protocol, word, list.name); });
    return found == kAll.end() ? nullptr : found;
  }
};

// In memcached's order, which matters for shortened words: `stats c` means cachedump, and `stats
// co` means conns.
const std::array<Stats::List, 13> Stats::List::kAll = {{
    // name, in_text, in_binary, write
    // `stats` without arguments.
    {"", Match::kWhole, Match::kWhole, &Stats::General},
    {kReset, Match::kShorter, Match::kLonger, nullptr},
    {kDetail, Match::kShorter, Match::kLonger, nullptr},
    {"settings", Match::kShorter, Match::kLonger, &Stats::Settings},
    {kCachedump, Match::kShorter, Match::kNever, nullptr},
    {"conns", Match::kShorter, Match::kNever, &Stats::Connections},
    // There is no external storage: the list is empty, like that of a memcached that is built with
    // it.
    {"extstore", Match::kShorter, Match::kNever, &Stats::Nothing},
    // These names cannot be shortened, as in memcached; "memory", "mrc" and "prefixes" are this
    // server's own.
    {"items", Match::kWhole, Match::kWhole, &Stats::Items},
    {"slabs", Match::kWhole, Match::kWhole, &Stats::Slabs},
    {"sizes", Match::kWhole, Match::kWhole, &Stats::Sizes},
    {"memory", Match::kWhole, Match::kWhole, &Stats::Memory},
    {"mrc", Match::kWhole, Match::kWhole, &Stats::Mrc},
    {"prefixes", Match::kWhole, Match::kWhole, &Stats::Prefixes},
}};

StreamedList StreamedListOf(std::string_view arguments) {
  const protocol::Tokens words(arguments);
  const auto* const list = Stats::List::Find(words[0], &Stats::List::in_text);
  if (list == nullptr) return StreamedList::kNone;
  if (list->name == kCachedump) return StreamedList::kCachedump;
  return list->name == kDetail && words[1] == "dump" ? StreamedList::kDetailDump
                                                     : StreamedList::kNone;
}

std::string Stats::Report(std::string_view arguments, slab::Lane& lane) {
  LARDER_ASSERT(StreamedListOf(arguments) == StreamedList::kNone);
  const protocol::Tokens words(arguments);
  // Only the first word selects the list.
  const List* const list = List::Find(words[0], &List::in_text);
  if (list == nullptr) return std::string(protocol::kError);
  std::string reply;
  if (list->write != nullptr) {
    StatWriter writer(reply);
    (this->*list->write)(lane, writer);
    writer.End();
  } else if (list->name == kDetail) {
    // Tokens returns an empty text if there is no second word.
    reply = Detail(words[1]);
  } else if (list->name == kReset) {
    Reset();
    reply = protocol::kReset;
  }
  LARDER_ASSERT(!reply.empty());
  return reply;
}

std::string Stats::ReportBinary(std::string_view key, const protocol::Echo& echo,
                                slab::Lane& lane) {
  const List* const list = List::Find(key, &List::in_binary);
  // An empty text makes the reporter send "Not found".
  if (list == nullptr) return {};
  std::string reply;
  StatWriter writer(reply, echo);
  if (list->write != nullptr) {
    (this->*list->write)(lane, writer);
  } else if (list->name == kDetail) {
    LARDER_ASSERT(key.starts_with(kDetail));
    if (!DetailBinary(key.substr(kDetail.size()), writer)) return {};
  } else if (list->name == kReset) {
    Reset();
  }
  writer.End();
  return reply;
}

// --- Sums --------------------------------------------------------------------------------------

WorkerCounters& Stats::AddWorker() {
  const MutexLock lock(mutex_);
  return workers_.emplace_back();
}

CounterSums Stats::Gather() const {
  CounterSums sums;
  // Classes are numbered from 1; class 0 has the stores that reached no class.
  sums.classes.resize(slab::kClassesMax + 1);
  sums.sweep_passes = shared_.sweep.passes_begun();
  if (shared_.cache.counts_prefixes()) sums.prefixes.resize(slab::kPrefixRows);
  // The counters go on while they are summed; each is read once.
  for (const WorkerCounters& worker : workers_) worker.AddTo(sums.commands);
  shared_.cache.ForEachLane([&](const slab::Lane& lane) {
    sums.total_items += lane.total_items.value();
    LARDER_ASSERT(lane.classes.size() <= sums.classes.size());
    for (std::size_t id = 0; id < lane.classes.size(); ++id) {
      lane.classes[id].AddTo(sums.classes[id]);
    }
    for (std::size_t row = 0; row < sums.prefixes.size(); ++row) {
      lane.prefixes->rows[row].AddTo(sums.prefixes[row]);
    }
  });
  return sums;
}

CounterSums Stats::GatherSinceReset() const {
  const MutexLock lock(mutex_);
  CounterSums sums = Gather();
  // Before the first reset there is nothing to subtract.
  if (!at_reset_.classes.empty()) sums.Subtract(at_reset_);
  return sums;
}

void Stats::Reset() {
  // Counters have one writer each, so they cannot be set to 0 here: their sums are remembered
  // instead.
  {
    const MutexLock lock(mutex_);
    at_reset_ = Gather();
  }
  // Statistics that are kept under a lock can be set to 0.
  shared_.cache.census().ResetClassStats();
  shared_.prefixes.Clear();
}

ServerSample Stats::SampleServer(slab::Lane& lane) const {
  LARDER_ASSERT(lane.now_s >= shared_.clock.started_s());
  const Config& config = shared_.config;
  slab::Cache& cache = shared_.cache;
  rusage usage{};
  // CPU time of all threads of the process.
  getrusage(RUSAGE_SELF, &usage);
  ServerSample sample{.sums = GatherSinceReset(),
                      .pid = getpid(),
                      .uptime_s = lane.now_s - shared_.clock.started_s(),
                      .time_s = lane.wall_s(),
                      .version = WireVersion(),
                      .libevent_version = event_get_version(),
                      .user_time = Duration(usage.ru_utime),
                      .system_time = Duration(usage.ru_stime),
                      .connections_max = config.connections_max,
                      .threads = config.threads,
                      .idle_timeout_s = config.idle_timeout_s,
                      .refuses_at_once = config.maxconns_fast,
                      .can_move_pages = config.slab_reassign,
                      .is_segmented = cache.eviction_policy() == EvictionPolicy::kSegmented,
                      .sweeps = shared_.sweep.is_enabled(),
                      .connections = shared_.connections.count(),
                      .input_buffer_bytes = kInputBytes,
                      .is_accepting = shared_.accepting.load(std::memory_order_relaxed),
                      .is_sweeping = shared_.sweep.is_running(),
                      .has_node_list = shared_.cluster.Current() != nullptr,
                      .watchers = shared_.watch.count(),
                      .live_drops = cache.live_drops(),
                      .memory_limit_bytes = cache.memory_limit_bytes(),
                      .index_buckets = cache.index().bucket_count(),
                      .index_bytes = cache.index().used_bytes(),
                      .free_pages = cache.arena().free_pages(),
                      .pages_moved = cache.page_mover().pages_moved(),
                      .page_moves = cache.page_mover().stats(),
                      .alive = cache.Alive()};
  if (shared_.certificates != nullptr) {
    SampleTls(config, *shared_.certificates, sample.time_s, sample);
  }
  // After the items were counted, because asking for the ages of items removes those that have
  // expired.
  for (const ClassSnapshot& snapshot : shared_.cache.census().CleanAndDescribeClasses(lane))
    sample.AddClass(snapshot);
  return sample;
}

// --- Lists, row by row -------------------------------------------------------------------------

void Stats::General(slab::Lane& lane, StatWriter& writer) const {
  writer.WriteRows(GeneralMetrics(), SampleServer(lane));
}

void Stats::Settings(slab::Lane&, StatWriter& writer) const {
  const std::uint32_t flushed_s = shared_.flushed_s.load(std::memory_order_relaxed);
  const RuntimeSettings runtime{
      .memory_bytes = shared_.cache.memory_limit_bytes(),
      .verbosity = shared_.verbosity.load(std::memory_order_relaxed),
      // 0 stands for "never" in both representations.
      .oldest_s = flushed_s == 0 ? 0 : flushed_s - shared_.clock.started_s(),
      .detail_enabled = shared_.detail_enabled.load(std::memory_order_relaxed),
      .eviction = shared_.cache.eviction_policy(),
      .sweeps = shared_.sweep.is_enabled(),
      .sweep_pause_us = shared_.sweep.pause_min_us(),
      .sweep_slice_max = shared_.sweep.slice_max(),
      .page_moves = shared_.cache.page_mover().moves()};
  writer.WriteRows(SettingsMetrics(), SettingsSample(shared_.config, runtime));
}

void Stats::Items(slab::Lane& lane, StatWriter& writer) const {
  const CounterSums sums = GatherSinceReset();
  const bool is_segmented = shared_.cache.eviction_policy() == EvictionPolicy::kSegmented;
  for (const ClassSnapshot& snapshot : shared_.cache.census().CleanAndDescribeClasses(lane)) {
    // memcached omits classes without items, and below those without pages.
    if (snapshot.items() == 0) continue;
    LARDER_ASSERT(snapshot.id < sums.classes.size());
    writer.WriteRows(
        ItemsMetrics(),
        ClassSample{
            .snapshot = snapshot, .sums = sums.classes[snapshot.id], .is_segmented = is_segmented},
        fmt::format("items:{}:", snapshot.id));
  }
}

void Stats::Slabs(slab::Lane& lane, StatWriter& writer) const {
  const CounterSums sums = GatherSinceReset();
  // Summed while the classes are printed, so that the totals fit the rows.
  SlabTotals totals;
  for (const ClassSnapshot& snapshot : shared_.cache.census().CleanAndDescribeClasses(lane)) {
    if (snapshot.pages == 0) continue;
    LARDER_ASSERT(snapshot.id < sums.classes.size());
    ++totals.classes;
    totals.pages += snapshot.pages;
    writer.WriteRows(SlabsMetrics(),
                     ClassSample{.snapshot = snapshot, .sums = sums.classes[snapshot.id]},
                     fmt::format("{}:", snapshot.id));
  }
  writer.WriteRows(SlabTotalsMetrics(), totals);
}

// A histogram: the names of the rows are sizes in bytes, and the values are numbers of items.
void Stats::Sizes(slab::Lane&, StatWriter& writer) const {
  if (!shared_.config.track_sizes) return writer.Write("sizes_status", "disabled");
  std::vector<std::uint64_t> counts;
  shared_.cache.ForEachLane([&](const slab::Lane& lane) {
    counts.resize(std::max(counts.size(), lane.sizes.size()));
    for (std::size_t i = 0; i < lane.sizes.size(); ++i) counts[i] += lane.sizes[i].value();
  });
  for (std::size_t i = 0; i < counts.size(); ++i) {
    // Only sizes that occur.
    if (counts[i] != 0) writer.Write(ValueText(i * slab::kSizeStepBytes), ValueText(counts[i]));
  }
}

void Stats::Memory(slab::Lane&, StatWriter& writer) const {
  MemorySample sample;
  {
    // Only the list of workers needs the lock; the sums below may take milliseconds.
    const MutexLock lock(mutex_);
    for (const WorkerCounters& worker : workers_) worker.buffers.AddTo(sample.buffers);
  }
  sample.use = shared_.cache.census().Memory();
  sample.upload_bytes = shared_.uploads.held_bytes();
  sample.staged_bytes = shared_.uploads.staging_bytes();
  sample.resident_bytes = ResidentSetBytes();
  writer.WriteRows(MemoryMetrics(), sample);
}

void Stats::Mrc(slab::Lane&, StatWriter& writer) const {
  const slab::MissRatioEstimate estimate = shared_.cache.EstimateMissRatios();
  if (!estimate.is_on) return writer.Write("mrc_status", "disabled");
  writer.WriteRows(MrcMetrics(), estimate);
  for (std::size_t size = 0; size < slab::kSimulatedSizes; ++size) {
    writer.WriteRows(MrcPointMetrics(), MrcPoint{.estimate = estimate, .size = size},
                     fmt::format("mrc:{}:", slab::kSizePercents[size]));
  }
}

// Prefixes of keys are data of clients, so -X forbids this list.
void Stats::Prefixes(slab::Lane&, StatWriter& writer) const {
  if (!shared_.config.dump_enabled) return writer.Write("prefixes_status", "not allowed");
  if (!shared_.cache.counts_prefixes()) return writer.Write("prefixes_status", "disabled");
  const slab::PrefixTable& table = shared_.cache.prefixes();
  // Rows that are added from here on are not listed.
  const std::size_t rows = table.row_count();
  const CounterSums sums = GatherSinceReset();
  LARDER_ASSERT(rows <= sums.prefixes.size());
  writer.Write("prefixes", ValueText(rows - 1));
  for (std::size_t row = 1; row < rows; ++row) {
    const std::string name = table.NameOf(static_cast<slab::PrefixRow>(row));
    writer.WriteRows(PrefixMetrics(), PrefixSample{sums.prefixes[row]},
                     fmt::format("prefix:{}:", Encoded(name)));
  }
  writer.WriteRows(PrefixMetrics(), PrefixSample{sums.prefixes[slab::kOthers]}, "others:");
}

void Stats::Connections(slab::Lane& lane, StatWriter& writer) const {
  shared_.connections.ForEach([&](int fd, const ConnectionInfo& info) {
    const ConnectionState state = info.state.load(std::memory_order_relaxed);
    // A listener has no peer.
    const bool is_listener = state == ConnectionState::kListening;
    const std::string local = LocalAddress(fd);
    const std::string address = is_listener ? local : PeerAddress(fd);
    const std::uint32_t last_s = info.last_input_s.load(std::memory_order_relaxed);
    writer.WriteRows(ConnectionMetrics(),
                     ConnectionSample{.address = address,
                                      .listen_address = local,
                                      .state = StateName(state),
                                      // A connection may have had a command since the lane's time
                                      // was set.
                                      .idle_s = lane.now_s - std::min(lane.now_s, last_s),
                                      .is_listener = is_listener,
                                      .tls = TlsText(info, shared_.certificates)},
                     fmt::format("{}:", fd));
  });
}

void Stats::Nothing(slab::Lane&, StatWriter&) const {}

// --- Detail ------------------------------------------------------------------------------------

// Prefixes of keys are data of other clients, so -X forbids them.
std::string Stats::Detail(std::string_view what) {
  if (!shared_.config.dump_enabled) return std::string(protocol::kStatsDetailNotAllowed);
  if (what == "on" || what == "off") {
    shared_.detail_enabled.store(what == "on", std::memory_order_relaxed);
    return std::string(protocol::kOk);
  }
  return std::string(protocol::kStatsDetailUsage);
}

bool Stats::DetailBinary(std::string_view what, StatWriter& writer) {
  if (!shared_.config.dump_enabled) return false;
  // `what` is the rest of the packet's key behind "detail", for example " on".
  const bool is_on = what.starts_with(" on");
  if (is_on || what.starts_with(" off")) {
    shared_.detail_enabled.store(is_on, std::memory_order_relaxed);
    return true;
  }
  if (!what.starts_with(" dump")) return false;
  writer.Write(protocol::kDetailedKey, shared_.prefixes.Dump().append(protocol::kEnd));
  return true;
}

}  // namespace larder::server
