#include "tests/bench/replay_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cxxopts.hpp>

#include "tests/bench/key_format.h"

namespace larder::bench {
namespace {

constexpr std::uint32_t kValueBytesMax = 1u << 30;
constexpr std::uint32_t kWindowMax = 1000;

cxxopts::Options Description() {
  cxxopts::Options options(
      "larder_replay",
      "Replays a request trace (`key` or `key,size` a line) as a cache-aside "
      "client, against one server\nof this machine, or against two in turn.\n");
  options.positional_help("HOST:PORT [HOST:PORT]");
  // clang-format off
  options.add_options()
      ("trace", "File to read, - for standard input",
       cxxopts::value<std::string>()->default_value("-"))
      ("value-bytes", "Length of the values where the trace has no sizes",
       cxxopts::value<std::uint32_t>()->default_value("100"))
      ("value-bytes-max", "Cut longer values to this",
       cxxopts::value<std::uint32_t>()->default_value("1000000"))
      ("key-bytes", "Length of the keys", cxxopts::value<std::size_t>()->default_value("20"))
      ("window", "Requests that may change places for the sake of speed; 1 keeps the exact order",
       cxxopts::value<std::uint32_t>()->default_value("32"))
      ("limit", "Stop after so many requests", cxxopts::value<std::uint64_t>())
      ("seed", "Of the values", cxxopts::value<std::uint64_t>()->default_value("1"))
      ("json", "Report as JSON")
      ("progress", "A line a second on standard error, also when it is no terminal")
      ("server", "Address of a server", cxxopts::value<std::vector<std::string>>())
      ("h,help", "Show this");
  // clang-format on
  options.parse_positional({"server"});
  return options;
}

OptionsExit Usage(const std::string& message) {
  return {.message = fmt::format("larder_replay: {}\n", message), .exit_code = 2};
}

std::string Complaint(const ReplayOptions& options) {
  if (options.servers.empty() || options.servers.size() > 2) return "give one server or two";
  if (options.limits.value_bytes_max > kValueBytesMax) return "--value-bytes-max is at most 2^30";
  if (options.limits.value_bytes_default > options.limits.value_bytes_max) {
    return "--value-bytes is more than --value-bytes-max";
  }
  if (options.key_bytes < KeyFormat::kKeyBytesMin || options.key_bytes > KeyFormat::kKeyBytesMax) {
    return "--key-bytes must be 2 to 250";
  }
  if (options.shape.window < 1 || options.shape.window > kWindowMax) {
    return "--window must be 1 to 1000";
  }
  return {};
}

}  // namespace

Result<ReplayOptions, OptionsExit> ParseReplayOptions(int argc, const char* const* argv) {
  cxxopts::Options description = Description();
  try {
    const cxxopts::ParseResult parsed = description.parse(argc, argv);
    const auto given = [&](const char* name) { return parsed.count(name) != 0; };
    if (given("help")) {
      return Failure{OptionsExit{.message = description.help(), .exit_code = 0}};
    }
    ReplayOptions options;
    options.limits.value_bytes_default = parsed["value-bytes"].as<std::uint32_t>();
    options.limits.value_bytes_max = parsed["value-bytes-max"].as<std::uint32_t>();
    options.shape.window = parsed["window"].as<std::uint32_t>();
    options.key_bytes = parsed["key-bytes"].as<std::size_t>();
    options.seed = parsed["seed"].as<std::uint64_t>();
    options.json = given("json");
    options.progress = given("progress") || isatty(STDERR_FILENO) == 1;
    if (given("limit")) options.requests_max = parsed["limit"].as<std::uint64_t>();
    const std::string trace = parsed["trace"].as<std::string>();
    if (trace != "-") options.trace_path = trace;
    if (given("server")) {
      for (const std::string& text : parsed["server"].as<std::vector<std::string>>()) {
        auto address = ParseLoopbackAddress(text);
        if (!address) return Failure{Usage(address.error())};
        options.servers.push_back(std::move(*address));
      }
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
