// Config, all that the command line determines.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/config/binding_protocol.h"
#include "server/config/listen_address.h"
#include "slab/policies.h"
#include "slab/result.h"

namespace larder::server {

// The limit of -t: more workers than any machine has use for. It exists so that a mistake such as
// -t 11211 does not start that many threads.
inline constexpr int kThreadsMax = 1024;

// Everything that the command line determines. A value-initialised Config has the defaults:
// memcached's, except for finer size classes (-f, -n) and longer turns (-R). The defaults are
// defined here and nowhere else: the help text and `stats settings` print those of a
// value-initialised Config. The letters and names below are the options; server/config/options.cc
// describes each.
//
// Threads: immutable once the server has started.
struct Config {
  // --- Sockets ---
  // -p: the TCP port; 0: no TCP, -1: any free port; at most 65535.
  int port = 11211;
  // -l: the addresses to listen on; empty: every interface.
  std::vector<ListenAddress> listen;
  // -l as it was given, several joined by commas; `stats settings` prints it.
  std::string listen_text;
  // -s: the path of the UNIX socket to listen on; empty: TCP.
  std::string unix_socket;
  // -a: the permissions of the UNIX socket; at most 0777.
  unsigned unix_mask = 0700;
  // -b: the queue of connections that are not accepted yet, as for listen(2).
  int backlog = 1024;
  // -c: the most client connections at a time.
  int connections_max = 1024;
  // -o [no_]maxconns_fast: connections above the limit are refused at once, instead of waiting.
  bool maxconns_fast = true;
  // -o idle_timeout: seconds after which an idle connection is closed; 0: never.
  int idle_timeout_s = 0;
  // -o upload_memory: the most memory that unfinished values may reserve, in percent of the memory
  // for items; 1 to 50.
  std::uint32_t upload_memory_percent = 3;
  // -o upload_staging: the most MiB of buffers that unfinished values may fill beside that; 0:
  // none.
  std::uint32_t upload_staging_megabytes = 16;
  std::uint64_t upload_staging_bytes() const {
    return std::uint64_t{upload_staging_megabytes} << 20;
  }
  // -o upload_timeout: seconds without a byte after which an unfinished value is given up; 0:
  // never.
  int upload_timeout_s = 120;
  // -o upload_rate: KiB a second that a value must arrive by while others wait for memory; 0: at
  // any rate.
  std::uint32_t upload_rate_kilobytes = 64;
  // -B; unless given, it follows from the kinds of authentication that are on.
  BindingProtocol protocol = BindingProtocol::kNegotiate;
  // Whether -B was given.
  bool protocol_given = false;
  // -S: clients of the binary protocol must authenticate.
  bool sasl = false;
  // -Y: the absolute path of the password file; empty: clients of the text protocol need no
  // password.
  std::string auth_file;

  // --- TLS (see server/tls/contexts.h) ---
  // -Z: TCP listeners speak TLS, unless their item of -l says otherwise.
  bool tls = false;
  // -o ssl_chain_cert: the absolute path of the certificate chain, in PEM; empty: none was given.
  std::string tls_chain_file;
  // -o ssl_key: the absolute path of the private key; empty: it is in tls_chain_file.
  std::string tls_key_file;
  const std::string& tls_key_path() const {
    return tls_key_file.empty() ? tls_chain_file : tls_key_file;
  }
  // -o ssl_keyformat: 1 is PEM, 2 is DER.
  int tls_key_format = 1;
  // -o ssl_verify_mode: 0: client certificates are not asked for; 1: asked for; 2 and 3: required.
  int tls_verify_mode = 0;
  // -o ssl_ca_cert: the absolute path of the certificates, in PEM, that may sign those of clients.
  std::string tls_ca_file;
  // -o ssl_ciphers: OpenSSL's list of ciphers for TLS 1.2 and older; empty: the library's.
  std::string tls_ciphers;
  // -o ssl_ciphersuites: the same for TLS 1.3.
  std::string tls_ciphersuites;
  // -o ssl_wbuf_size: the most KiB that are encrypted at a time.
  std::uint32_t tls_write_kilobytes = 16;
  // -o ssl_session_cache: sessions are also kept in memory, for clients without tickets.
  bool tls_session_cache = false;
  // -o ssl_kernel_tls: the kernel encrypts what is sent, if it can.
  bool tls_kernel = false;
  // -o ssl_min_version: the oldest version that is served, as 1.<number>.
  int tls_min_version = 2;
  // -o ssl_handshake_timeout: seconds after which an unfinished handshake is given up; 1 or more.
  std::uint32_t tls_handshake_timeout_s = 10;
  // -o ssl_reload_interval: seconds between two looks for changed files; 0: never.
  std::uint32_t tls_reload_interval_s = 10;

  // --- Memory ---
  // -m: the memory for items, a multiple of a megabyte. A share such as 75% has been converted.
  std::uint64_t memory_bytes = std::uint64_t{64} << 20;
  // -M clears it: items are evicted when memory is full.
  bool evict = true;
  // -o eviction: how items to evict are chosen.
  slab::EvictionPolicy eviction = slab::EvictionPolicy::kSegmented;
  // -o [no_]slab_reassign: pages may move between slab classes at all.
  bool slab_reassign = true;
  // -o slab_automove: whether the server moves pages by itself.
  slab::PageMoves page_moves = slab::PageMoves::kOn;
  // -I: the largest item; 1 KiB to 1 GiB, at most half of memory_bytes.
  std::uint32_t item_bytes_max = 1 << 20;
  // -f: the ratio of neighbouring chunk sizes; above 1.
  double growth_factor = 1.10;
  // Whether -f was given: then all chunk sizes follow the factor, without the finer steps of the
  // default.
  bool growth_factor_given = false;
  // -n: the smallest room for key, value and flags in a chunk.
  std::uint32_t chunk_bytes_min = 16;
  // -k: memory in use is kept out of swap.
  bool lock_memory = false;
  // -L: all memory is taken from the system at the start.
  bool prefault = false;
  // -C clears it: items have CAS numbers.
  bool use_cas = true;
  // -o [no_]mrc: the miss ratios of other memory limits are estimated, for `stats mrc`.
  bool estimate_miss_ratios = true;
  // -o [no_]prefix_stats: items and reads are counted by prefix, for `stats prefixes`. Shares
  // switch it on.
  bool count_prefixes = false;
  // --prefix-share: shares of the memory for prefixes; see CheckPrefixShares.
  std::vector<slab::PrefixShare> prefix_shares = {};
  // -o track_sizes: items are counted by size, for `stats sizes`.
  bool track_sizes = false;
  // -o [no_]lru_crawler: a background thread looks for expired items.
  bool sweeps = true;
  // -o lru_crawler_sleep: microseconds between two slices of that search; see slab/expiry_sweep.h.
  std::uint32_t sweep_pause_us = 100;
  // -o lru_crawler_tocrawl: the most chunks in a slice; 0: no limit.
  std::uint32_t sweep_slice_max = 0;
  // -e: the absolute path of the file that keeps the items over restarts; empty: none.
  std::string memory_file;

  // --- Work ---
  // -t: the number of workers; 1 to kThreadsMax.
  int threads = 4;
  // -R: the most requests of a connection before other connections get a turn. memcached's default
  // of 20 would interrupt pipelines: the bytes of one receive are the better measure of a turn.
  int requests_per_turn_max = 1024;
  // -D: the byte that ends the prefix of a key.
  char prefix_delimiter = ':';
  // `stats detail` is on from the start; -D sets it.
  bool detail_enabled = false;
  // -F clears it: flush_all is allowed.
  bool flush_enabled = true;
  // --drop-admin: only clients of this machine may drop prefixes.
  bool drop_admin = false;
  // -o drops_max: the most drops of which an item may be left; 0: nothing can be dropped.
  std::uint32_t drops_max = 65'536;
  // -X clears it: commands that print keys are allowed.
  bool dump_enabled = true;
  // -W clears it: clients may watch.
  bool watch_enabled = true;
  // -o watchers_max, watcher_logbuf_size and worker_logbuf_size: the most watchers, and the KiB of
  // lines that wait for one of them, and of events of one thread.
  std::uint32_t watchers_max = 20;
  std::uint32_t watcher_log_kilobytes = 256;
  std::uint32_t worker_log_kilobytes = 64;
  // -A: the shutdown command is allowed.
  bool shutdown_command = false;

  // --- The cluster that clients discover (see server/cluster.h) ---
  // --cluster-file: the absolute path of the list of nodes. At most one of this and --cluster-dns
  // is given.
  std::string cluster_file;
  // --cluster-dns: the name whose addresses are the nodes.
  std::string cluster_dns_host;
  // --cluster-dns: the port of every such node.
  std::uint16_t cluster_dns_port = 0;
  // --cluster-dns-interval: seconds between two lookups of the name; 1 or more.
  std::uint32_t cluster_dns_interval_s = 10;
  // --cluster-state: the absolute path of the file that keeps the last list over restarts; empty:
  // none.
  std::string cluster_state;
  // --cluster-admin: clients of this machine may change the list.
  bool cluster_admin = false;
  // --cluster-nodes-max: the most nodes in a list; 1 to 4096.
  std::uint32_t cluster_nodes_max = 256;
  // --cluster-file-max: the largest file of nodes, in bytes; up to 1 MiB.
  std::uint32_t cluster_file_bytes_max = 64 * 1024;

  // --- Process ---
  // -d: the server runs in the background.
  bool daemonize = false;
  // -r: core dumps may have any size.
  bool coredumps = false;
  // -u: the user to become when started as root; empty: none was given.
  std::string user;
  // -P: the file for the process id; empty: none.
  std::string pid_file;
  // -v: how much is printed; each -v adds one.
  int verbosity = 0;

  // The `-o` names that memcached knows and this server accepts without a field of its own: name
  // and value as given (an empty value for a flag). Each name occurs once, in the order in which it
  // was given last.
  std::vector<std::pair<std::string, std::string>> accepted_options;
  // The rows of `stats settings` that those options change: name of the row, and what it shows.
  std::map<std::string_view, std::string> accepted_settings;

  // Lines to print to standard error; the server starts in spite of them.
  std::vector<std::string> warnings;
};

}  // namespace larder::server
