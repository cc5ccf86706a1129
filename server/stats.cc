#include "server/stats.h"

#include <event2/event.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <optional>
#include <string>
#include <type_traits>

#include "protocol/binary_reply.h"
#include "protocol/meta_reply.h"
#include "protocol/numbers.h"
#include "protocol/reply.h"
#include "protocol/tokens.h"
#include "server/cluster.h"
#include "server/input/input_area.h"
#include "server/input/upload.h"
#include "server/memory_stats.h"
#include "server/settings_stats.h"
#include "server/socket/connection_table.h"
#include "server/socket/socket_address.h"

namespace larder::server {
namespace {

using slab::ClassId;
using slab::ClassSnapshot;
using slab::ClassStat;

// Descriptors that a worker needs for itself, as memcached counts them.
constexpr int kDescriptorsPerWorker = 5;

// memcached takes the first of these that begins with the word it got: `stats r` resets.
bool Abbreviates(std::string_view word, std::string_view name) { return name.starts_with(word); }

std::string Seconds(const timeval& time) {
  return fmt::format("{}.{:06}", time.tv_sec, time.tv_usec);
}

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
  }
  return "conn_unknown";
}

}  // namespace

// Writes `STAT <name> <value>` lines, or packets.
class Stats::Writer {
 public:
  explicit Writer(Output& output) : output_(output) {}
  Writer(Output& output, const protocol::Echo& echo) : output_(output), echo_(echo) {}

  template <class Value>
  void operator()(std::string_view name, const Value& value) {
    if constexpr (std::is_integral_v<Value>) {
      Write(name, fmt::format_int(value).c_str());
    } else {
      Write(name, value);
    }
  }

  // Ends the list.
  void End() {
    if (!echo_) return output_.Append(protocol::kEnd);
    WritePacket("", "");
  }

 private:
  void Write(std::string_view name, std::string_view value) {
    if (echo_) return WritePacket(name, value);
    output_.Append(protocol::kStatHead);
    output_.Append(name);
    output_.Append(" ");
    output_.Append(value);
    output_.Append(protocol::kCrlf);
  }
  void WritePacket(std::string_view name, std::string_view value) {
    char* const out = output_.Room(protocol::kPacketHeadBytes);
    output_.Commit(protocol::WriteReplyHead(
        out, *echo_, {.key_bytes = name.size(), .value_bytes = value.size()}));
    output_.Append(name);
    output_.Append(value);
  }

  Output& output_;
  const std::optional<protocol::Echo> echo_;
};

WorkerCounters& Stats::AddWorker() {
  const MutexLock lock(mutex_);
  return workers_.emplace_back();
}

std::uint64_t Stats::Sums::over_classes(ClassStat stat) const {
  std::uint64_t sum = 0;
  for (const ClassSums& of_class : classes) sum += of_class[static_cast<std::size_t>(stat)];
  return sum;
}

Stats::Sums Stats::Gather() const {
  Sums sums;
  sums.classes.resize(slab::kClassesMax + 1);
  sums.sweep_passes = shared_.sweep.passes_begun();
  for (const WorkerCounters& worker : workers_) worker.AddTo(sums.commands);
  shared_.cache.ForEachLane([&](const slab::Lane& lane) {
    sums.total_items += lane.total_items.value();
    for (std::size_t id = 0; id < lane.classes.size(); ++id) {
      lane.classes[id].AddTo(sums.classes[id]);
    }
  });
  return sums;
}

Stats::Sums Stats::GatherSinceReset() const {
  const MutexLock lock(mutex_);
  Sums sums = Gather();
  if (at_reset_.classes.empty()) return sums;
  for (std::size_t i = 0; i < sums.commands.size(); ++i) {
    sums.commands[i] -= at_reset_.commands[i];
  }
  sums.total_items -= at_reset_.total_items;
  sums.sweep_passes -= at_reset_.sweep_passes;
  for (std::size_t id = 0; id < sums.classes.size(); ++id) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(ClassStat::kRequestedBytes); ++i) {
      sums.classes[id][i] -= at_reset_.classes[id][i];
    }
  }
  return sums;
}

void Stats::Reset() {
  {
    const MutexLock lock(mutex_);
    at_reset_ = Gather();
  }
  shared_.cache.ResetClassStats();
  shared_.prefixes.Clear();
}

bool AskForCachedump(std::string_view arguments) {
  const std::string_view what = protocol::Tokens(arguments)[0];
  // As Stats::Report() goes through the names.
  for (const std::string_view earlier : {"reset", "detail", "settings"}) {
    if (Abbreviates(what, earlier)) return false;
  }
  return Abbreviates(what, "cachedump");
}

void Stats::Report(std::string_view arguments, slab::Lane& lane, Output& output) {
  const protocol::Tokens words(arguments);
  const std::string_view what = words[0];
  Writer writer(output);
  if (what.empty()) {
    General(lane, writer);
  } else if (Abbreviates(what, "reset")) {
    Reset();
    return output.Append(protocol::kReset);
  } else if (Abbreviates(what, "detail")) {
    return Detail(words[1], output);
  } else if (Abbreviates(what, "settings")) {
    Settings(writer);
  } else if (Abbreviates(what, "conns")) {
    Connections(lane, writer);
  } else if (Abbreviates(what, "extstore")) {
    // There is no external storage: an empty list, as a memcached built with it gives.
  } else if (what == "items") {
    Items(lane, writer);
  } else if (what == "slabs") {
    Slabs(lane, writer);
  } else if (what == "sizes") {
    Sizes(writer);
  } else if (what == "memory") {
    Memory(writer);
  } else {
    return output.Append(protocol::kError);
  }
  writer.End();
}

// Unlike those of text, the names of groups with arguments may go on, but not be cut.
bool Stats::ReportBinary(std::string_view key, const protocol::Echo& echo, slab::Lane& lane,
                         Output& output) {
  constexpr std::string_view kDetail = "detail";
  Writer writer(output, echo);
  if (key.empty()) {
    General(lane, writer);
  } else if (key.starts_with("reset")) {
    Reset();
  } else if (key.starts_with("settings")) {
    Settings(writer);
  } else if (key.starts_with(kDetail)) {
    if (!DetailBinary(key.substr(kDetail.size()), writer)) return false;
  } else if (key == "items") {
    Items(lane, writer);
  } else if (key == "slabs") {
    Slabs(lane, writer);
  } else if (key == "sizes") {
    Sizes(writer);
  } else if (key == "memory") {
    Memory(writer);
  } else {
    return false;
  }
  writer.End();
  return true;
}

void Stats::General(slab::Lane& lane, Writer& stat) {
  const Sums sums = GatherSinceReset();
  // Before the ages of the oldest items are asked for, which removes those that have expired.
  const slab::AliveCount alive = shared_.cache.Alive();
  const Config& config = shared_.config;
  const auto of = [&](Stat name) { return sums.command(name); };
  const auto hits = [&](ClassStat name) { return sums.over_classes(name); };
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  slab::ClassStats evictions;
  slab::QueueStats queues;
  for (const ClassSnapshot& snapshot : shared_.cache.Classes(lane)) {
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
  const bool is_segmented = shared_.cache.eviction_policy() == slab::EvictionPolicy::kSegmented;
  const std::uint64_t connections = shared_.connections.count();
  const slab::Index& index = shared_.cache.index();

  stat("pid", getpid());
  stat("uptime", lane.now_s - shared_.clock.started_s());
  stat("time", lane.wall_s());
  stat("version", WireVersion());
  stat("libevent", std::string_view(event_get_version()));
  stat("pointer_size", 8 * sizeof(void*));
  stat("rusage_user", Seconds(usage.ru_utime));
  stat("rusage_system", Seconds(usage.ru_stime));
  stat("max_connections", config.connections_max);
  stat("curr_connections", connections - std::min<std::uint64_t>(connections, 1));
  stat("total_connections", of(Stat::kTotalConnections));
  if (config.maxconns_fast) stat("rejected_connections", of(Stat::kRejectedConnections));
  stat("connection_structures", connections);
  // Replies and input have one area per worker each, for all its connections.
  stat("response_obj_oom", 0);
  stat("response_obj_count", 0);
  stat("response_obj_bytes", 0);
  stat("read_buf_count", config.threads);
  stat("read_buf_bytes", static_cast<std::uint64_t>(config.threads) * kInputBytes);
  stat("read_buf_bytes_free", 0);
  stat("read_buf_oom", 0);
  stat("reserved_fds", kDescriptorsPerWorker * config.threads);
  // Every key of a get is a hit or a miss; gat counts as a touch.
  stat("cmd_get", hits(ClassStat::kGetHits) + of(Stat::kGetMisses));
  stat("cmd_set", hits(ClassStat::kCmdSet));
  stat("cmd_flush", of(Stat::kCmdFlush));
  stat("cmd_touch", of(Stat::kCmdTouch));
  stat("cmd_meta", of(Stat::kCmdMeta));
  stat("get_hits", hits(ClassStat::kGetHits));
  stat("get_misses", of(Stat::kGetMisses));
  stat("get_expired", of(Stat::kGetExpired));
  stat("get_flushed", of(Stat::kGetFlushed));
  stat("delete_misses", of(Stat::kDeleteMisses));
  stat("delete_hits", hits(ClassStat::kDeleteHits));
  stat("incr_misses", of(Stat::kIncrMisses));
  stat("incr_hits", hits(ClassStat::kIncrHits));
  stat("decr_misses", of(Stat::kDecrMisses));
  stat("decr_hits", hits(ClassStat::kDecrHits));
  stat("cas_misses", of(Stat::kCasMisses));
  stat("cas_hits", hits(ClassStat::kCasHits));
  stat("cas_badval", hits(ClassStat::kCasBadval));
  stat("touch_hits", hits(ClassStat::kTouchHits));
  stat("touch_misses", of(Stat::kTouchMisses));
  stat("store_too_large", of(Stat::kStoreTooLarge));
  stat("store_no_memory", of(Stat::kStoreNoMemory));
  stat("auth_cmds", of(Stat::kAuthCmds));
  stat("auth_errors", of(Stat::kAuthErrors));
  if (config.idle_timeout_s > 0) stat("idle_kicks", of(Stat::kIdleKicks));
  stat("bytes_read", of(Stat::kBytesRead));
  stat("bytes_written", of(Stat::kBytesWritten));
  stat("limit_maxbytes", shared_.cache.memory_limit_bytes());
  stat("accepting_conns", shared_.accepting.load(std::memory_order_relaxed) ? 1 : 0);
  stat("listen_disabled_num", of(Stat::kListenDisabled));
  stat("time_in_listen_disabled_us", of(Stat::kTimeInListenDisabledUs));
  stat("threads", config.threads);
  stat("conn_yields", of(Stat::kConnYields));
  stat("hash_power_level", std::bit_width(index.bucket_count()) - 1);
  stat("hash_bytes", index.used_bytes());
  stat("hash_is_expanding", 0);
  if (config.slab_reassign) {
    const slab::PageMoveStats moves = shared_.cache.page_move_stats();
    stat("slab_reassign_rescues", moves.moved_items);
    stat("slab_reassign_chunk_rescues", moves.moved_pieces);
    stat("slab_reassign_inline_reclaim", evictions.evicted_for_page);
    stat("slab_reassign_busy_items", moves.busy_pages);
    stat("slab_reassign_busy_deletes", 0);
    stat("slab_reassign_busy_nomem", moves.dropped_items);
    stat("slab_reassign_last_busy_status",
         std::string_view(moves.busy_pages != 0 ? "in_use" : "none"));
    stat("slab_reassign_running", moves.is_running ? 1 : 0);
  }
  stat("slabs_moved", shared_.cache.pages_moved());
  if (shared_.sweep.is_enabled()) {
    stat("lru_crawler_running", shared_.sweep.is_running() ? 1 : 0);
    stat("lru_crawler_starts", sums.sweep_passes);
  }
  stat("malloc_fails", 0);
  stat("log_worker_dropped", 0);
  stat("log_worker_written", 0);
  stat("log_watcher_skipped", 0);
  stat("log_watcher_sent", 0);
  stat("log_watchers", 0);
  stat("unexpected_napi_ids", 0);
  stat("round_robin_fallback", 0);
  stat("bytes", alive.bytes);
  stat("curr_items", alive.items);
  stat("total_items", sums.total_items);
  stat("slab_global_page_pool", shared_.cache.arena().free_pages());
  stat("expired_unfetched", evictions.expired_unfetched);
  stat("evicted_unfetched", evictions.evicted_unfetched);
  if (is_segmented) stat("evicted_active", queues.evicted_active);
  stat("evictions", evictions.evicted);
  stat("reclaimed", evictions.reclaimed);
  stat("crawler_reclaimed", evictions.crawler_reclaimed);
  stat("crawler_items_checked", evictions.crawler_items_checked);
  stat("lrutail_reflocked", queues.put_back);
  if (is_segmented) {
    stat("moves_to_cold", queues.promoted);
    stat("moves_to_warm", 0);
    stat("moves_within_lru", queues.second_chances);
    stat("direct_reclaims", evictions.evicted + evictions.reclaimed);
    stat("lru_bumps_dropped", 0);
  }
  // Larder's own.
  stat("get_misses_evicted", of(Stat::kGetMissesEvicted));
  stat("get_misses_expired", of(Stat::kGetMissesExpired));
  stat("get_misses_deleted", of(Stat::kGetMissesDeleted));
  stat("get_misses_flushed", of(Stat::kGetMissesFlushed));
  stat("get_misses_too_large", of(Stat::kGetMissesTooLarge));
  stat("get_misses_no_memory", of(Stat::kGetMissesNoMemory));
  stat("get_misses_not_seen", of(Stat::kGetMissesNotSeen));
  stat("upload_kicks", of(Stat::kUploadKicks));
  // ElastiCache's, and one of our own.
  stat("cmd_config_get", of(Stat::kCmdConfigGet));
  stat("cmd_config_set", of(Stat::kCmdConfigSet));
  stat("config_errors", of(Stat::kConfigErrors));
  stat("curr_config", shared_.cluster.Current() != nullptr ? 1 : 0);
}

void Stats::Settings(Writer& stat) {
  const RuntimeSettings runtime{
      .memory_bytes = shared_.cache.memory_limit_bytes(),
      .verbosity = shared_.verbosity.load(std::memory_order_relaxed),
      .oldest_s =
          shared_.flushed_s.load(std::memory_order_relaxed) == 0
              ? 0
              : shared_.flushed_s.load(std::memory_order_relaxed) - shared_.clock.started_s(),
      .detail_enabled = shared_.detail_enabled.load(std::memory_order_relaxed),
      .eviction = shared_.cache.eviction_policy(),
      .sweeps = shared_.sweep.is_enabled(),
      .sweep_pause_us = shared_.sweep.pause_min_us(),
      .sweep_slice_max = shared_.sweep.slice_max(),
      .page_moves = shared_.cache.page_moves()};
  AppendSettings(shared_.config, runtime,
                 [&](std::string_view name, std::string_view value) { stat(name, value); });
}

void Stats::Items(slab::Lane& lane, Writer& stat) {
  const Sums sums = GatherSinceReset();
  const bool is_segmented = shared_.cache.eviction_policy() == slab::EvictionPolicy::kSegmented;
  for (const ClassSnapshot& snapshot : shared_.cache.Classes(lane)) {
    if (snapshot.items() == 0) continue;
    const auto row = [&](std::string_view name, std::uint64_t value) {
      stat(fmt::format("items:{}:{}", snapshot.id, name), value);
    };
    const slab::QueueStats& queue = snapshot.queue;
    row("number", snapshot.items());
    if (is_segmented) {
      row("number_hot", snapshot.probation_items);
      row("number_warm", 0);
      row("number_cold", snapshot.main_items);
      row("age_hot", snapshot.probation_age_s);
      row("age_warm", 0);
    }
    row("age", snapshot.main_items != 0 ? snapshot.main_age_s : snapshot.probation_age_s);
    row("mem_requested", sums.in_class(snapshot.id, ClassStat::kRequestedBytes));
    row("evicted", snapshot.stats.evicted);
    row("evicted_nonzero", snapshot.stats.evicted_nonzero);
    row("evicted_time", snapshot.stats.evicted_age_s);
    row("outofmemory", snapshot.stats.out_of_memory);
    row("tailrepairs", 0);
    row("reclaimed", snapshot.stats.reclaimed);
    row("expired_unfetched", snapshot.stats.expired_unfetched);
    row("evicted_unfetched", snapshot.stats.evicted_unfetched);
    if (is_segmented) row("evicted_active", queue.evicted_active);
    row("crawler_reclaimed", snapshot.stats.crawler_reclaimed);
    row("crawler_items_checked", snapshot.stats.crawler_items_checked);
    row("lrutail_reflocked", queue.put_back);
    if (!is_segmented) continue;
    row("moves_to_cold", queue.promoted);
    row("moves_to_warm", 0);
    row("moves_within_lru", queue.second_chances);
    row("direct_reclaims", snapshot.stats.evicted + snapshot.stats.reclaimed);
    // Larder's own rows.
    row("evicted_hot", queue.evicted_from_probation);
    row("evicted_cold", queue.evicted_from_main);
    row("evicted_for_page", snapshot.stats.evicted_for_page);
    row("ghosts_hot", queue.ghosts_of_probation);
    row("ghosts_cold", queue.ghosts_of_main);
    row("ghost_bytes", snapshot.ghost_bytes);
    row("target_hot", snapshot.probation_target);
  }
}

void Stats::Slabs(slab::Lane& lane, Writer& stat) {
  const Sums sums = GatherSinceReset();
  std::uint64_t pages = 0;
  std::uint64_t active = 0;
  for (const ClassSnapshot& snapshot : shared_.cache.Classes(lane)) {
    if (snapshot.pages == 0) continue;
    ++active;
    pages += snapshot.pages;
    const auto row = [&](std::string_view name, std::uint64_t value) {
      stat(fmt::format("{}:{}", snapshot.id, name), value);
    };
    const auto counted = [&](std::string_view name, ClassStat stat_name) {
      row(name, sums.in_class(snapshot.id, stat_name));
    };
    const std::uint64_t chunks = std::uint64_t{snapshot.pages} * snapshot.chunks_per_page;
    row("chunk_size", snapshot.chunk_bytes);
    row("chunks_per_page", snapshot.chunks_per_page);
    row("total_pages", snapshot.pages);
    row("total_chunks", chunks);
    row("used_chunks", snapshot.used_chunks);
    row("free_chunks", chunks - snapshot.used_chunks);
    row("free_chunks_end", 0);
    counted("get_hits", ClassStat::kGetHits);
    counted("cmd_set", ClassStat::kCmdSet);
    counted("delete_hits", ClassStat::kDeleteHits);
    counted("incr_hits", ClassStat::kIncrHits);
    counted("decr_hits", ClassStat::kDecrHits);
    counted("cas_hits", ClassStat::kCasHits);
    counted("cas_badval", ClassStat::kCasBadval);
    counted("touch_hits", ClassStat::kTouchHits);
  }
  stat("active_slabs", active);
  stat("total_malloced", pages * slab::kPageBytes);
}

void Stats::Sizes(Writer& stat) {
  if (!shared_.config.track_sizes) return stat("sizes_status", std::string_view("disabled"));
  std::vector<std::uint64_t> counts;
  shared_.cache.ForEachLane([&](const slab::Lane& lane) {
    counts.resize(std::max(counts.size(), lane.sizes.size()));
    for (std::size_t i = 0; i < lane.sizes.size(); ++i) counts[i] += lane.sizes[i].value();
  });
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] != 0) stat(fmt::format("{}", i * slab::kSizeStepBytes), counts[i]);
  }
}

void Stats::Memory(Writer& stat) {
  BufferGauges::Values buffers{};
  {
    const MutexLock lock(mutex_);
    for (const WorkerCounters& worker : workers_) worker.buffers.AddTo(buffers);
  }
  AppendMemory(shared_.cache.Memory(), buffers, shared_.uploads.held_bytes(), ResidentSetBytes(),
               [&](std::string_view name, std::int64_t bytes) { stat(name, bytes); });
}

void Stats::Connections(slab::Lane& lane, Writer& stat) {
  shared_.connections.ForEach([&](int fd, const ConnectionInfo& info) {
    const ConnectionState state = info.state.load(std::memory_order_relaxed);
    const auto name = [fd](std::string_view what) { return fmt::format("{}:{}", fd, what); };
    if (state == ConnectionState::kListening) {
      stat(name("addr"), LocalAddress(fd));
    } else {
      stat(name("addr"), PeerAddress(fd));
      stat(name("listen_addr"), LocalAddress(fd));
    }
    stat(name("state"), StateName(state));
    stat(name("secs_since_last_cmd"),
         lane.now_s - std::min(lane.now_s, info.last_command_s.load(std::memory_order_relaxed)));
  });
}

void Stats::Detail(std::string_view what, Output& output) {
  if (!shared_.config.dump_enabled) return output.Append(protocol::kStatsDetailNotAllowed);
  if (what == "on" || what == "off") {
    shared_.detail_enabled.store(what == "on", std::memory_order_relaxed);
    return output.Append(protocol::kOk);
  }
  if (what != "dump") return output.Append(protocol::kStatsDetailUsage);
  output.Append(shared_.prefixes.Dump());
  output.Append(protocol::kEnd);
}

bool Stats::DetailBinary(std::string_view what, Writer& writer) {
  if (!shared_.config.dump_enabled) return false;
  const bool is_on = what.starts_with(" on");
  if (is_on || what.starts_with(" off")) {
    shared_.detail_enabled.store(is_on, std::memory_order_relaxed);
    return true;
  }
  if (!what.starts_with(" dump")) return false;
  writer(protocol::kDetailedKey, shared_.prefixes.Dump() + std::string(protocol::kEnd));
  return true;
}

}  // namespace larder::server
