#include "server/config/settings.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "tests/server/config/command_line.h"

namespace larder::server {
namespace {

std::map<std::string, std::string> Settings(const Config& config, RuntimeSettings runtime = {}) {
  std::map<std::string, std::string> rows;
  const SettingsSample settings(config, runtime);
  for (const Setting& row : SettingsMetrics()) {
    const bool is_new = rows.emplace(row.name, row.get(settings)).second;
    if (!is_new) FAIL("a row came twice: " << row.name);
  }
  return rows;
}

TEST_CASE("settings come in memcached's order", "[settings]") {
  std::string order;
  for (const Setting& row : SettingsMetrics()) order.append(row.name).append(" ");
  CHECK(order ==
        "maxbytes maxconns tcpport udpport inter verbosity oldest evictions domain_socket umask "
        "shutdown_command growth_factor chunk_size num_threads num_threads_per_udp stat_key_prefix "
        "detail_enabled reqs_per_event cas_enabled tcp_backlog binding_protocol auth_enabled_sasl "
        "auth_enabled_ascii item_size_max maxconns_fast hashpower_init slab_reassign slab_automove "
        "slab_automove_ratio slab_automove_window slab_chunk_max lru_crawler lru_crawler_sleep "
        "lru_crawler_tocrawl tail_repair_time flush_enabled dump_enabled hash_algorithm "
        "lru_maintainer_thread lru_segmented hot_lru_pct warm_lru_pct hot_max_factor "
        "warm_max_factor temp_lru temporary_ttl idle_timeout watcher_logbuf_size "
        "worker_logbuf_size read_buf_mem_limit track_sizes inline_ascii_response ssl_enabled "
        "ssl_chain_cert ssl_key ssl_verify_mode ssl_keyformat ssl_ciphers ssl_ca_cert "
        "ssl_wbuf_size ssl_session_cache ssl_kernel_tls ssl_min_version num_napi_ids "
        "memory_file client_flags_size prefix_shares drop_admin watch_enabled cluster_file "
        "cluster_dns cluster_dns_interval cluster_state cluster_admin cluster_nodes_max "
        "cluster_file_max eviction drops_max watchers_max upload_memory upload_staging "
        "upload_timeout "
        "upload_rate mrc prefix_stats ssl_ciphersuites ssl_handshake_timeout ssl_reload_interval ");
}

TEST_CASE("the eviction policy in force is shown", "[settings]") {
  auto rows = Settings(Config{}, {.eviction = slab::EvictionPolicy::kLru});
  CHECK(rows["eviction"] == "lru");
  CHECK(rows["lru_segmented"] == "no");
  rows = Settings(Config{});
  CHECK(rows["eviction"] == "segmented");
  CHECK(rows["lru_segmented"] == "yes");
}

TEST_CASE("unset texts show as NULL", "[settings]") {
  auto rows = Settings(Config{});
  CHECK(rows["inter"] == "NULL");
  CHECK(rows["domain_socket"] == "NULL");
  CHECK(rows["memory_file"] == "(null)");
}

TEST_CASE("options show as they were given", "[settings]") {
  auto rows =
      Settings(ParseGood({"-p",        "11300", "-l",
                          "127.0.0.1", "-l",    "[::1]:5",
                          "-c",        "99",    "-t",
                          "2",         "-a",    "77",
                          "-b",        "7",     "-R",
                          "8",         "-f",    "1.3",
                          "-n",        "32",    "-I",
                          "2m",        "-M",    "-C",
                          "-A",        "-F",    "-X",
                          "-D",        "_",     "-B",
                          "ascii",     "-o",    "idle_timeout=9,no_maxconns_fast,track_sizes"}));
  CHECK(rows["tcpport"] == "11300");
  CHECK(rows["inter"] == "127.0.0.1,[::1]:5");
  CHECK(rows["maxconns"] == "99");
  CHECK(rows["num_threads"] == "2");
  CHECK(rows["umask"] == "77");
  CHECK(rows["tcp_backlog"] == "7");
  CHECK(rows["reqs_per_event"] == "8");
  CHECK(rows["growth_factor"] == "1.30");
  CHECK(rows["chunk_size"] == "32");
  CHECK(rows["item_size_max"] == "2097152");
  CHECK(rows["evictions"] == "off");
  CHECK(rows["cas_enabled"] == "no");
  CHECK(rows["shutdown_command"] == "yes");
  CHECK(rows["flush_enabled"] == "no");
  CHECK(rows["dump_enabled"] == "no");
  CHECK(rows["stat_key_prefix"] == "_");
  CHECK(rows["binding_protocol"] == "ascii");
  CHECK(rows["idle_timeout"] == "9");
  CHECK(rows["maxconns_fast"] == "no");
  CHECK(rows["track_sizes"] == "yes");
}

TEST_CASE("what commands change shows as it is now", "[settings]") {
  auto rows = Settings(Config{}, {.memory_bytes = 8 << 20,
                                  .verbosity = 2,
                                  .oldest_s = 17,
                                  .detail_enabled = true,
                                  .sweeps = false,
                                  .sweep_pause_us = 7,
                                  .sweep_slice_max = 8});
  CHECK(rows["maxbytes"] == "8388608");
  CHECK(rows["verbosity"] == "2");
  CHECK(rows["oldest"] == "17");
  CHECK(rows["detail_enabled"] == "yes");
  CHECK(rows["lru_crawler"] == "no");
  CHECK(rows["lru_crawler_sleep"] == "7");
  CHECK(rows["lru_crawler_tocrawl"] == "8");
}

TEST_CASE("a UNIX socket leaves the TCP rows as they are", "[settings]") {
  auto rows = Settings(ParseGood({"-s", "/tmp/larder.sock"}));
  CHECK(rows["domain_socket"] == "/tmp/larder.sock");
  CHECK(rows["tcpport"] == "11211");
  CHECK(rows["inter"] == "NULL");
}

TEST_CASE("accepted options show in their rows, in the units of the rows", "[settings]") {
  auto rows = Settings(ParseGood(
      {"-o",
       "hashpower=20,no_slab_reassign,slab_automove=2,slab_automove_ratio=0.5,slab_chunk_max=256,"
       "hash_algorithm=jenkins,hot_lru_pct=30,hot_max_factor=0.3,"
       "temporary_ttl=90,watcher_logbuf_size=1,read_buf_mem_limit=2"}));
  CHECK(rows["hashpower_init"] == "20");
  CHECK(rows["slab_reassign"] == "no");
  CHECK(rows["slab_automove"] == "2");
  CHECK(rows["slab_automove_ratio"] == "0.50");
  CHECK(rows["slab_chunk_max"] == "262144");
  CHECK(rows["hash_algorithm"] == "jenkins");
  CHECK(rows["hot_lru_pct"] == "30");
  CHECK(rows["hot_max_factor"] == "0.30");
  CHECK(rows["temp_lru"] == "yes");
  CHECK(rows["temporary_ttl"] == "90");
  CHECK(rows["watcher_logbuf_size"] == "1024");
  CHECK(rows["read_buf_mem_limit"] == "2097152");
}

TEST_CASE("of options for one row the last counts", "[settings]") {
  CHECK(Settings(ParseGood({"-o", "slab_automove=2,no_slab_automove"}))["slab_automove"] == "0");
  CHECK(Settings(ParseGood({"-o", "no_slab_automove,slab_automove"}))["slab_automove"] == "1");
  CHECK(Settings(ParseGood({"-o", "no_modern,slab_reassign"}))["slab_reassign"] == "yes");
}

}  // namespace
}  // namespace larder::server
