#include "tests/bench/report.h"

#include <fmt/format.h>

#include <array>

namespace larder::bench {
namespace {

struct NamedPercentile {
  const char* name;
  double percent;
};
constexpr std::array kPercentiles = {
    NamedPercentile{"p50", 50.0},
    NamedPercentile{"p90", 90.0},
    NamedPercentile{"p99", 99.0},
    NamedPercentile{"p99.9", 99.9},
};

double Microseconds(std::uint64_t ns) { return static_cast<double>(ns) / 1000.0; }

double Per(double amount, std::uint64_t count) {
  return count == 0 ? 0.0 : amount / static_cast<double>(count);
}

double PerSecond(std::uint64_t count, const LoadReport& report) {
  return report.seconds > 0.0 ? static_cast<double>(count) / report.seconds : 0.0;
}

// The ticks tell the user's share, the nanoseconds the total.
double UserSeconds(const CpuTime& cpu) {
  const double ticks_s = cpu.user_s + cpu.system_s;
  return ticks_s > 0.0 ? cpu.total_s * cpu.user_s / ticks_s : 0.0;
}

}  // namespace

std::string AsText(const LoadReport& report) {
  const Tally& tally = report.tally;
  std::string text;
  auto out = std::back_inserter(text);
  const auto line = [&](const char* name, std::uint64_t count) {
    fmt::format_to(out, "{:<14}{:>14}\n", name, count);
  };
  if (report.loaded != 0) line("keys loaded", report.loaded);
  if (report.load_errors != 0) line("load errors", report.load_errors);
  fmt::format_to(out, "{:<14}{:>14.3f}\n", "seconds", report.seconds);
  fmt::format_to(out, "{:<14}{:>14}  {:.0f}/s\n", "requests", tally.requests,
                 PerSecond(tally.requests, report));
  fmt::format_to(out, "{:<14}{:>14}  {:.0f}/s\n", "keys", tally.keys,
                 PerSecond(tally.keys, report));
  line("sets", tally.sets);
  line("hits", tally.hits);
  line("misses", tally.misses);
  line("errors", tally.errors);
  line("wrong values", tally.wrong_values);
  if (tally.unsent != 0) {
    fmt::format_to(out, "{:<14}{:>14}  the server cannot keep up with --rate\n", "unsent",
                   tally.unsent);
  }
  if (!tally.first_error.empty()) fmt::format_to(out, "first error: {}\n", tally.first_error);
  fmt::format_to(out, "{:<14}", "latency us");
  for (const auto& [name, percent] : kPercentiles) {
    fmt::format_to(out, "  {} {:.1f}", name, Microseconds(tally.latency_ns.Percentile(percent)));
  }
  fmt::format_to(out, "  max {:.1f}\n", Microseconds(tally.latency_ns.max()));
  if (report.server_cpu) {
    const double user_s = UserSeconds(*report.server_cpu);
    fmt::format_to(out, "{:<14}  {:.3f} us/request  {:.3f} us/key  user {:.0f}%  busy {:.0f}%\n",
                   "server CPU", Per(1e6 * report.server_cpu->total_s, tally.requests),
                   Per(1e6 * report.server_cpu->total_s, tally.keys),
                   report.server_cpu->total_s > 0 ? 100 * user_s / report.server_cpu->total_s : 0.0,
                   report.seconds > 0 ? 100 * report.server_cpu->total_s / report.seconds : 0.0);
  }
  return text;
}

std::string AsJson(const LoadReport& report) {
  const Tally& tally = report.tally;
  std::string json;
  auto out = std::back_inserter(json);
  fmt::format_to(out,
                 "{{\"loaded\": {}, \"load_errors\": {}, \"seconds\": {:.6f}, \"requests\": {}, "
                 "\"keys\": {}, \"sets\": {}, \"hits\": {}, \"misses\": {}, \"errors\": {}, "
                 "\"unsent\": {}, \"wrong_values\": {}, \"first_error\": {}, ",
                 report.loaded, report.load_errors, report.seconds, tally.requests, tally.keys,
                 tally.sets, tally.hits, tally.misses, tally.errors, tally.unsent,
                 tally.wrong_values, JsonString(tally.first_error));
  fmt::format_to(out, "\"requests_per_s\": {:.1f}, \"keys_per_s\": {:.1f}, \"latency_us\": {{",
                 PerSecond(tally.requests, report), PerSecond(tally.keys, report));
  for (const auto& [name, percent] : kPercentiles) {
    fmt::format_to(out, "\"{}\": {:.3f}, ", name,
                   Microseconds(tally.latency_ns.Percentile(percent)));
  }
  fmt::format_to(out, "\"max\": {:.3f}}}", Microseconds(tally.latency_ns.max()));
  if (report.server_cpu) {
    const double user_s = UserSeconds(*report.server_cpu);
    fmt::format_to(out,
                   ", \"server_cpu\": {{\"total_s\": {:.6f}, \"user_s\": {:.6f}, "
                   "\"system_s\": {:.6f}}}",
                   report.server_cpu->total_s, user_s, report.server_cpu->total_s - user_s);
  }
  json += "}\n";
  return json;
}

std::string JsonString(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (code < 0x20 || code >= 0x7f) {
      json += fmt::format("\\u{:04x}", code);
    } else {
      json += c;
    }
  }
  return json + '"';
}

}  // namespace larder::bench
