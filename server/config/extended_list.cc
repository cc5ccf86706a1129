#include "server/config/extended_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "server/config/extended_options.h"
#include "server/config/help_text.h"
#include "server/config/option_number.h"
#include "server/config/split.h"

namespace larder::server {
namespace {

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
    const std::string_view text = TakePiece(sizes, "-");
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

// A whole or fractional number; nothing if it is none.
template <class T>
StepResult CheckRange(const ExtendedOption& option, std::string_view value) {
  const auto number = ParseNumber<T>(value);
  if (!number) {
    return ConfigExit::BadValue(fmt::format("could not parse argument to {}", option.name));
  }
  const auto given = static_cast<double>(*number);
  const bool is_above_low =
      option.kind == ValueKind::kFraction ? given > option.low : given >= option.low;
  if (!is_above_low || !(given <= option.high)) {
    return ConfigExit::BadValue(std::string(option.range_text));
  }
  return Done{};
}

StepResult CheckValue(const ExtendedOption& option, std::string_view value) {
  if (option.kind == ValueKind::kNone) return Done{};
  if (value.empty()) {
    if (option.kind == ValueKind::kOptionalInteger) return Done{};
    return ConfigExit::BadValue(std::string(option.missing_text));
  }
  switch (option.kind) {
    case ValueKind::kNone:
      return Done{};
    case ValueKind::kInteger:
    case ValueKind::kOptionalInteger:
      return CheckRange<std::int64_t>(option, value);
    case ValueKind::kFraction:
      return CheckRange<double>(option, value);
    case ValueKind::kChoice:
      if (std::ranges::find(option.choices, value) != option.choices.end()) return Done{};
      return ConfigExit::BadValue(std::string(option.range_text));
    case ValueKind::kChunkSizes:
      return CheckChunkSizes(value);
  }
  return Done{};
}

// REQUIRES: the value was checked.
std::string Show(Shown shown, std::string_view value) {
  const auto bytes = [value](int shift) {
    return ValueText(ParseNumber<std::uint64_t>(value).value_or(0) << shift);
  };
  switch (shown) {
    case Shown::kNot:
      return "";
    case Shown::kYes:
      return "yes";
    case Shown::kNo:
      return "no";
    case Shown::kJenkins:
      return "jenkins";
    case Shown::kMemcachedPage:
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

// Each name once, the last value counts: its place says what came after what.
void RecordAccepted(Config& config, const ExtendedOption& option, std::string_view value) {
  std::erase_if(config.accepted_options,
                [&](const auto& seen) { return seen.first == option.name; });
  config.accepted_options.emplace_back(option.name, value);
  for (const auto& [row, shown] : option.changes) {
    if (shown != Shown::kNot) config.accepted_settings[row] = Show(shown, value);
  }
}

StepResult ApplyItem(std::string_view item, Config& config) {
  std::string_view value = item;
  const std::string_view name = TakePiece(value, "=");
  const auto options = ExtendedOptions();
  const auto option = std::ranges::find(options, name, &ExtendedOption::name);
  if (option == options.end()) {
    for (const MissingFeature& missing : kMissingFeatures) {
      if (name.starts_with(missing.name_prefix)) {
        return ConfigExit::Refused(
            fmt::format("This server is not built with {} support: -o {}", missing.feature, item));
      }
    }
    return ConfigExit::BadValue(fmt::format("Illegal suboption \"{}\"", item));
  }

  if (auto checked = CheckValue(*option, value); !checked) return checked;
  if (option->kind == ValueKind::kNone) value = {};
  if (option->apply != nullptr) option->apply(config, value);
  if (option->effect == Effect::kAccepted) RecordAccepted(config, *option, value);
  return Done{};
}

bool IsAccepted(const Config& config, std::string_view name) {
  return std::ranges::any_of(config.accepted_options,
                             [&](const auto& seen) { return seen.first == name; });
}

// What the setting of the option with this name shows.
int SettingOf(const Config& config, std::string_view name) {
  const auto option = std::ranges::find(ExtendedOptions(), name, &ExtendedOption::name);
  return ParseNumber<int>(option->setting.get(SettingsSample(config, {}))).value();
}

}  // namespace

StepResult ReadExtended(Config& config, std::string_view list) {
  while (!list.empty()) {
    if (auto applied = ApplyItem(TakePiece(list, ","), config); !applied) return applied;
  }
  return Done{};
}

StepResult CheckExtendedOptions(const Config& config) {
  if (SettingOf(config, "hot_lru_pct") + SettingOf(config, "warm_lru_pct") > 80) {
    return ConfigExit::Refused("hot_lru_pct + warm_lru_pct cannot be more than 80% combined");
  }
  if (IsAccepted(config, "temporary_ttl") && IsAccepted(config, "no_lru_maintainer")) {
    return ConfigExit::Refused("temporary_ttl requires lru_maintainer to be enabled");
  }
  return Done{};
}

std::string ExtendedHelp() {
  std::string text;
  for (const ExtendedOption& option : ExtendedOptions()) {
    if (option.help.empty()) continue;
    std::string usage(option.name);
    if (!option.value_name.empty()) {
      usage.append("=").append(WithDefault(option.value_name, nullptr, option.setting));
    }
    text += fmt::format("  {:<22}{}\n", usage, option.help);
  }
  return text.append("memcached's other names are accepted, and shown by stats settings");
}

}  // namespace larder::server
