#include "server/config/option_readers.h"

#include <algorithm>
#include <charconv>

#include "server/config/cluster_nodes.h"
#include "server/config/listen_address.h"
#include "server/config/memory_share.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// 16 TiB: small enough that no product or sum of sizes overflows 64 bits.
constexpr std::uint64_t kMegabytesMax = std::uint64_t{1} << 24;
static_assert(kMegabytesMax <= UINT64_MAX / kMegabyte / 100);
// The upper limit of -f, which only catches mistakes.
constexpr double kGrowthFactorMax = 1024;
// More workers than this produce a warning, as in memcached.
constexpr int kThreadsAdvised = 64;
static_assert(kThreadsAdvised < kThreadsMax);
// What ReadItemBytesMax() stores for a value that is out of range fits its field.
static_assert(kItemBytesCeiling < UINT32_MAX);
static_assert(kItemBytesCeiling < UINT64_MAX / kMegabyte);

// Returns the failure for a value that must be a whole number. `option` is the name to print.
Failure<ConfigExit> NotANumber(std::string_view option, std::string_view value) {
  return ConfigExit::BadValue(fmt::format("{} needs a whole number, not \"{}\"", option, value));
}

// Reads a number that must be positive into `out`. `complaint` is memcached's error message.
StepResult ReadPositive(std::string_view value, std::string_view complaint, int& out) {
  const auto number = ParseNumber<int>(value);
  if (!number)
    return ConfigExit::BadValue(fmt::format("{}: \"{}\" is no such number", complaint, value));
  // memcached's own case, with memcached's message alone.
  if (*number <= 0) return ConfigExit::BadValue(std::string(complaint));
  out = *number;
  return Done{};
}

// Reads a value such as 75%: a share of the memory that the control group or the machine has.
StepResult ReadMemoryShare(Config& config, std::string_view value) {
  LARDER_ASSERT(value.ends_with('%'));
  // The number without its percent sign.
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
  // Less than a megabyte becomes one megabyte.
  // Divided first, so that the product cannot overflow.
  const std::uint64_t megabytes = *limit / 100 * *percent / kMegabyte;
  config.memory_bytes = std::clamp<std::uint64_t>(megabytes, 1, kMegabytesMax) * kMegabyte;
  return Done{};
}

}  // namespace

StepResult ReadPort(Config& config, std::string_view value) {
  const auto port = ParseNumber<int>(value);
  if (!port) return NotANumber("-p (--port)", value);
  // || The message and the exit code are memcached's.
  if (*port < -1 || *port > kPortMax) {
    return ConfigExit::Refused(fmt::format("ERROR: Invalid port number {}.", *port));
  }
  config.port = *port;
  return Done{};
}

StepResult ReadUdpPort(Config&, std::string_view value) {
  const auto port = ParseNumber<int>(value);
  if (!port) return NotANumber("-U (--udp-port)", value);
  // 0 means that UDP is not served, which is always so here.
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

  // Addresses are only checked here; the whole list is parsed when all options are known.
  return Done{};
}

StepResult ReadUnixMask(Config& config, std::string_view value) {
  unsigned mask = 0;
  // Octal, as chmod takes it.
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
  // Recorded even if it is the default: authentication may forbid a protocol that was requested.
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

StepResult ReadMemory(Config& config, std::string_view value) {
  // A share of the available memory.
  if (value.ends_with('%')) return ReadMemoryShare(config, value);
  const auto megabytes = ParseNumber<std::uint64_t>(value);
  // *megabytes > kMegabytesMax) { || 0 megabytes are possible: then the largest item (-I) is
  // refused later.
  if (!megabytes || *megabytes > kMegabytesMax) {
    return ConfigExit::BadValue(fmt::format(
        "-m (--memory-limit) needs megabytes, at most {}, or a share such as 75%, not \"{}\"",
        kMegabytesMax, value));
  }
  config.memory_bytes = *megabytes * kMegabyte;
  return Done{};
}

StepResult ReadItemBytesMax(Config& config, std::string_view value) {
  // For the error message.
  const std::string_view whole = value;
  std::uint64_t unit = 1;
  if (!value.empty()) {
    // Only k and m are units; any other letter makes the number malformed.
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
  // Everything above the range is refused later, when -m is known. Here the value only has to stay
  // above it without an overflow.
  const std::uint64_t out_of_range = kItemBytesCeiling + 1;
  const std::uint64_t bytes = *number > out_of_range ? out_of_range : *number * unit;
  config.item_bytes_max = static_cast<std::uint32_t>(std::min(bytes, out_of_range));
  return Done{};
}

StepResult ReadGrowthFactor(Config& config, std::string_view value) {
  const auto factor = ParseNumber<double>(value);
  // Written so that NaN is refused too.
  if (!factor || !(*factor > 1)) return ConfigExit::BadValue("Factor must be greater than 1");
  if (*factor > kGrowthFactorMax) {
    return ConfigExit::BadValue(fmt::format("Factor must be at most {}", kGrowthFactorMax));
  }
  config.growth_factor = *factor;
  // A factor that equals the default is not the same as none: see Config.
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
  // The server starts nevertheless.
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
  // Only the first byte of the value counts.
  if (value.empty()) return ConfigExit::BadValue("No delimiter specified");
  config.prefix_delimiter = value.front();
  // As in memcached, giving the delimiter switches the statistics on.
  config.detail_enabled = true;
  return Done{};
}

StepResult ReadClusterDns(Config& config, std::string_view value) {
  // The notation host:port is that of one node in a file.
  const auto name = ParseClusterFile(value, 1);
  if (!name || value.find('|') != value.npos) {
    return ConfigExit::BadValue(fmt::format(
        "--cluster-dns needs a name and the port of the nodes, host:port, not \"{}\"", value));
  }
  config.cluster_dns_host = name->nodes.front().host;
  config.cluster_dns_port = name->nodes.front().port;
  return Done{};
}

}  // namespace larder::server
