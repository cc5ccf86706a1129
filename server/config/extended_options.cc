#include "server/config/extended_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "server/config/option_number.h"

namespace larder::server {
namespace {

enum class ValueKind : std::uint8_t {
  kNone,             // A value that is given is ignored, as memcached does.
  kInteger,          // In [low, high].
  kOptionalInteger,  // The same, or no value at all.
  kFraction,         // In (low, high].
  kHashAlgorithm,
  kEviction,
  kChunkSizes,
};

// Whether a suboption is noted in Config::accepted_options.
enum class Effect : std::uint8_t {
  kAccepted,  // Yes: little or nothing here depends on it.
  kApplied,   // No: it has its own field of Config.
};

struct Suboption {
  std::string_view name;
  ValueKind kind = ValueKind::kNone;
  double low = 0;
  double high = 0;
  std::string_view missing_text = "";  // memcached's complaint about no value.
  std::string_view range_text = "";    // memcached's complaint about a value outside the range.
  Effect effect = Effect::kAccepted;
  void (*apply)(Config&, std::string_view value) = nullptr;  // REQUIRES: the value was checked.
};

constexpr double kIntMax = std::numeric_limits<int>::max();
constexpr double kUint32Max = std::numeric_limits<std::uint32_t>::max();
constexpr double kAnyMax = std::numeric_limits<double>::max();

using enum ValueKind;
using enum Effect;

constexpr std::array kSuboptions =
    {
        // name, kind, low, high, missing_text, range_text, effect, apply; sorted by name.
        Suboption{"drop_privileges", kNone, 0, 0, "", "", kAccepted,
                  [](Config& config, std::string_view) {
                    config.warnings.emplace_back(
                        "warning: drop_privileges has no effect: there is no system-call filter");
                  }},
        Suboption{"eviction", kEviction, 0, 0, "Missing eviction argument",
                  "Unknown eviction option (segmented, lru)", kApplied,
                  [](Config& config, std::string_view value) {
                    config.eviction = value == "lru" ? slab::EvictionPolicy::kLru
                                                     : slab::EvictionPolicy::kSegmented;
                  }},
        Suboption{"hash_algorithm", kHashAlgorithm, 0, 0, "Missing hash_algorithm argument",
                  "Unknown hash_algorithm option (jenkins, murmur3, xxh3)"},
        Suboption{"hashpower", kInteger, 12, 32, "Missing numeric argument for hashpower",
                  "Initial hashtable multiplier must be between 12 and 32\n"
                  "Choose a value based on \"STAT hash_power_level\" from a running instance"},
        Suboption{"hot_lru_pct", kInteger, 1, 79, "Missing hot_lru_pct argument",
                  "hot_lru_pct must be > 1 and < 80"},
        Suboption{"hot_max_factor", kFraction, 0, kAnyMax, "Missing hot_max_factor argument",
                  "hot_max_factor must be > 0"},
        Suboption{"idle_timeout", kInteger, 0, kIntMax, "Missing numeric argument for idle_timeout",
                  "idle_timeout must be >= 0", kApplied,
                  [](Config& config, std::string_view value) {
                    config.idle_timeout_s = *ParseNumber<int>(value);
                  }},
        Suboption{"inline_ascii_resp"},
        Suboption{"lru_crawler", kNone, 0, 0, "", "", kApplied,
                  [](Config& config, std::string_view) { config.sweeps = true; }},
        Suboption{"lru_crawler_sleep", kInteger, 0, 1'000'000, "Missing lru_crawler_sleep value",
                  "LRU crawler sleep must be between 0 and 1 second", kApplied,
                  [](Config& config, std::string_view value) {
                    config.sweep_pause_us = *ParseNumber<std::uint32_t>(value);
                  }},
        Suboption{"lru_crawler_tocrawl", kInteger, 0, kUint32Max,
                  "Missing lru_crawler_tocrawl value",
                  "lru_crawler_tocrawl takes a numeric 32bit value", kApplied,
                  [](Config& config, std::string_view value) {
                    config.sweep_slice_max = *ParseNumber<std::uint32_t>(value);
                  }},
        Suboption{"lru_maintainer"},
        Suboption{"maxconns_fast", kNone, 0, 0, "", "", kApplied,
                  [](Config& config, std::string_view) { config.maxconns_fast = true; }},
        Suboption{"modern"},
        Suboption{"no_chunked_items"},
        Suboption{"no_drop_privileges"},
        Suboption{"no_hashexpand"},
        Suboption{"no_inline_ascii_resp"},
        Suboption{"no_lru_crawler", kNone, 0, 0, "", "", kApplied,
                  [](Config& config, std::string_view) { config.sweeps = false; }},
        Suboption{"no_lru_maintainer"},
        Suboption{"no_maxconns_fast", kNone, 0, 0, "", "", kApplied,
                  [](Config& config, std::string_view) { config.maxconns_fast = false; }},
        Suboption{"no_modern", kNone, 0, 0, "", "", kAccepted,
                  [](Config& config, std::string_view) {
                    config.maxconns_fast = false;
                    config.sweeps = false;
                    config.slab_reassign = false;
                    config.page_moves = slab::PageMoves::kOff;
                  }},
        Suboption{
            "no_slab_automove", kNone, 0, 0, "", "", kAccepted,
            [](Config& config, std::string_view) { config.page_moves = slab::PageMoves::kOff; }},
        Suboption{"no_slab_reassign", kNone, 0, 0, "", "", kAccepted,
                  [](Config& config, std::string_view) { config.slab_reassign = false; }},
        Suboption{"read_buf_mem_limit", kInteger, 0, kUint32Max,
                  "Missing read_buf_mem_limit argument",
                  "could not parse argument to read_buf_mem_limit"},
        Suboption{"resp_obj_mem_limit", kNone, 0, 0, "", "", kAccepted,
                  [](Config& config, std::string_view) {
                    config.warnings.emplace_back(
                        "DEPRECATED: resp_obj_mem_limit no longer used. See read_buf_mem_limit,");
                  }},
        Suboption{"slab_automove", kOptionalInteger, 0, 2,
                  "", "slab_automove must be between 0 and 2", kAccepted,
                  [](Config& config, std::string_view value) {
                    config.page_moves =
                        static_cast<slab::PageMoves>(ParseNumber<int>(value).value_or(1));
                  }},
        Suboption{"slab_automove_ratio", kFraction, 0, 1, "Missing slab_automove_ratio argument",
                  "slab_automove_ratio must be > 0 and < 1"},
        Suboption{"slab_automove_window", kInteger, 3, 1800,
                  "Missing slab_automove_window argument",
                  "slab_automove_window must be > 2 and < 1800"},
        Suboption{"slab_chunk_max", kInteger, 1, 1024, "Missing slab_chunk_max argument",
                  "slab_chunk_max must be specified in kilobytes."},
        Suboption{"slab_reassign", kNone, 0, 0, "", "", kAccepted,
                  [](Config& config, std::string_view) { config.slab_reassign = true; }},
        Suboption{"slab_sizes", kChunkSizes, 0, 0, "Missing slab_sizes argument", ""},
        Suboption{"sock_cookie_id", kInteger, 0, kUint32Max, "Missing sock_cookie_id argument",
                  "could not parse argument to sock_cookie_id"},
        Suboption{"tail_repair_time", kInteger, 10, kIntMax,
                  "Missing numeric argument for tail_repair_time",
                  "Cannot set tail_repair_time to less than 10 seconds"},
        Suboption{"temporary_ttl", kInteger, 0, kUint32Max, "Missing temporary_ttl argument",
                  "temporary_ttl must be >= 0"},
        Suboption{"track_sizes", kNone, 0, 0, "", "", kApplied,
                  [](Config& config, std::string_view) { config.track_sizes = true; }},
        Suboption{"upload_memory", kInteger, 1, 50, "Missing upload_memory argument",
                  "upload_memory must be between 1 and 50", kApplied,
                  [](Config& config, std::string_view value) {
                    config.upload_memory_percent = *ParseNumber<std::uint32_t>(value);
                  }},
        Suboption{
            "upload_timeout", kInteger, 0, kIntMax, "Missing numeric argument for upload_timeout",
            "upload_timeout must be >= 0", kApplied,
            [](Config& config,
               std::string_view value) { config.upload_timeout_s = *ParseNumber<int>(value); }},
        Suboption{"warm_lru_pct", kInteger, 1, 79, "Missing warm_lru_pct argument",
                  "warm_lru_pct must be > 1 and < 80"},
        Suboption{"warm_max_factor", kFraction, 0, kAnyMax, "Missing warm_max_factor argument",
                  "warm_max_factor must be > 0"},
        Suboption{"watcher_logbuf_size", kInteger, 0, kUint32Max,
                  "Missing watcher_logbuf_size argument",
                  "could not parse argument to watcher_logbuf_size"},
        Suboption{"worker_logbuf_size", kInteger, 0, kUint32Max,
                  "Missing worker_logbuf_size argument",
                  "could not parse argument to worker_logbuf_size"},
};
static_assert(std::ranges::is_sorted(kSuboptions, {}, &Suboption::name));

// Whole features that memcached has as build options and Larder has not.
struct MissingFeature {
  std::string_view name_prefix;
  std::string_view feature;
};
constexpr std::array kMissingFeatures = {
    MissingFeature{"ext_", "external storage"},
    MissingFeature{"proxy_", "proxy"},
    MissingFeature{"slab_automove_freeratio", "external storage"},
    MissingFeature{"ssl_", "TLS"},
};

// memcached's rules for explicit chunk sizes, such as 64-128-256.
StepResult CheckChunkSizes(std::string_view sizes) {
  constexpr std::uint32_t kChunkBytesMax = 1 << 20;
  constexpr int kSizesMax = 62;
  std::uint32_t previous = 0;
  int count = 0;
  while (!sizes.empty()) {
    const std::size_t end = std::min(sizes.find('-'), sizes.size());
    const std::string_view text = sizes.substr(0, end);
    sizes.remove_prefix(std::min(end + 1, sizes.size()));
    const std::uint32_t size = ParseNumber<std::uint32_t>(text).value_or(0);
    if (size == 0 || size > kChunkBytesMax) {
      return ConfigExit::Refused(fmt::format("slab size {} is out of valid range", text));
    }
    if (size <= previous) {
      return ConfigExit::Refused(
          fmt::format("slab size {} cannot be lower than or equal to a previous class size", text));
    }
    if (size < previous + 8) {
      return ConfigExit::Refused(
          fmt::format("slab size {} must be at least 8 bytes larger than previous class", text));
    }
    if (++count > kSizesMax) return ConfigExit::Refused("too many slab classes specified");
    previous = size;
  }
  return Done{};
}

StepResult CheckValue(const Suboption& option, std::string_view value) {
  if (option.kind == kNone) return Done{};
  if (value.empty()) {
    if (option.kind == kOptionalInteger) return Done{};
    return ConfigExit::BadValue(std::string(option.missing_text));
  }
  const auto check_range = [&](auto number, bool is_above_low) -> StepResult {
    if (!number)
      return ConfigExit::BadValue(fmt::format("could not parse argument to {}", option.name));
    if (!is_above_low || !(static_cast<double>(*number) <= option.high)) {
      return ConfigExit::BadValue(std::string(option.range_text));
    }
    return Done{};
  };
  switch (option.kind) {
    case kNone:
      return Done{};
    case kInteger:
    case kOptionalInteger: {
      const auto number = ParseNumber<std::int64_t>(value);
      return check_range(number, number && static_cast<double>(*number) >= option.low);
    }
    case kFraction: {
      const auto number = ParseNumber<double>(value);
      return check_range(number, number && *number > option.low);
    }
    case kHashAlgorithm:
      if (value == "jenkins" || value == "murmur3" || value == "xxh3") return Done{};
      return ConfigExit::BadValue(std::string(option.range_text));
    case kEviction:
      if (value == "segmented" || value == "lru") return Done{};
      return ConfigExit::BadValue(std::string(option.range_text));
    case kChunkSizes:
      return CheckChunkSizes(value);
  }
  return Done{};
}

// Each name once, the last value counts: its place says what came after what.
void RecordAccepted(Config& config, std::string_view name, std::string_view value) {
  std::erase_if(config.accepted_options, [name](const auto& seen) { return seen.first == name; });
  config.accepted_options.emplace_back(name, value);
}

StepResult ApplyItem(std::string_view item, Config& config) {
  const std::size_t equals = std::min(item.find('='), item.size());
  const std::string_view name = item.substr(0, equals);
  std::string_view value = item.substr(std::min(equals + 1, item.size()));

  const auto option = std::ranges::lower_bound(kSuboptions, name, {}, &Suboption::name);
  if (option == kSuboptions.end() || option->name != name) {
    for (const MissingFeature& missing : kMissingFeatures) {
      if (name.starts_with(missing.name_prefix)) {
        return ConfigExit::Refused(
            fmt::format("This server is not built with {} support: -o {}", missing.feature, item));
      }
    }
    return ConfigExit::BadValue(fmt::format("Illegal suboption \"{}\"", item));
  }

  if (auto checked = CheckValue(*option, value); !checked) return checked;
  if (option->kind == kNone) value = {};
  if (option->apply != nullptr) option->apply(config, value);
  if (option->effect != kApplied) RecordAccepted(config, name, value);
  return Done{};
}

// The last value given for an accepted name, or nothing.
std::optional<std::string_view> Accepted(const Config& config, std::string_view name) {
  for (const auto& [seen, value] : config.accepted_options) {
    if (seen == name) return value;
  }
  return std::nullopt;
}

}  // namespace

StepResult ApplyExtendedOptions(std::string_view list, Config& config) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    const std::string_view item = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    if (auto applied = ApplyItem(item, config); !applied) return applied;
  }
  return Done{};
}

StepResult CheckExtendedOptions(const Config& config) {
  const int hot_percent = ParseNumber<int>(Accepted(config, "hot_lru_pct").value_or("20")).value();
  const int warm_percent =
      ParseNumber<int>(Accepted(config, "warm_lru_pct").value_or("40")).value();
  if (hot_percent + warm_percent > 80) {
    return ConfigExit::Refused("hot_lru_pct + warm_lru_pct cannot be more than 80% combined");
  }
  if (Accepted(config, "temporary_ttl") && Accepted(config, "no_lru_maintainer")) {
    return ConfigExit::Refused("temporary_ttl requires lru_maintainer to be enabled");
  }
  return Done{};
}

}  // namespace larder::server
