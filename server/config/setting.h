// A row of `stats settings`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/config/config.h"
#include "server/metrics/metric.h"
#include "slab/eviction/eviction_queue.h"

namespace larder::server {

// What commands have changed since the server started; nothing: as configured.
struct RuntimeSettings {
  std::optional<std::uint64_t> memory_bytes = std::nullopt;  // cache_memlimit
  std::optional<int> verbosity = std::nullopt;               // verbosity
  std::uint64_t oldest_s = 0;  // When the last flush took effect, in seconds since the start.
  std::optional<bool> detail_enabled = std::nullopt;            // stats detail on, off
  std::optional<slab::EvictionPolicy> eviction = std::nullopt;  // lru mode
  std::optional<bool> sweeps = std::nullopt;                    // lru_crawler enable, disable
  std::optional<std::uint32_t> sweep_pause_us = std::nullopt;   // lru_crawler sleep
  std::optional<std::uint32_t> sweep_slice_max = std::nullopt;  // lru_crawler tocrawl
  std::optional<slab::PageMoves> page_moves = std::nullopt;     // slabs automove
};

// The settings in force.
struct SettingsSample : Config {
  SettingsSample(const Config& config, const RuntimeSettings& runtime);

  std::uint64_t oldest_s = 0;  // See RuntimeSettings.
};

using Setting = Metric<SettingsSample>;

// --- Getters -------------------------------------------------------------------------------------

inline std::string YesNo(bool value) { return value ? "yes" : "no"; }

template <bool Config::*kSwitch>
std::string Switch(const SettingsSample& settings) {
  return YesNo(settings.*kSwitch);
}

// A text that need not be set.
template <std::string Config::*kText>
std::string TextOrNull(const SettingsSample& settings) {
  return (settings.*kText).empty() ? "NULL" : settings.*kText;
}

// A text that can be a template argument.
template <std::size_t kSize>
struct FixedText {
  constexpr FixedText(const char (&literal)[kSize]) { std::copy_n(literal, kSize, text); }
  constexpr std::string_view view() const { return {text, kSize - 1}; }

  char text[kSize] = {};
};

template <FixedText kName, FixedText kDefault>
std::string Accepted(const SettingsSample& settings) {
  const auto given = settings.accepted_settings.find(kName.view());
  return given == settings.accepted_settings.end() ? std::string(kDefault.view()) : given->second;
}

// The row of an accepted option that nothing else depends on, with what it shows unless given.
template <FixedText kName, FixedText kDefault>
constexpr Setting AcceptedSetting(MetricKind kind, std::string_view help,
                                  MetricFamily family = {}) {
  return {kName.view(), kind, Accepted<kName, kDefault>, help, family};
}

}  // namespace larder::server
