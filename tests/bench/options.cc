#include "tests/bench/options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cxxopts.hpp>
#include <limits>

#include "tests/bench/key_format.h"

namespace larder::bench {
namespace {

constexpr std::uint32_t kThreadsMax = 64;
constexpr std::uint32_t kConnectionsMax = 60'000;
constexpr std::uint32_t kDepthMax = 10'000;
constexpr std::uint32_t kKeysPerGetMax = 1'000;
constexpr std::size_t kValueBytesMax = std::size_t{1} << 30;

cxxopts::Options Description() {
  cxxopts::Options options("larder_load",
                           "Puts load on a memcached-compatible server of this machine, and "
                           "measures it.\n");
  auto text = [](const char* fallback) {
    return cxxopts::value<std::string>()->default_value(fallback);
  };
  auto count = [](const char* fallback) {
    return cxxopts::value<std::uint32_t>()->default_value(fallback);
  };
  auto number = [](const char* fallback) {
    return cxxopts::value<double>()->default_value(fallback);
  };
  // clang-format off
  options.add_options("Server")
      ("host", "Loopback address", text("127.0.0.1"))
      ("p,port", "TCP port", cxxopts::value<int>()->default_value("11211"))
      ("unix", "Path of a unix socket, instead of host and port", cxxopts::value<std::string>())
      ("c,connections", "Connections that send requests", count("32"))
      ("idle", "Connections that do nothing, on top", count("0"))
      ("t,threads", "Threads of the load generator", count("1"))
      ("tls", "Speak TLS, whatever certificate the server has");
  options.add_options("Requests")
      ("binary", "Speak the binary protocol: a get of several keys is GetKQ for each and a No-op")
      ("depth", "Requests outstanding on a connection: so many are sent at once, and again when "
                "all are answered", count("1"))
      ("multiget", "Keys of a get", count("1"))
      ("meta", "Gets are meta commands: mg <key> v")
      ("set-ratio", "Share of sets, 0 to 1", number("0"))
      ("keys", "Distinct keys", count("100000"))
      ("key-bytes", "Length of a key", cxxopts::value<std::size_t>()->default_value("20"))
      ("value-bytes", "Length of a value, or lo:hi for lengths spread evenly", text("100"))
      ("zipf", "Theta of the keys' Zipf distribution; 0 is uniform", number("0"))
      ("seed", "Of everything random", cxxopts::value<std::uint64_t>()->default_value("1"))
      ("load", "Set every key once before the run")
      ("miss-set", "Cache-aside: set a key that missed")
      ("verify", "Check every byte of every value");
  options.add_options("Duration")
      ("seconds", "Measured seconds", number("5"))
      ("operations", "Requests to send, instead of seconds; 0 only loads",
       cxxopts::value<std::uint64_t>())
      ("warmup", "Seconds before the measurement", number("0"))
      ("rate", "Open loop: requests a second on a fixed schedule, latency counted from the "
               "intended send time (closed loop otherwise)", cxxopts::value<double>())
      ("timeout", "Give up after so many seconds", number("600"));
  options.add_options("Report")
      ("server-pid", "Report the CPU time of this process, too",
       cxxopts::value<int>()->default_value("0"))
      ("json", "Report as JSON")
      ("progress", "A line a second on standard error, also when it is no terminal")
      ("h,help", "Show this");
  // clang-format on
  return options;
}

struct ByteRange {
  std::size_t min = 0;
  std::size_t max = 0;
};

// "100" or "64:4096".
std::optional<ByteRange> ParseByteRange(const std::string& text) {
  ByteRange range;
  const char* end = text.data() + text.size();
  auto parsed = std::from_chars(text.data(), end, range.min);
  if (parsed.ec != std::errc{}) return std::nullopt;
  range.max = range.min;
  if (parsed.ptr != end && *parsed.ptr == ':') {
    parsed = std::from_chars(parsed.ptr + 1, end, range.max);
    if (parsed.ec != std::errc{}) return std::nullopt;
  }
  const bool is_valid = parsed.ptr == end && range.min <= range.max && range.max <= kValueBytesMax;
  return is_valid ? std::optional(range) : std::nullopt;
}

OptionsExit Usage(std::string message) {
  return {.message = fmt::format("larder_load: {}\n", message), .exit_code = 2};
}

// What is wrong with options that parsed well, one by one; empty if nothing is.
std::string Complaint(const LoadOptions& options) {
  const auto outside = [](auto value, auto min, auto max) {
    return !(value >= min && value <= max);
  };
  if (outside(options.threads, 1u, kThreadsMax)) return "--threads must be 1 to 64";
  if (outside(options.connections, options.threads, kConnectionsMax)) {
    return "--connections must be at least --threads and at most 60000";
  }
  if (options.idle_connections > kConnectionsMax) return "--idle must be at most 60000";
  if (outside(options.depth, 1u, kDepthMax)) return "--depth must be 1 to 10000";
  if (outside(options.keys_per_get, 1u, kKeysPerGetMax)) return "--multiget must be 1 to 1000";
  if (options.meta && (options.keys_per_get > 1 || options.binary)) {
    return "--meta goes with neither --multiget nor --binary";
  }
  if (outside(options.set_ratio, 0.0, 1.0)) return "--set-ratio must be 0 to 1";
  if (options.keys == 0) return "--keys must be at least 1";
  if (outside(options.key_bytes, KeyFormat::kKeyBytesMin, KeyFormat::kKeyBytesMax)) {
    return "--key-bytes must be 2 to 250";
  }
  if (!KeyFormat(options.key_bytes).Fits(options.keys - 1)) {
    return "--keys are more than fit into --key-bytes";
  }
  if (outside(options.zipf_theta, 0.0, 10.0)) return "--zipf must be 0 to 10";
  if (outside(options.warmup_s, 0.0, 3600.0)) return "--warmup must be 0 to 3600";
  if (outside(options.seconds, 0.001, 3600.0)) return "--seconds must be 0.001 to 3600";
  if (outside(options.timeout_s, 1.0, 86400.0)) return "--timeout must be 1 to 86400";
  if (options.operations && options.warmup_s > 0.0) return "--warmup goes with --seconds only";
  if (options.rate && outside(*options.rate, 1.0, 1e8)) return "--rate must be 1 to 1e8";
  return {};
}

}  // namespace

Result<LoadOptions, OptionsExit> ParseLoadOptions(int argc, const char* const* argv) {
  cxxopts::Options description = Description();
  try {
    const cxxopts::ParseResult parsed = description.parse(argc, argv);
    const auto given = [&](const char* name) { return parsed.count(name) != 0; };
    if (given("help")) {
      return Failure{OptionsExit{.message = description.help(), .exit_code = 0}};
    }
    if (!parsed.unmatched().empty()) {
      return Failure{Usage(fmt::format("'{}' is no option", parsed.unmatched().front()))};
    }
    const auto value_bytes = ParseByteRange(parsed["value-bytes"].as<std::string>());
    if (!value_bytes) return Failure{Usage("--value-bytes must be a length or lo:hi")};

    LoadOptions options{
        .address = {},
        .threads = parsed["threads"].as<std::uint32_t>(),
        .connections = parsed["connections"].as<std::uint32_t>(),
        .idle_connections = parsed["idle"].as<std::uint32_t>(),
        .tls = given("tls"),
        .binary = given("binary"),
        .depth = parsed["depth"].as<std::uint32_t>(),
        .keys_per_get = parsed["multiget"].as<std::uint32_t>(),
        .meta = given("meta"),
        .set_ratio = parsed["set-ratio"].as<double>(),
        .keys = parsed["keys"].as<std::uint32_t>(),
        .key_bytes = parsed["key-bytes"].as<std::size_t>(),
        .value_bytes_min = value_bytes->min,
        .value_bytes_max = value_bytes->max,
        .zipf_theta = parsed["zipf"].as<double>(),
        .seed = parsed["seed"].as<std::uint64_t>(),
        .load = given("load"),
        .set_missed = given("miss-set"),
        .verify = given("verify"),
        .warmup_s = parsed["warmup"].as<double>(),
        .seconds = parsed["seconds"].as<double>(),
        .operations = {},
        .rate = {},
        .timeout_s = parsed["timeout"].as<double>(),
        .server_pid = parsed["server-pid"].as<int>(),
        .json = given("json"),
        .progress = given("progress") || isatty(STDERR_FILENO) == 1,
    };
    if (given("operations")) options.operations = parsed["operations"].as<std::uint64_t>();
    if (given("rate")) options.rate = parsed["rate"].as<double>();
    if (given("unix")) {
      options.address.unix_path = parsed["unix"].as<std::string>();
    } else {
      auto address = LoopbackAddress(parsed["host"].as<std::string>(), parsed["port"].as<int>());
      if (!address) return Failure{Usage(address.error())};
      options.address = std::move(*address);
    }
    if (const std::string complaint = Complaint(options); !complaint.empty()) {
      return Failure{Usage(complaint)};
    }
    return options;
  } catch (const cxxopts::exceptions::exception& error) {
    return Failure{Usage(fmt::format("{} (try --help)", error.what()))};
  }
}

}  // namespace larder::bench
