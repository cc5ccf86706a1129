#include "server/config/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "server/config/extended_list.h"
#include "server/config/help_text.h"
#include "server/config/option_readers.h"
#include "server/config/prefix_share.h"
#include "server/config/version.h"
#include "slab/check.h"

namespace larder::server {
namespace {

using enum MetricKind;
using enum Section;

// Upper limits of cluster options.
constexpr std::uint32_t kClusterNodesCeiling = 4096;
constexpr std::uint32_t kClusterFileBytesCeiling = 1 << 20;
constexpr std::uint32_t kClusterDnsIntervalCeilingS = 24 * 60 * 60;

// --- Functions that apply an option -----------------------------------------------------------
//
// Most options use a function of server/config/option_readers.h; these have no value or no effect.

// Each -v adds one level.
StepResult CountVerbosity(Config& config, std::string_view) {
  ++config.verbosity;
  return Done{};
}

// Options of features that are missing. They are refused, because an operator relies on the
// feature.
StepResult RefuseNapiIds(Config&, std::string_view) {
  return ConfigExit::Refused("This server is not built with support for -N (--napi-ids).");
}

// Options that print something and end the program.
StepResult ShowHelp(Config&, std::string_view) { return ConfigExit::Success(HelpText(Options())); }

StepResult ShowVersion(Config&, std::string_view) {
  return ConfigExit::Success(fmt::format("larder {}", Version()));
}

StepResult ShowLicense(Config&, std::string_view) {
  return ConfigExit::Success(
      "Larder is free software under the Apache License, version 2.0:\n"
      "you may use, change and pass it on under the terms of that licence, and there is no "
      "warranty.\n"
      "Its text: http://www.apache.org/licenses/LICENSE-2.0, and LICENSE beside the sources.");
}

// --- Functions that print a setting or a default ----------------------------------------------
//
// The spelling is that of memcached's `stats settings`.

std::string UnixMask(const SettingsSample& settings) {
  return fmt::format("{:o}", settings.unix_mask);
}
std::string Evictions(const SettingsSample& settings) { return settings.evict ? "on" : "off"; }
std::string GrowthFactor(const SettingsSample& settings) {
  return fmt::format("{:.2f}", settings.growth_factor);
}
std::string PrefixShares(const SettingsSample& settings) {
  std::string text;
  for (const slab::PrefixShare& share : settings.prefix_shares) {
    text += fmt::format("{}{}={}%..{}%", text.empty() ? "" : ",", share.prefix, share.floor_percent,
                        share.ceiling_percent);
  }
  return text.empty() ? "NULL" : text;
}
std::string PrefixDelimiter(const SettingsSample& settings) { return {settings.prefix_delimiter}; }
std::string AuthFile(const SettingsSample& settings) {
  return settings.auth_file.empty() ? "no" : settings.auth_file;
}
std::string MemoryFile(const SettingsSample& settings) {
  return settings.memory_file.empty() ? "(null)" : settings.memory_file;
}
std::string ClusterDns(const SettingsSample& settings) {
  if (settings.cluster_dns_host.empty()) return "NULL";
  return fmt::format("{}:{}", settings.cluster_dns_host, settings.cluster_dns_port);
}

std::string Protocol(const SettingsSample& settings) {
  switch (settings.protocol) {
    case BindingProtocol::kNegotiate:
      return "auto-negotiate";
    case BindingProtocol::kAscii:
      return "ascii";
    case BindingProtocol::kBinary:
      return "binary";
  }
  LARDER_ASSERT(false && "a protocol without a name");
  return "";
}
// Returns the protocol as -B takes it, which is not how the setting prints it.
std::string ProtocolGiven(const Config& config) {
  return config.protocol == BindingProtocol::kNegotiate ? "auto"
                                                        : Protocol(SettingsSample(config, {}));
}
// Return the defaults of -m and -I in the units in which the options are given.
std::string MemoryGiven(const Config& config) { return ValueText(config.memory_bytes / kMegabyte); }
std::string ItemBytesMaxGiven(const Config& config) {
  return fmt::format("{}m", config.item_bytes_max / kMegabyte);
}

// All options in the order of the help text.
constexpr auto kOptions = std::to_array<Option>({
    // Has no effect on a UNIX socket, nor on addresses of -l that have a port of their own.
    {.section = kSockets,
     .letter = 'p',
     .name = "port",
     .value_name = "NUM",
     .help = "TCP port; 0: no TCP, -1: any free port (default {})",
     .apply = ReadPort,
     .setting = {"tcpport", kGauge, Value<&Config::port>, "TCP port; 0: none, -1: any."}},
    // Several -l are joined. Their texts are checked at once, and parsed when all options are
    // known.
    {.section = kSockets,
     .letter = 'l',
     .name = "listen",
     .value_name = "ADDRS",
     .help = "addresses to listen on, each with or without :port, by commas; may\n"
             "be repeated; [::1]:port for IPv6 (default: every interface)",
     .apply = AddListen,
     .setting = {"inter", kText, TextOrNull<&Config::listen_text>,
                 "Addresses to listen on; NULL: every interface."}},
    // A UNIX socket replaces all TCP listeners.
    {.section = kSockets,
     .letter = 's',
     .name = "unix-socket",
     .value_name = "PATH",
     .help = "UNIX socket to listen on, instead of TCP",
     .apply = ReadText<&Config::unix_socket>,
     .setting = {"domain_socket", kText, TextOrNull<&Config::unix_socket>,
                 "UNIX socket to listen on; NULL: none."}},
    // The value is the permission bits of the socket's file, although memcached's setting is called
    // umask.
    {.section = kSockets,
     .letter = 'a',
     .name = "unix-mask",
     .value_name = "MODE",
     .help = "permissions of the UNIX socket, octal (default {})",
     .apply = ReadUnixMask,
     .setting = {"umask", kText, UnixMask, "Permissions of the UNIX socket, octal."}},
    // The value also determines how many files the process may open (see RaiseFileLimit()).
    {.section = kSockets,
     .letter = 'c',
     .name = "conn-limit",
     .value_name = "NUM",
     .help = "connections at a time (default {})",
     .apply = ReadConnectionsMax,
     .setting = {"maxconns",
                 kGauge,
                 Value<&Config::connections_max>,
                 "Client connections allowed at a time.",
                 {"memcached_max_connections"}}},
    {.section = kSockets,
     .letter = 'b',
     .name = "listen-backlog",
     .value_name = "NUM",
     .help = "connections that may wait to be accepted (default {})",
     .apply = ReadBacklog,
     .setting = {"tcp_backlog", kGauge, Value<&Config::backlog>,
                 "Connections that may wait to be accepted."}},
    // With -S or -Y, only a protocol whose clients can authenticate is allowed (see
    // ChooseProtocol()).
    {.section = kSockets,
     .letter = 'B',
     .name = "protocol",
     .value_name = "NAME",
     .help = "auto, ascii or binary (default {}: by a connection's first byte)",
     .apply = ReadProtocol,
     .setting = {"binding_protocol", kText, Protocol,
                 "Protocol that is served: ascii, binary, or auto-negotiate for both."},
     .show = ProtocolGiven},
    // The environment variable MEMCACHED_SASL_PWDB may name a password file.
    {.section = kSockets,
     .letter = 'S',
     .name = "enable-sasl",
     .help = "clients of the binary protocol have to authenticate by SASL",
     .apply = SwitchOn<&Config::sasl>,
     .setting = {"auth_enabled_sasl", kSwitch, Switch<&Config::sasl>,
                 "Clients of the binary protocol have to authenticate."}},
    // The path is made absolute, because SIGHUP may read the file after the process has changed its
    // directory.
    {.section = kSockets,
     .letter = 'Y',
     .name = "auth-file",
     .value_name = "PATH",
     .help = "file of user:password lines: clients of the text protocol have to\n"
             "authenticate; read again on SIGHUP",
     .apply = ReadPath<&Config::auth_file>,
     .setting = {"auth_enabled_ascii", kText, AuthFile,
                 "File of the passwords for the text protocol; no: none are needed."}},
    // UNIX sockets stay plain. The certificate and all else are options of -o.
    {.section = kSockets,
     .letter = 'Z',
     .name = "enable-ssl",
     .help = "TCP listeners speak TLS, but for those with notls: before their\n"
             "address; see ssl_chain_cert",
     .apply = SwitchOn<&Config::tls>,
     .setting = {"ssl_enabled", kSwitch, Switch<&Config::tls>, "TCP listeners speak TLS."}},
    // Accepted so that command lines for memcached work unchanged.
    {.section = kSockets,
     .letter = 'U',
     .name = "udp-port",
     .value_name = "NUM",
     .help = "0 only: UDP is not served",
     .apply = ReadUdpPort,
     .setting = {"udpport", kGauge, Always<0>, "Always 0: UDP is not served."}},

    // The command cache_memlimit changes the limit while the server runs.
    {.section = kMemory,
     .letter = 'm',
     .name = "memory-limit",
     .value_name = "MB",
     .help = "item memory in megabytes, or, as in 75%, a share of the memory that\n"
             "the control group or the machine has (default {})",
     .apply = ReadMemory,
     .setting = {"maxbytes", kGauge, Value<&Config::memory_bytes>, "Bytes allowed for items."},
     .show = MemoryGiven},
    {.section = kMemory,
     .letter = 'e',
     .name = "memory-file",
     .value_name = "PATH",
     .help = "keep the items in this file, of -m megabytes, over restarts",
     .apply = ReadPath<&Config::memory_file>,
     .setting = {"memory_file", kText, MemoryFile,
                 "File that keeps the items over restarts; (null): none."}},
    // The setting has memcached's words, on and off.
    {.section = kMemory,
     .letter = 'M',
     .name = "disable-evictions",
     .help = "answer with an error when memory is full, instead of evicting",
     .apply = SwitchOff<&Config::evict>,
     .setting = {"evictions", kText, Evictions, "Items are evicted when memory is full: on, off."}},
    // The limits depend on -m and -n, so they are checked when all options are known.
    {.section = kMemory,
     .letter = 'I',
     .name = "max-item-size",
     .value_name = "SIZE",
     .help = "largest item in bytes, or with k or m; 1k to 1024m, at most half of\n"
             "-m (default {})",
     .apply = ReadItemBytesMax,
     .setting = {"item_size_max", kGauge, Value<&Config::item_bytes_max>,
                 "Bytes of the largest item."},
     .show = ItemBytesMaxGiven},
    // A factor that is given, even the default one, replaces the finer ladder of sizes that the
    // server has without -f.
    {.section = kMemory,
     .letter = 'f',
     .name = "slab-growth-factor",
     .value_name = "NUM",
     .help = "ratio of neighbouring chunk sizes (default {}, and steps of 8\n"
             "bytes below 256)",
     .apply = ReadGrowthFactor,
     .setting = {"growth_factor", kGauge, GrowthFactor, "Ratio of neighbouring chunk sizes."}},
    // Also the lower limit of chunk sizes, so it may not exceed -I.
    {.section = kMemory,
     .letter = 'n',
     .name = "slab-min-size",
     .value_name = "BYTES",
     .help = "smallest room for key, value and flags (default {})",
     .apply = ReadChunkBytesMin,
     .setting = {"chunk_size", kGauge, Value<&Config::chunk_bytes_min>,
                 "Bytes of the smallest room for key, value and flags."}},
    {.section = kMemory,
     .letter = 'C',
     .name = "disable-cas",
     .help = "keep no CAS numbers",
     .apply = SwitchOff<&Config::use_cas>,
     .setting = {"cas_enabled", kSwitch, Switch<&Config::use_cas>, "Items have CAS numbers."}},
    // This locks what is mapped when the server starts. The arena locks its pages when it takes
    // them.
    {.section = kMemory,
     .letter = 'k',
     .name = "lock-memory",
     .help = "keep the memory in use out of swap",
     .apply = SwitchOn<&Config::lock_memory>},
    // In memcached this option requests huge pages. Here they are always requested.
    {.section = kMemory,
     .letter = 'L',
     .name = "enable-largepages",
     .help = "take all memory at the start (huge pages are always asked for)",
     .apply = SwitchOn<&Config::prefault>},
    // What they need together is checked when all options are known.
    {.section = kMemory,
     .name = "prefix-share",
     .value_name = "SHARE",
     .help = "memory of the keys of a prefix, while it is short: name=10%..30%,\n"
             "name=10% (at least) or name=..30% (at most); may be repeated",
     .apply = AddPrefixShare,
     .setting = {"prefix_shares", kText, PrefixShares,
                 "Shares of the memory for prefixes of keys."}},

    // A thread for each worker; the main thread, which accepts connections, is not one of them.
    {.section = kWork,
     .letter = 't',
     .name = "threads",
     .value_name = "NUM",
     .help = "worker threads (default {})",
     .apply = ReadThreads,
     .setting = {"num_threads", kGauge, Value<&Config::threads>, "Worker threads."}},
    // Connections also yield for other reasons, see server/session/turn_budget.h.
    {.section = kWork,
     .letter = 'R',
     .name = "max-reqs-per-event",
     .value_name = "NUM",
     .help = "requests of a connection served before others get a turn\n"
             "(default {})",
     .apply = ReadRequestsPerTurn,
     .setting = {"reqs_per_event", kGauge, Value<&Config::requests_per_turn_max>,
                 "Requests of a connection served before others get a turn."}},
    // The option has no long name.
    {.section = kWork,
     .letter = 'D',
     .value_name = "CHAR",
     .help = "delimiter of key prefixes; switches stats detail on (default {})",
     .apply = ReadPrefixDelimiter,
     .setting = {"stat_key_prefix", kText, PrefixDelimiter, "Delimiter of key prefixes."}},
    // Without it, clients cannot stop the server.
    {.section = kWork,
     .letter = 'A',
     .name = "enable-shutdown",
     .help = "allow the shutdown command",
     .apply = SwitchOn<&Config::shutdown_command>,
     .setting = {"shutdown_command", kSwitch, Switch<&Config::shutdown_command>,
                 "The shutdown command is allowed."}},
    {.section = kWork,
     .letter = 'F',
     .name = "disable-flush-all",
     .help = "refuse flush_all",
     .apply = SwitchOff<&Config::flush_enabled>,
     .setting = {"flush_enabled", kSwitch, Switch<&Config::flush_enabled>,
                 "The flush_all command is allowed."}},
    // A drop can empty the cache as flush_all does.
    {.section = kWork,
     .name = "drop-admin",
     .help = "allow drop only to clients of this machine",
     .apply = SwitchOn<&Config::drop_admin>,
     .setting = {"drop_admin", kSwitch, Switch<&Config::drop_admin>,
                 "Only clients of this machine may drop prefixes."}},
    // Also refuses the dumps of lru_crawler, because keys are data of the clients.
    {.section = kWork,
     .letter = 'X',
     .name = "disable-dumping",
     .help = "refuse stats cachedump and stats detail",
     .apply = SwitchOff<&Config::dump_enabled>,
     .setting = {"dump_enabled", kSwitch, Switch<&Config::dump_enabled>,
                 "Commands that list keys are allowed."}},
    // Watchers see the keys of other clients.
    {.section = kWork,
     .letter = 'W',
     .name = "disable-watch",
     .help = "refuse watch",
     .apply = SwitchOff<&Config::watch_enabled>,
     .setting = {"watch_enabled", kSwitch, Switch<&Config::watch_enabled>,
                 "Clients may watch what the server does."}},
    // Further options by name; see server/config/extended_options.h.
    {.section = kWork,
     .letter = 'o',
     .name = "extended",
     .value_name = "LIST",
     .help = "further options, name or name=value, by commas; may be repeated:",
     .apply = ReadExtended,
     .more_help = ExtendedHelp},

    // The cluster that clients discover; memcached has no such options.
    {.section = kCluster,
     .name = "cluster-file",
     .value_name = "PATH",
     .help = "nodes that clients discover, one host:port or host|address|port\n"
             "a line; read again when it changes and on SIGHUP",
     .apply = ReadPath<&Config::cluster_file>,
     .setting = {"cluster_file", kText, TextOrNull<&Config::cluster_file>,
                 "File of the nodes that clients discover; NULL: none."}},
    {.section = kCluster,
     .name = "cluster-dns",
     .value_name = "HOST:PORT",
     .help = "or all addresses of this name",
     .apply = ReadClusterDns,
     .setting = {"cluster_dns", kText, ClusterDns,
                 "Name whose addresses are the nodes that clients discover; NULL: none."}},
    // The name may have new addresses at any time, and there is no notification.
    {.section = kCluster,
     .name = "cluster-dns-interval",
     .value_name = "SECONDS",
     .help = "how often the name is resolved (default {})",
     .apply = ReadUpTo<&Config::cluster_dns_interval_s, kClusterDnsIntervalCeilingS>,
     .setting = {"cluster_dns_interval", kGauge, Value<&Config::cluster_dns_interval_s>,
                 "Seconds after which the name is resolved again."}},
    // Without a state file, a restarted server could give its list a version that clients have
    // already seen.
    {.section = kCluster,
     .name = "cluster-state",
     .value_name = "PATH",
     .help = "keeps the last list and its version over restarts",
     .apply = ReadPath<&Config::cluster_state>,
     .setting = {"cluster_state", kText, TextOrNull<&Config::cluster_state>,
                 "File that keeps the last list of nodes; NULL: none."}},
    // A client that can change the list can redirect all others, so this is off by default.
    {.section = kCluster,
     .name = "cluster-admin",
     .help = "allow config set and config delete, to clients of this machine",
     .apply = SwitchOn<&Config::cluster_admin>,
     .setting = {"cluster_admin", kSwitch, Switch<&Config::cluster_admin>,
                 "Clients of this machine may change the list of nodes."}},
    // The next two limit what a wrong file or a wrong name can make the server send to clients.
    {.section = kCluster,
     .name = "cluster-nodes-max",
     .value_name = "NUM",
     .help = "longest list (default {})",
     .apply = ReadUpTo<&Config::cluster_nodes_max, kClusterNodesCeiling>,
     .setting = {"cluster_nodes_max", kGauge, Value<&Config::cluster_nodes_max>,
                 "Nodes in the longest list."}},
    {.section = kCluster,
     .name = "cluster-file-max",
     .value_name = "BYTES",
     .help = "largest --cluster-file (default {})",
     .apply = ReadUpTo<&Config::cluster_file_bytes_max, kClusterFileBytesCeiling>,
     .setting = {"cluster_file_max", kGauge, Value<&Config::cluster_file_bytes_max>,
                 "Bytes of the largest file of nodes."}},

    // The options of the process. Only the verbosity can be changed later, and has a setting.
    {.section = kProcess,
     .letter = 'd',
     .name = "daemon",
     .help = "run in the background",
     .apply = SwitchOn<&Config::daemonize>},
    // Root has to give a user; for other users the option has no effect.
    {.section = kProcess,
     .letter = 'u',
     .name = "user",
     .value_name = "NAME",
     .help = "the user to become when started as root",
     .apply = ReadText<&Config::user>},
    // The path is not made absolute: with -d, a relative one is relative to the root directory.
    {.section = kProcess,
     .letter = 'P',
     .name = "pidfile",
     .value_name = "PATH",
     .help = "write the process id to this file",
     .apply = ReadText<&Config::pid_file>},
    // With -d, it also keeps the process in its directory, where a core can be written.
    {.section = kProcess,
     .letter = 'r',
     .name = "enable-coredumps",
     .help = "allow core dumps of any size",
     .apply = SwitchOn<&Config::coredumps>},
    {.section = kProcess,
     .letter = 'v',
     .name = "verbose",
     .help = "print what goes wrong; -vv also each command",
     .apply = CountVerbosity,
     .setting = {"verbosity", kGauge, Value<&Config::verbosity>, "How much is printed."}},

    // These end the program, so nothing after them on the command line is applied.
    {.section = kHelp,
     .letter = 'h',
     .name = "help",
     .help = "print this and exit",
     .apply = ShowHelp},
    {.section = kHelp,
     .letter = 'V',
     .name = "version",
     .help = "print the version and exit",
     .apply = ShowVersion},
    {.section = kHelp,
     .letter = 'i',
     .name = "license",
     .help = "print the licence and exit",
     .apply = ShowLicense},

    {.section = kUnsupported,
     .letter = 'N',
     .name = "napi-ids",
     .value_name = "NUM",
     .help = "workers by network queue",
     .apply = RefuseNapiIds},
});

// The options of a section are neighbours, and the sections come in their order.
static_assert(std::ranges::is_sorted(kOptions, {}, &Option::section));
static_assert(std::ranges::none_of(kOptions, [](const Option& option) {
  return option.help.empty() || (option.letter == 0 && option.name.empty());
}));
// No letter and no name is given twice.
static_assert([] {
  for (const Option& option : kOptions) {
    if (option.letter != 0 && std::ranges::count(kOptions, option.letter, &Option::letter) != 1) {
      return false;
    }
    if (!option.name.empty() && std::ranges::count(kOptions, option.name, &Option::name) != 1) {
      return false;
    }
  }
  return true;
}());

// Whether a row has the functions that it needs. g++ does not compare functions in constants when
// it looks for undefined behaviour, so this is no static_assert.
[[maybe_unused]] bool HasFunctions(const Option& option) {
  // A default that the help text shows comes from `show` or from the setting.
  const bool shows_default = option.help.find("{}") != option.help.npos;
  return option.apply != nullptr &&
         (!shows_default || option.show != nullptr || option.setting.get != nullptr);
}

}  // namespace

std::span<const Option> Options() {
  LARDER_ASSERT(std::ranges::all_of(kOptions, HasFunctions));
  return kOptions;
}

}  // namespace larder::server
