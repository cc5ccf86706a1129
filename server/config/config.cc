#include "server/config/config.h"

// Its own tokenizer: with <regex> this file takes 190 KB of code, without it 80.
#define CXXOPTS_NO_REGEX
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cxxopts.hpp>
#include <exception>
#include <filesystem>
#include <optional>
#include <system_error>

#include "server/config/cluster_nodes.h"
#include "server/config/extended_options.h"
#include "server/config/memory_share.h"
#include "server/config/option_number.h"

namespace larder::server {
namespace {

constexpr int kPortMax = 65535;
constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;
constexpr std::uint64_t kMegabytesMax = std::uint64_t{1} << 24;  // 16 TiB; no sum below overflows.
constexpr std::uint64_t kItemBytesFloor = 1024;
constexpr std::uint64_t kItemBytesCeiling = std::uint64_t{1} << 30;
constexpr double kGrowthFactorMax = 1024;
constexpr int kThreadsAdvised = 64;
constexpr std::uint32_t kClusterNodesCeiling = 4096;
constexpr std::uint32_t kClusterFileBytesCeiling = 1 << 20;
constexpr std::uint32_t kClusterDnsIntervalCeiling_s = 24 * 60 * 60;

Failure<ConfigExit> Shown(std::string text) {
  return Failure{ConfigExit{std::move(text), EXIT_SUCCESS}};
}

Failure<ConfigExit> NotANumber(std::string_view option, std::string_view value) {
  return ConfigExit::BadValue(fmt::format("{} needs a whole number, not \"{}\"", option, value));
}

// For options whose number must be positive, with memcached's complaint.
StepResult ReadPositive(std::string_view value, std::string_view complaint, int& out) {
  const auto number = ParseNumber<int>(value);
  if (!number)
    return ConfigExit::BadValue(fmt::format("{}: \"{}\" is no such number", complaint, value));
  if (*number <= 0) return ConfigExit::BadValue(std::string(complaint));
  out = *number;
  return Done{};
}

template <bool Config::*kSwitch>
StepResult SwitchOn(Config& config, std::string_view) {
  config.*kSwitch = true;
  return Done{};
}

template <bool Config::*kSwitch>
StepResult SwitchOff(Config& config, std::string_view) {
  config.*kSwitch = false;
  return Done{};
}

template <std::string Config::*kText>
StepResult ReadText(Config& config, std::string_view value) {
  config.*kText = value;
  return Done{};
}

// A file that is opened after the process may have left the folder it was started in.
template <std::string Config::*kPath>
StepResult ReadPath(Config& config, std::string_view value) {
  std::error_code error;
  config.*kPath = std::filesystem::absolute(value, error).string();
  if (value.empty() || error) {
    return ConfigExit::BadValue(fmt::format("\"{}\" is no path of a file", value));
  }
  return Done{};
}

template <std::uint32_t Config::*kNumber, std::uint32_t kMax>
StepResult ReadUpTo(Config& config, std::string_view value) {
  const auto number = ParseNumber<std::uint32_t>(value);
  if (!number || *number == 0 || *number > kMax) {
    return ConfigExit::BadValue(fmt::format("\"{}\" is no whole number from 1 to {}", value, kMax));
  }
  config.*kNumber = *number;
  return Done{};
}

StepResult ReadPort(Config& config, std::string_view value) {
  const auto port = ParseNumber<int>(value);
  if (!port) return NotANumber("-p (--port)", value);
  if (*port < -1 || *port > kPortMax) {
    return ConfigExit::Refused(fmt::format("ERROR: Invalid port number {}.", *port));
  }
  config.port = *port;
  return Done{};
}

StepResult ReadUdpPort(Config&, std::string_view value) {
  const auto port = ParseNumber<int>(value);
  if (!port) return NotANumber("-U (--udp-port)", value);
  if (*port != 0)
    return ConfigExit::Refused(fmt::format("UDP is not served: -U takes 0 only, not {}", *port));
  return Done{};
}

StepResult AddListen(Config& config, std::string_view value) {
  if (auto addresses = ParseListenList(value); !addresses) {
    return ConfigExit::SystemError(
        fmt::format("{}\nfailed to listen on one of interface(s) {}: Invalid argument",
                    addresses.error(), value));
  }
  if (!config.listen_text.empty()) config.listen_text += ',';
  config.listen_text += value;
  return Done{};
}

StepResult ReadUnixMask(Config& config, std::string_view value) {
  unsigned mask = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), mask, 8);
  if (error != std::errc{} || end != value.data() + value.size() || mask > 0777) {
    return ConfigExit::BadValue(
        fmt::format("-a (--unix-mask) needs an octal mode up to 777, not \"{}\"", value));
  }
  config.unix_mask = mask;
  return Done{};
}

StepResult ReadBacklog(Config& config, std::string_view value) {
  const auto backlog = ParseNumber<int>(value);
  if (!backlog) return NotANumber("-b (--listen-backlog)", value);
  config.backlog = *backlog;
  return Done{};
}

StepResult ReadConnectionsMax(Config& config, std::string_view value) {
  return ReadPositive(value, "Maximum connections must be greater than 0", config.connections_max);
}

StepResult ReadProtocol(Config& config, std::string_view value) {
  config.protocol_given = true;
  if (value == "auto") {
    config.protocol = BindingProtocol::kNegotiate;
  } else if (value == "ascii") {
    config.protocol = BindingProtocol::kAscii;
  } else if (value == "binary") {
    config.protocol = BindingProtocol::kBinary;
  } else {
    return ConfigExit::Refused(
        fmt::format("Invalid value for binding protocol: {}\n"
                    " -- should be one of auto, binary, or ascii",
                    value));
  }
  return Done{};
}

StepResult ReadMemoryShare(Config& config, std::string_view value) {
  const auto percent = ParseNumber<std::uint64_t>(value.substr(0, value.size() - 1));
  if (!percent || *percent == 0 || *percent > 100) {
    return ConfigExit::BadValue(fmt::format(
        "-m (--memory-limit) needs a share from 1% to 100% of the memory, not \"{}\"", value));
  }
  const auto limit = MemoryLimitBytes(ReadKernelFile);
  if (!limit) {
    return ConfigExit::BadValue(
        "-m (--memory-limit): neither control groups nor /proc/meminfo tell how much memory there "
        "is; give megabytes");
  }
  const std::uint64_t megabytes = *limit / 100 * *percent / kMegabyte;
  config.memory_bytes = std::clamp<std::uint64_t>(megabytes, 1, kMegabytesMax) * kMegabyte;
  return Done{};
}

StepResult ReadMemory(Config& config, std::string_view value) {
  if (value.ends_with('%')) return ReadMemoryShare(config, value);
  const auto megabytes = ParseNumber<std::uint64_t>(value);
  if (!megabytes || *megabytes > kMegabytesMax) {
    return ConfigExit::BadValue(fmt::format(
        "-m (--memory-limit) needs megabytes, at most {}, or a share such as 75%, not \"{}\"",
        kMegabytesMax, value));
  }
  config.memory_bytes = *megabytes * kMegabyte;
  return Done{};
}

StepResult ReadItemBytesMax(Config& config, std::string_view value) {
  const std::string_view whole = value;
  std::uint64_t unit = 1;
  if (!value.empty()) {
    const char last = value.back();
    if (last == 'k' || last == 'K') unit = 1024;
    if (last == 'm' || last == 'M') unit = kMegabyte;
    if (unit != 1) value.remove_suffix(1);
  }
  const auto number = ParseNumber<std::uint64_t>(value);
  if (!number) {
    return ConfigExit::BadValue(fmt::format(
        "-I (--max-item-size) needs bytes, or a number with k or m, not \"{}\"", whole));
  }
  // Anything above the range is refused later, once -m is known: here it need only stay above.
  const std::uint64_t out_of_range = kItemBytesCeiling + 1;
  const std::uint64_t bytes = *number > out_of_range ? out_of_range : *number * unit;
  config.item_bytes_max = static_cast<std::uint32_t>(std::min(bytes, out_of_range));
  return Done{};
}

StepResult ReadGrowthFactor(Config& config, std::string_view value) {
  const auto factor = ParseNumber<double>(value);
  if (!factor || !(*factor > 1)) return ConfigExit::BadValue("Factor must be greater than 1");
  if (*factor > kGrowthFactorMax) {
    return ConfigExit::BadValue(fmt::format("Factor must be at most {}", kGrowthFactorMax));
  }
  config.growth_factor = *factor;
  config.growth_factor_given = true;
  return Done{};
}

StepResult ReadChunkBytesMin(Config& config, std::string_view value) {
  int bytes = 0;
  auto read = ReadPositive(value, "Chunk size must be greater than 0", bytes);
  if (read) config.chunk_bytes_min = static_cast<std::uint32_t>(bytes);
  return read;
}

StepResult ReadThreads(Config& config, std::string_view value) {
  auto read = ReadPositive(value, "Number of threads must be greater than 0", config.threads);
  if (!read) return read;
  if (config.threads > kThreadsMax) {
    return ConfigExit::BadValue(fmt::format("Number of threads must be at most {}", kThreadsMax));
  }
  if (config.threads > kThreadsAdvised) {
    config.warnings.emplace_back(
        "WARNING: Setting a high number of worker threads is not recommended.\n"
        " More of them than there are cores only take time from each other.");
  }
  return Done{};
}

StepResult ReadRequestsPerTurn(Config& config, std::string_view value) {
  return ReadPositive(value, "Number of requests per event must be greater than 0",
                      config.requests_per_turn_max);
}

StepResult ReadPrefixDelimiter(Config& config, std::string_view value) {
  if (value.empty()) return ConfigExit::BadValue("No delimiter specified");
  config.prefix_delimiter = value.front();
  config.detail_enabled = true;
  return Done{};
}

StepResult ReadClusterDns(Config& config, std::string_view value) {
  const auto name = ParseClusterFile(value, 1);
  if (!name || value.find('|') != value.npos) {
    return ConfigExit::BadValue(fmt::format(
        "--cluster-dns needs a name and the port of the nodes, host:port, not \"{}\"", value));
  }
  config.cluster_dns_host = name->nodes.front().host;
  config.cluster_dns_port = name->nodes.front().port;
  return Done{};
}

StepResult CountVerbosity(Config& config, std::string_view) {
  ++config.verbosity;
  return Done{};
}

StepResult AcceptSilently(Config&, std::string_view) { return Done{}; }

StepResult ReadExtended(Config& config, std::string_view value) {
  return ApplyExtendedOptions(value, config);
}

StepResult RefuseTls(Config&, std::string_view) {
  return ConfigExit::Refused("This server is not built with TLS support.");
}
StepResult RefuseNapiIds(Config&, std::string_view) {
  return ConfigExit::Refused("This server is not built with support for -N (--napi-ids).");
}

std::string HelpText();
StepResult ShowHelp(Config&, std::string_view) { return Shown(HelpText()); }

StepResult ShowVersion(Config&, std::string_view) {
  return Shown(fmt::format("larder {}", Version()));
}

StepResult ShowLicense(Config&, std::string_view) {
  return Shown(
      "Larder is free software under the Apache License, version 2.0:\n"
      "you may use, change and pass it on under the terms of that licence, and there is no "
      "warranty.\n"
      "Its text: http://www.apache.org/licenses/LICENSE-2.0, and LICENSE beside the sources.");
}

enum class Section : std::uint8_t {
  kSockets,
  kMemory,
  kWork,
  kCluster,
  kProcess,
  kHelp,
  kUnsupported
};

constexpr std::string_view Heading(Section section) {
  switch (section) {
    case Section::kSockets:
      return "Sockets";
    case Section::kMemory:
      return "Memory";
    case Section::kWork:
      return "Work";
    case Section::kCluster:
      return "Cluster";
    case Section::kProcess:
      return "Process";
    case Section::kHelp:
      return "Help";
    case Section::kUnsupported:
      return "Options of memcached that are refused";
  }
  return "";
}

struct Option {
  Section section;
  char letter;                  // 0: none.
  std::string_view name;        // The long one; empty: none.
  std::string_view value_name;  // Empty: takes no value.
  std::string_view help;
  StepResult (*apply)(Config&, std::string_view value);
};

constexpr std::array kOptions = {
    // section, letter, name, value_name, help, apply; in the order of the help text.
    Option{Section::kSockets, 'p', "port", "NUM",
           "TCP port; 0: no TCP, -1: any free port (default 11211)", ReadPort},
    Option{Section::kSockets, 'l', "listen", "ADDRS",
           "addresses to listen on, each with or without :port, by commas; may\n"
           "be repeated; [::1]:port for IPv6 (default: every interface)",
           AddListen},
    Option{Section::kSockets, 's', "unix-socket", "PATH",
           "UNIX socket to listen on, instead of TCP", ReadText<&Config::unix_socket>},
    Option{Section::kSockets, 'a', "unix-mask", "MODE",
           "permissions of the UNIX socket, octal (default 700)", ReadUnixMask},
    Option{Section::kSockets, 'c', "conn-limit", "NUM", "connections at a time (default 1024)",
           ReadConnectionsMax},
    Option{Section::kSockets, 'b', "listen-backlog", "NUM",
           "connections that may wait to be accepted (default 1024)", ReadBacklog},
    Option{Section::kSockets, 'B', "protocol", "NAME",
           "auto, ascii or binary (default auto: by a connection's first byte)", ReadProtocol},
    Option{Section::kSockets, 'S', "enable-sasl", "",
           "clients of the binary protocol have to authenticate by SASL", SwitchOn<&Config::sasl>},
    Option{Section::kSockets, 'Y', "auth-file", "PATH",
           "file of user:password lines: clients of the text protocol have to\n"
           "authenticate; read again on SIGHUP",
           ReadPath<&Config::auth_file>},
    Option{Section::kSockets, 'U', "udp-port", "NUM", "0 only: UDP is not served", ReadUdpPort},

    Option{Section::kMemory, 'm', "memory-limit", "MB",
           "item memory in megabytes, or, as in 75%, a share of the memory that\n"
           "the control group or the machine has (default 64)",
           ReadMemory},
    Option{Section::kMemory, 'e', "memory-file", "PATH",
           "keep the items in this file, of -m megabytes, over restarts",
           ReadPath<&Config::memory_file>},
    Option{Section::kMemory, 'M', "disable-evictions", "",
           "answer with an error when memory is full, instead of evicting",
           SwitchOff<&Config::evict>},
    Option{Section::kMemory, 'I', "max-item-size", "SIZE",
           "largest item in bytes, or with k or m; 1k to 1024m, at most half of\n"
           "-m (default 1m)",
           ReadItemBytesMax},
    Option{Section::kMemory, 'f', "slab-growth-factor", "NUM",
           "ratio of neighbouring chunk sizes (default 1.10, and steps of 8\n"
           "bytes below 256)",
           ReadGrowthFactor},
    Option{Section::kMemory, 'n', "slab-min-size", "BYTES",
           "smallest room for key, value and flags (default 16)", ReadChunkBytesMin},
    Option{Section::kMemory, 'C', "disable-cas", "", "keep no CAS numbers",
           SwitchOff<&Config::use_cas>},
    Option{Section::kMemory, 'k', "lock-memory", "", "keep the memory in use out of swap",
           SwitchOn<&Config::lock_memory>},
    Option{Section::kMemory, 'L', "enable-largepages", "",
           "take all memory at the start (huge pages are always asked for)",
           SwitchOn<&Config::prefault>},

    Option{Section::kWork, 't', "threads", "NUM", "worker threads (default 4)", ReadThreads},
    Option{Section::kWork, 'R', "max-reqs-per-event", "NUM",
           "requests of a connection served before others get a turn\n"
           "(default 1024)",
           ReadRequestsPerTurn},
    Option{Section::kWork, 'D', "", "CHAR",
           "delimiter of key prefixes; switches stats detail on (default :)", ReadPrefixDelimiter},
    Option{Section::kWork, 'A', "enable-shutdown", "", "allow the shutdown command",
           SwitchOn<&Config::shutdown_command>},
    Option{Section::kWork, 'F', "disable-flush-all", "", "refuse flush_all",
           SwitchOff<&Config::flush_enabled>},
    Option{Section::kWork, 'X', "disable-dumping", "", "refuse stats cachedump and stats detail",
           SwitchOff<&Config::dump_enabled>},
    Option{Section::kWork, 'W', "disable-watch", "", "accepted: watch is not served",
           AcceptSilently},
    Option{Section::kWork, 'o', "extended", "LIST",
           "further options, name or name=value, by commas; may be repeated:\n"
           "  idle_timeout=SECONDS  close idle connections (default: never)\n"
           "  no_maxconns_fast      over the -c limit, let clients wait\n"
           "  eviction=segmented    who is evicted: segmented, or lru\n"
           "  upload_memory=3       percent of -m for unfinished values\n"
           "  upload_timeout=120    seconds until a stalled value is given up\n"
           "  track_sizes           count items by size for stats sizes\n"
           "memcached's other names are accepted, and shown by stats settings",
           ReadExtended},

    Option{Section::kCluster, 0, "cluster-file", "PATH",
           "nodes that clients discover, one host:port or host|address|port\n"
           "a line; read again when it changes and on SIGHUP",
           ReadPath<&Config::cluster_file>},
    Option{Section::kCluster, 0, "cluster-dns", "HOST:PORT", "or all addresses of this name",
           ReadClusterDns},
    Option{Section::kCluster, 0, "cluster-dns-interval", "SECONDS",
           "how often the name is resolved (default 10)",
           ReadUpTo<&Config::cluster_dns_interval_s, kClusterDnsIntervalCeiling_s>},
    Option{Section::kCluster, 0, "cluster-state", "PATH",
           "keeps the last list and its version over restarts", ReadPath<&Config::cluster_state>},
    Option{Section::kCluster, 0, "cluster-admin", "",
           "allow config set and config delete, to clients of this machine",
           SwitchOn<&Config::cluster_admin>},
    Option{Section::kCluster, 0, "cluster-nodes-max", "NUM", "longest list (default 256)",
           ReadUpTo<&Config::cluster_nodes_max, kClusterNodesCeiling>},
    Option{Section::kCluster, 0, "cluster-file-max", "BYTES",
           "largest --cluster-file (default 65536)",
           ReadUpTo<&Config::cluster_file_bytes_max, kClusterFileBytesCeiling>},

    Option{Section::kProcess, 'd', "daemon", "", "run in the background",
           SwitchOn<&Config::daemonize>},
    Option{Section::kProcess, 'u', "user", "NAME", "the user to become when started as root",
           ReadText<&Config::user>},
    Option{Section::kProcess, 'P', "pidfile", "PATH", "write the process id to this file",
           ReadText<&Config::pid_file>},
    Option{Section::kProcess, 'r', "enable-coredumps", "", "allow core dumps of any size",
           SwitchOn<&Config::coredumps>},
    Option{Section::kProcess, 'v', "verbose", "", "print what goes wrong; -vv also each command",
           CountVerbosity},

    Option{Section::kHelp, 'h', "help", "", "print this and exit", ShowHelp},
    Option{Section::kHelp, 'V', "version", "", "print the version and exit", ShowVersion},
    Option{Section::kHelp, 'i', "license", "", "print the licence and exit", ShowLicense},

    Option{Section::kUnsupported, 'Z', "enable-ssl", "", "TLS", RefuseTls},
    Option{Section::kUnsupported, 'N', "napi-ids", "NUM", "workers by network queue",
           RefuseNapiIds},
};

std::string HelpText() {
  constexpr std::size_t kHelpColumn = 32;
  std::string text = fmt::format(
      "larder {}, a cache server that speaks memcached's protocol\n"
      "usage: larder [option]...\n",
      Version());
  std::optional<Section> section;
  for (const Option& option : kOptions) {
    if (option.section != section) {
      section = option.section;
      text += fmt::format("\n{}:\n", Heading(*section));
    }
    std::string names = option.letter != 0 ? fmt::format("  -{}", option.letter) : "    ";
    if (!option.name.empty()) {
      names += fmt::format("{}--{}", option.letter != 0 ? ", " : "  ", option.name);
    }
    if (!option.value_name.empty()) {
      names += fmt::format("{}{}", option.name.empty() ? ' ' : '=', option.value_name);
    }
    text += names;
    std::size_t column = names.size();
    if (column >= kHelpColumn) {
      text += '\n';
      column = 0;
    }
    std::string_view help = option.help;
    while (!help.empty()) {
      const std::size_t end = std::min(help.find('\n'), help.size());
      text += fmt::format("{:{}}{}\n", "", kHelpColumn - column, help.substr(0, end));
      help.remove_prefix(std::min(end + 1, help.size()));
      column = 0;
    }
  }
  text.pop_back();  // The caller ends the last line.
  return text;
}

// cxxopts knows no abbreviated names, so "--thr=2" is spelt out for it. Names that fit nothing, or
// several options, stay: cxxopts refuses them.
std::string SpellOut(std::string_view argument) {
  if (!argument.starts_with("--")) return std::string(argument);
  const std::size_t end = std::min(argument.find('='), argument.size());
  const std::string_view name = argument.substr(2, end - 2);
  const Option* found = nullptr;
  for (const Option& option : kOptions) {
    if (name.empty() || !option.name.starts_with(name)) continue;
    if (option.name == name) return std::string(argument);
    if (found != nullptr) return std::string(argument);
    found = &option;
  }
  if (found == nullptr) return std::string(argument);
  return fmt::format("--{}{}", found->name, argument.substr(end));
}

// The key under which cxxopts reports an option.
std::string KeyOf(const Option& option) {
  return option.name.empty() ? std::string(1, option.letter) : std::string(option.name);
}

// What was given, in order, as key and value; throws what cxxopts throws.
std::vector<cxxopts::KeyValue> Tokenize(int argc, const char* const* argv) {
  cxxopts::Options options("larder");
  for (const Option& option : kOptions) {
    auto value = cxxopts::value<std::string>();
    if (option.value_name.empty()) value->implicit_value("");
    std::string names(option.name);
    if (option.letter != 0) {
      names = names.empty() ? std::string(1, option.letter)
                            : fmt::format("{},{}", option.letter, option.name);
    }
    options.add_option("", cxxopts::Option(names, "", std::move(value)));
  }

  std::vector<std::string> words;
  std::vector<const char*> pointers;
  words.reserve(static_cast<std::size_t>(argc));  // The pointers stay valid.
  for (int i = 0; i < argc; ++i) pointers.push_back(words.emplace_back(SpellOut(argv[i])).c_str());
  return options.parse(argc, pointers.data()).arguments();
}

StepResult ApplyOption(const cxxopts::KeyValue& given, Config& config) {
  const auto option = std::ranges::find(kOptions, given.key(), KeyOf);
  std::string_view value = given.value();
  if (option->value_name.empty() && !value.empty()) {
    return ConfigExit::BadValue(
        fmt::format("larder: option '--{}' doesn't allow an argument\n"
                    "Illegal argument \"?\"",
                    option->name));
  }
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  return option->apply(config, value);
}

StepResult CheckItemBytesMax(const Config& config) {
  if (config.item_bytes_max < kItemBytesFloor) {
    return ConfigExit::Refused("Item max size cannot be less than 1024 bytes.");
  }
  if (config.item_bytes_max > config.memory_bytes / 2) {
    return ConfigExit::Refused("Cannot set item size limit higher than 1/2 of memory max.");
  }
  if (config.item_bytes_max > kItemBytesCeiling) {
    return ConfigExit::Refused("Cannot set item size limit higher than a gigabyte.");
  }
  if (config.chunk_bytes_min > config.item_bytes_max) {
    return ConfigExit::Refused(
        fmt::format("-n (smallest chunk: {}) cannot be larger than -I (largest item: {})",
                    config.chunk_bytes_min, config.item_bytes_max));
  }
  return Done{};
}

// A protocol in which nobody could authenticate is not served.
StepResult ChooseProtocol(Config& config) {
  const bool has_file = !config.auth_file.empty();
  if (!config.sasl && !has_file) return Done{};
  const BindingProtocol safe = !has_file      ? BindingProtocol::kBinary
                               : !config.sasl ? BindingProtocol::kAscii
                                              : BindingProtocol::kNegotiate;
  if (config.protocol_given && config.protocol != safe) {
    return ConfigExit::Refused(
        config.sasl && config.protocol != BindingProtocol::kBinary
            ? "ERROR: You cannot allow the ASCII protocol while using SASL."
            : "ERROR: You cannot allow the BINARY protocol while using ascii authentication "
              "tokens.");
  }
  config.protocol = safe;
  return Done{};
}

}  // namespace

Result<Config, ConfigExit> ParseConfig(int argc, const char* const* argv) {
  try {
    Config config;
    for (const cxxopts::KeyValue& given : Tokenize(argc, argv)) {
      if (auto applied = ApplyOption(given, config); !applied) return Failure{applied.error()};
    }
    if (auto checked = CheckItemBytesMax(config); !checked) return Failure{checked.error()};
    if (auto checked = CheckExtendedOptions(config); !checked) return Failure{checked.error()};
    if (auto chosen = ChooseProtocol(config); !chosen) return Failure{chosen.error()};
    if (!config.cluster_file.empty() && !config.cluster_dns_host.empty()) {
      return ConfigExit::Refused("--cluster-file and --cluster-dns: only one can name the nodes");
    }
    if (!config.listen_text.empty()) config.listen = *ParseListenList(config.listen_text);
    return config;
  } catch (const std::exception& error) {
    return ConfigExit::BadValue(fmt::format("larder: {}\nIllegal argument \"?\"", error.what()));
  }
}

std::string_view Version() { return LARDER_VERSION; }

std::string_view WireVersion() { return LARDER_MEMCACHED_VERSION "-larder-" LARDER_VERSION; }

}  // namespace larder::server
