// Setting, a row of `stats settings`, and the sample that the rows are printed from.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/config/config.h"
#include "server/metrics/metric.h"
#include "slab/policies.h"

namespace larder::server {

// What commands have changed since the server started. Nothing: the setting is as configured. Each
// field names the command that changes it.
//
// Threads: one worker; it is a copy taken for one report.
struct RuntimeSettings {
  std::optional<std::uint64_t> memory_bytes = std::nullopt;  // cache_memlimit
  std::optional<int> verbosity = std::nullopt;               // verbosity
  // The time of the last flush_all that has taken effect, in seconds since the start; 0: there was
  // none.
  std::uint64_t oldest_s = 0;
  std::optional<bool> detail_enabled = std::nullopt;            // stats detail on, off
  std::optional<slab::EvictionPolicy> eviction = std::nullopt;  // lru mode
  std::optional<bool> sweeps = std::nullopt;                    // lru_crawler enable, disable
  std::optional<std::uint32_t> sweep_pause_us = std::nullopt;   // lru_crawler sleep
  std::optional<std::uint32_t> sweep_slice_max = std::nullopt;  // lru_crawler tocrawl
  std::optional<slab::PageMoves> page_moves = std::nullopt;     // slabs automove
};

// The settings in force: the configured ones, replaced by those that commands have changed.
//
// Threads: immutable.
struct SettingsSample : Config {
  SettingsSample(const Config& config, const RuntimeSettings& runtime);

  // See RuntimeSettings.
  std::uint64_t oldest_s = 0;
};

// A row of `stats settings`.
using Setting = Metric<SettingsSample>;

// --- Getters -------------------------------------------------------------------------------------
//
// Functions for Metric::get.

// A switch as memcached prints it.
inline std::string YesNo(bool value) { return value ? "yes" : "no"; }

// A switch that is a field of Config.
template <bool Config::*kSwitch>
std::string Switch(const SettingsSample& settings) {
  return YesNo(settings.*kSwitch);
}

// A text of Config that may be empty; memcached prints a null pointer then.
template <std::string Config::*kText>
std::string TextOrNull(const SettingsSample& settings) {
  return (settings.*kText).empty() ? "NULL" : settings.*kText;
}

// A string literal as a template argument, which C++20 allows only for a class like this.
template <std::size_t kSize>
struct FixedText {
  constexpr FixedText(const char (&literal)[kSize]) { std::copy_n(literal, kSize, text); }
  constexpr std::string_view view() const { return {text, kSize - 1}; }

  char text[kSize] = {};
};

// The value of a row of an accepted option: what the option set, or kDefault if it was not given.
template <FixedText kName, FixedText kDefault>
std::string Accepted(const SettingsSample& settings) {
  const auto given = settings.accepted_settings.find(kName.view());
  return given == settings.accepted_settings.end() ? std::string(kDefault.view()) : given->second;
}

// Returns the row of an accepted option that changes nothing in this server.
template <FixedText kName, FixedText kDefault>
constexpr Setting AcceptedSetting(MetricKind kind, std::string_view help,
                                  MetricFamily family = {}) {
  return {kName.view(), kind, Accepted<kName, kDefault>, help, family};
}

}  // namespace larder::server
