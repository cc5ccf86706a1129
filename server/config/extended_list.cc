#include "server/config/extended_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "server/config/extended_options.h"
#include "server/config/help_text.h"
#include "server/config/option_number.h"
#include "server/config/split.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// A feature that memcached has as a build option and this server does not have. Its options are
// refused, because an operator who gives one relies on the feature.
struct MissingFeature {
  // What the names of its options begin with.
  std::string_view name_prefix;
  // The name of the feature in the error message.
  std::string_view feature;
};
constexpr std::array kMissingFeatures = {
    MissingFeature{"ext_", "external storage"},
    MissingFeature{"proxy_", "proxy"},
    MissingFeature{"slab_automove_freeratio", "external storage"},
};

// Checks a list of chunk sizes such as 64-128-256 by memcached's rules. The sizes have no effect
// here.
StepResult CheckChunkSizes(std::string_view sizes) {
  // memcached's largest chunk, and the number of classes that an operator may define.
  constexpr std::uint32_t kChunkBytesMax = 1 << 20;
  constexpr int kSizesMax = 62;
  std::uint32_t previous = 0;
  int count = 0;
  while (!sizes.empty()) {
    const std::string_view text = TakePiece(sizes, "-");
    // A text that is not a number counts as 0, which is out of range.
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

// Checks that `value` is a number (whole or fractional, by `T`) within the limits of the option.
template <class T>
StepResult CheckRange(const ExtendedOption& option, std::string_view value) {
  LARDER_ASSERT(option.low <= option.high);
  // "4x" is not a number here, while memcached reads it as 4.
  const auto number = ParseNumber<T>(value);
  if (!number) {
    return ConfigExit::BadValue(fmt::format("could not parse argument to {}", option.name));
  }
  // The limits of whole numbers and fractions are stored as doubles; all of them are exact.
  const auto given = static_cast<double>(*number);
  const bool is_above_low =
      option.kind == ValueKind::kFraction ? given > option.low : given >= option.low;
  // Written so that NaN, which is neither less nor greater than a limit, is refused.
  if (!is_above_low || !(given <= option.high)) {
    return ConfigExit::BadValue(std::string(option.range_text));
  }
  return Done{};
}

// Checks the value of an option by its kind. The error messages are memcached's.
StepResult CheckValue(const ExtendedOption& option, std::string_view value) {
  if (option.kind == ValueKind::kNone) return Done{};
  if (value.empty()) {
    // An empty value is the same as none.
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
    case ValueKind::kAnyText:
      return Done{};
    case ValueKind::kKeyFormat:
      if (ParseKeyFormat(value)) return Done{};
      return ConfigExit::BadValue(std::string(option.range_text));
  }
  LARDER_ASSERT(false && "a kind of value that is not checked");
  return Done{};
}

// Returns the text that a row of `stats settings` shows for the value of an accepted option.
//
// REQUIRES: `value` has passed CheckValue().
std::string Show(Shown shown, std::string_view value) {
  // Returns the number with a unit of 2^shift bytes as a number of bytes.
  const auto bytes = [value](int shift) {
    const auto number = ParseNumber<std::uint64_t>(value);
    LARDER_ASSERT(number.has_value());
    return ValueText(number.value_or(0) << shift);
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
      LARDER_ASSERT(ParseNumber<double>(value).has_value());
      return fmt::format("{:.2f}", ParseNumber<double>(value).value_or(0));
    case Shown::kKilobytes:
      return bytes(10);
    case Shown::kMegabytes:
      return bytes(20);
  }
  LARDER_ASSERT(false && "a way to show a value that is not known");
  return "";
}

// Records an accepted option. An option that occurs again moves to the end with its new value, so
// that the order of the list is the order of the last occurrences.
void RecordAccepted(Config& config, const ExtendedOption& option, std::string_view value) {
  std::erase_if(config.accepted_options,
                [&](const auto& seen) { return seen.first == option.name; });
  config.accepted_options.emplace_back(option.name, value);
  for (const auto& [row, shown] : option.changes) {
    if (shown != Shown::kNot) config.accepted_settings[row] = Show(shown, value);
  }
}

// Applies one `name` or `name=value` item of the list.
StepResult ApplyItem(std::string_view item, Config& config) {
  // The text behind the first '=' is the value; without '=' the value is empty.
  std::string_view value = item;
  const std::string_view name = TakePiece(value, "=");
  const auto options = ExtendedOptions();
  const auto option = std::ranges::find(options, name, &ExtendedOption::name);
  // The name is unknown: either a feature that is missing here, or a mistake.
  if (option == options.end()) {
    for (const MissingFeature& missing : kMissingFeatures) {
      if (name.starts_with(missing.name_prefix)) {
        return ConfigExit::Refused(
            fmt::format("This server is not built with {} support: -o {}", missing.feature, item));
      }
    }
    return ConfigExit::BadValue(fmt::format("Illegal suboption \"{}\"", item));
  }

  // Check first: apply() and Show() rely on a valid value.
  if (auto checked = CheckValue(*option, value); !checked) return checked;
  // memcached ignores the value of a flag.
  if (option->kind == ValueKind::kNone) value = {};
  if (option->apply != nullptr) option->apply(config, value);
  if (option->effect == Effect::kRecorded) RecordAccepted(config, *option, value);
  return Done{};
}

// Returns whether the option with this name was given.
bool IsAccepted(const Config& config, std::string_view name) {
  return std::ranges::any_of(config.accepted_options,
                             [&](const auto& seen) { return seen.first == name; });
}

// Returns the number that the setting of the option with this name shows: the value given, or its
// default.
//
// REQUIRES: there is such an option, and its setting is a number.
int SettingOf(const Config& config, std::string_view name) {
  const auto option = std::ranges::find(ExtendedOptions(), name, &ExtendedOption::name);
  LARDER_ASSERT(option != ExtendedOptions().end() && option->setting.get != nullptr);
  return ParseNumber<int>(option->setting.get(SettingsSample(config, {}))).value();
}

}  // namespace

StepResult ReadExtended(Config& config, std::string_view list) {
  while (!list.empty()) {
    if (auto applied = ApplyItem(TakePiece(list, ","), config); !applied) return applied;
    // Applies the items from left to right; the first bad one ends it.
  }
  return Done{};
}

StepResult CheckExtendedOptions(const Config& config) {
  // memcached's limit for the sum of the two.
  if (SettingOf(config, "hot_lru_pct") + SettingOf(config, "warm_lru_pct") > 80) {
    return ConfigExit::Refused("hot_lru_pct + warm_lru_pct cannot be more than 80% combined");
  }
  // memcached's temporary segment needs its maintainer thread.
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
    text += fmt::format("  {:<25}{}\n", usage, option.help);
  }
  return text.append("memcached's other names are accepted, and shown by stats settings");
}

}  // namespace larder::server
