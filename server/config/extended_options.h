// What `-o` takes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "server/config/setting.h"

namespace larder::server {

enum class ValueKind : std::uint8_t {
  kNone,             // A value that is given is ignored, as memcached does.
  kInteger,          // In [low, high].
  kOptionalInteger,  // In [low, high], or no value at all.
  kFraction,         // In (low, high].
  kChoice,           // One of `choices`.
  kChunkSizes,
};

// Whether an option is noted in Config::accepted_options.
enum class Effect : std::uint8_t {
  kAccepted,  // Yes: little or nothing here depends on it.
  kApplied,   // No: it has its own field of Config.
};

// How the value of an accepted option becomes that of a row of `stats settings`.
enum class Shown : std::uint8_t {
  kNot,
  kYes,
  kNo,
  kJenkins,
  kMemcachedPage,  // A megabyte.
  kAsGiven,
  kTwoDecimals,
  kKilobytes,  // Given in KiB, shown in bytes.
  kMegabytes,  // Given in MiB, shown in bytes.
};

struct AcceptedRow {
  std::string_view row;
  Shown shown = Shown::kNot;
};

// One name that `-o` takes: its value, what it does, and the rows of `stats settings` that show it.
//
// Threads: immutable.
struct ExtendedOption {
  std::string_view name;
  std::string_view value_name = "";  // In the help text; {} stands for the default.
  std::string_view help = "";        // Empty: not in the help text.

  ValueKind kind = ValueKind::kNone;
  double low = 0;
  double high = 0;
  std::array<std::string_view, 3> choices = {};
  std::string_view missing_text = "";  // memcached's complaint about no value.
  std::string_view range_text = "";    // memcached's complaint about a value outside the range.

  Effect effect = Effect::kAccepted;
  void (*apply)(Config&, std::string_view value) = nullptr;  // REQUIRES: the value was checked.

  Setting setting = {};                     // No name: none that another option has not.
  std::array<AcceptedRow, 3> changes = {};  // Rows that accepting the option changes.
};

// Those of the help text come first, in its order.
std::span<const ExtendedOption> ExtendedOptions();

}  // namespace larder::server
