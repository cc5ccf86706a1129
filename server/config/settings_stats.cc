#include "server/config/settings_stats.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "server/config/option_number.h"
#include "slab/arena.h"

namespace larder::server {
namespace {

// How the value of an accepted -o option becomes that of its row.
enum class Shown : std::uint8_t {
  kYes,
  kNo,
  kJenkins,
  kPageBytes,  // memcached's page, a megabyte.
  kAsGiven,
  kTwoDecimals,
  kKilobytes,  // Given in KiB, shown in bytes.
  kMegabytes,  // Given in MiB, shown in bytes.
};

struct AcceptedRow {
  std::string_view option;
  std::string_view row;
  Shown shown;
};

// Which row an accepted -o option changes; several if it stands for several options.
constexpr std::array kAcceptedRows = {
    // option, row, shown
    AcceptedRow{"hash_algorithm", "hash_algorithm", Shown::kAsGiven},
    AcceptedRow{"hashpower", "hashpower_init", Shown::kAsGiven},
    AcceptedRow{"hot_lru_pct", "hot_lru_pct", Shown::kAsGiven},
    AcceptedRow{"hot_max_factor", "hot_max_factor", Shown::kTwoDecimals},
    AcceptedRow{"lru_maintainer", "lru_maintainer_thread", Shown::kYes},
    AcceptedRow{"no_chunked_items", "slab_chunk_max", Shown::kPageBytes},
    AcceptedRow{"no_lru_maintainer", "lru_maintainer_thread", Shown::kNo},
    AcceptedRow{"no_modern", "slab_chunk_max", Shown::kPageBytes},
    AcceptedRow{"no_modern", "slab_reassign", Shown::kNo},
    AcceptedRow{"no_modern", "hash_algorithm", Shown::kJenkins},
    AcceptedRow{"no_modern", "lru_maintainer_thread", Shown::kNo},
    AcceptedRow{"no_slab_reassign", "slab_reassign", Shown::kNo},
    AcceptedRow{"read_buf_mem_limit", "read_buf_mem_limit", Shown::kMegabytes},
    AcceptedRow{"slab_automove_ratio", "slab_automove_ratio", Shown::kTwoDecimals},
    AcceptedRow{"slab_automove_window", "slab_automove_window", Shown::kAsGiven},
    AcceptedRow{"slab_chunk_max", "slab_chunk_max", Shown::kKilobytes},
    AcceptedRow{"slab_reassign", "slab_reassign", Shown::kYes},
    AcceptedRow{"tail_repair_time", "tail_repair_time", Shown::kAsGiven},
    AcceptedRow{"temporary_ttl", "temp_lru", Shown::kYes},
    AcceptedRow{"temporary_ttl", "temporary_ttl", Shown::kAsGiven},
    AcceptedRow{"warm_lru_pct", "warm_lru_pct", Shown::kAsGiven},
    AcceptedRow{"warm_max_factor", "warm_max_factor", Shown::kTwoDecimals},
    AcceptedRow{"watcher_logbuf_size", "watcher_logbuf_size", Shown::kKilobytes},
    AcceptedRow{"worker_logbuf_size", "worker_logbuf_size", Shown::kKilobytes},
};

// REQUIRES: the value passed ParseConfig.
std::string Show(Shown shown, std::string_view value) {
  const auto bytes = [value](int shift) {
    return std::to_string(ParseNumber<std::uint64_t>(value).value_or(0) << shift);
  };
  switch (shown) {
    case Shown::kYes:
      return "yes";
    case Shown::kNo:
      return "no";
    case Shown::kJenkins:
      return "jenkins";
    case Shown::kPageBytes:
      return "1048576";
    case Shown::kAsGiven:
      return std::string(value);
    case Shown::kTwoDecimals:
      return fmt::format("{:.2f}", ParseNumber<double>(value).value_or(0));
    case Shown::kKilobytes:
      return bytes(10);
    case Shown::kMegabytes:
      return bytes(20);
  }
  return "";
}

std::string_view YesNo(bool value) { return value ? "yes" : "no"; }
std::string_view TextOrNull(std::string_view text) { return text.empty() ? "NULL" : text; }

std::string_view NameOf(BindingProtocol protocol) {
  switch (protocol) {
    case BindingProtocol::kNegotiate:
      return "auto-negotiate";
    case BindingProtocol::kAscii:
      return "ascii";
    case BindingProtocol::kBinary:
      return "binary";
  }
  return "";
}

// Writes rows; those that accepted options may change by their own function.
class Rows {
 public:
  Rows(const Config& config, const StatSink& sink) : config_(config), sink_(sink) {}

  void Text(std::string_view name, std::string_view value) const { sink_(name, value); }
  template <class T>
  void Number(std::string_view name, T value) const {
    sink_(name, fmt::format("{}", value));
  }

  // The last accepted option that the row belongs to, or else `unless_given`.
  void Accepted(std::string_view name, std::string_view unless_given) const {
    std::string value(unless_given);
    for (const auto& [option, given] : config_.accepted_options) {
      for (const AcceptedRow& row : kAcceptedRows) {
        if (row.option == option && row.row == name) value = Show(row.shown, given);
      }
    }
    sink_(name, value);
  }

 private:
  const Config& config_;
  const StatSink& sink_;
};

}  // namespace

void AppendSettings(const Config& config, const RuntimeSettings& runtime, const StatSink& sink) {
  const Rows rows(config, sink);
  rows.Number("maxbytes", runtime.memory_bytes);
  rows.Number("maxconns", config.connections_max);
  rows.Number("tcpport", config.port);
  rows.Number("udpport", 0);
  rows.Text("inter", TextOrNull(config.listen_text));
  rows.Number("verbosity", runtime.verbosity);
  rows.Number("oldest", runtime.oldest_s);
  rows.Text("evictions", config.evict ? "on" : "off");
  rows.Text("domain_socket", TextOrNull(config.unix_socket));
  rows.Text("umask", fmt::format("{:o}", config.unix_mask));
  rows.Text("shutdown_command", YesNo(config.shutdown_command));
  rows.Text("growth_factor", fmt::format("{:.2f}", config.growth_factor));
  rows.Number("chunk_size", config.chunk_bytes_min);
  rows.Number("num_threads", config.threads);
  rows.Number("num_threads_per_udp", 0);
  rows.Text("stat_key_prefix", {&config.prefix_delimiter, 1});
  rows.Text("detail_enabled", YesNo(runtime.detail_enabled));
  rows.Number("reqs_per_event", config.requests_per_turn_max);
  rows.Text("cas_enabled", YesNo(config.use_cas));
  rows.Number("tcp_backlog", config.backlog);
  rows.Text("binding_protocol", NameOf(config.protocol));
  rows.Text("auth_enabled_sasl", YesNo(config.sasl));
  rows.Text("auth_enabled_ascii", config.auth_file.empty() ? "no" : config.auth_file);
  rows.Number("item_size_max", config.item_bytes_max);
  rows.Text("maxconns_fast", YesNo(config.maxconns_fast));
  rows.Accepted("hashpower_init", "0");
  rows.Accepted("slab_reassign", "yes");
  rows.Number("slab_automove", static_cast<int>(runtime.page_moves.value_or(config.page_moves)));
  rows.Accepted("slab_automove_ratio", "0.80");
  rows.Accepted("slab_automove_window", "10");
  rows.Accepted("slab_chunk_max", std::to_string(slab::kPageBytes / 2));
  rows.Text("lru_crawler", YesNo(runtime.sweeps));
  rows.Number("lru_crawler_sleep", runtime.sweep_pause_us);
  rows.Number("lru_crawler_tocrawl", runtime.sweep_slice_max);
  rows.Accepted("tail_repair_time", "0");
  rows.Text("flush_enabled", YesNo(config.flush_enabled));
  rows.Text("dump_enabled", YesNo(config.dump_enabled));
  rows.Accepted("hash_algorithm", "xxh3");
  rows.Accepted("lru_maintainer_thread", "no");
  const bool is_segmented = runtime.eviction == slab::EvictionPolicy::kSegmented;
  rows.Text("lru_segmented", YesNo(is_segmented));
  rows.Accepted("hot_lru_pct", "20");
  rows.Accepted("warm_lru_pct", "40");
  rows.Accepted("hot_max_factor", "0.20");
  rows.Accepted("warm_max_factor", "2.00");
  rows.Accepted("temp_lru", "no");
  rows.Accepted("temporary_ttl", "61");
  rows.Number("idle_timeout", config.idle_timeout_s);
  rows.Accepted("watcher_logbuf_size", "262144");
  rows.Accepted("worker_logbuf_size", "65536");
  rows.Accepted("read_buf_mem_limit", "0");
  rows.Text("track_sizes", YesNo(config.track_sizes));
  rows.Text("inline_ascii_response", "no");
  rows.Number("num_napi_ids", 0);
  rows.Text("memory_file", config.memory_file.empty() ? "(null)" : config.memory_file);
  rows.Number("client_flags_size", 4);
  rows.Text("cluster_file", TextOrNull(config.cluster_file));
  rows.Text("cluster_dns",
            config.cluster_dns_host.empty()
                ? std::string("NULL")
                : fmt::format("{}:{}", config.cluster_dns_host, config.cluster_dns_port));
  rows.Number("cluster_dns_interval", config.cluster_dns_interval_s);
  rows.Text("cluster_state", TextOrNull(config.cluster_state));
  rows.Text("cluster_admin", YesNo(config.cluster_admin));
  rows.Number("cluster_nodes_max", config.cluster_nodes_max);
  rows.Number("cluster_file_max", config.cluster_file_bytes_max);
  rows.Text("eviction", is_segmented ? "segmented" : "lru");
  rows.Number("upload_memory", config.upload_memory_percent);
  rows.Number("upload_timeout", config.upload_timeout_s);
}

}  // namespace larder::server
