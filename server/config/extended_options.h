// The options that `-o` takes: a table with one row for each.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "server/config/setting.h"

namespace larder::server {

// What kind of value an option has.
enum class ValueKind : std::uint8_t {
  // No value; one that is given is ignored, as in memcached.
  kNone,
  // A whole number in [low, high].
  kInteger,
  // A whole number in [low, high], or no value at all.
  kOptionalInteger,
  // A number in (low, high].
  kFraction,
  // One of `choices`.
  kChoice,
  // A list of sizes such as 64-128-256.
  kChunkSizes,
  // Any text that is not empty.
  kAnyText,
  // The format of a private key: 1 or PEM, 2 or DER, in any case.
  kKeyFormat,
};

// Whether an option is recorded in Config::accepted_options.
enum class Effect : std::uint8_t {
  // Recorded: it has no effect, or one that Config does not show as it was given.
  kRecorded,
  // Not recorded, because it has its own field of Config.
  kApplied,
};

// How the value of an accepted option becomes the value of a row of `stats settings`.
enum class Shown : std::uint8_t {
  // The row does not change.
  kNot,
  // The texts "yes", "no" and "jenkins".
  kYes,
  kNo,
  kJenkins,
  // The size of a page of memcached, one megabyte.
  kMemcachedPage,
  // The value as given.
  kAsGiven,
  // The number with two decimals.
  kTwoDecimals,
  // The value is in KiB; the row shows bytes.
  kKilobytes,
  // The value is in MiB; the row shows bytes.
  kMegabytes,
};

// A change to a row of `stats settings`: the name of the row, and what it shows then.
struct AcceptedRow {
  std::string_view row;
  Shown shown = Shown::kNot;
};

// One name that `-o` takes: its value, what it does, and the rows of `stats settings` that show it.
//
// Threads: immutable.
struct ExtendedOption {
  // The name as it is given.
  std::string_view name;
  // What the help text calls the value; {} is replaced by the default.
  std::string_view value_name = "";
  // The description in the help text; empty: the option is not in the help text.
  std::string_view help = "";

  // The value: its kind, and the limits if it is a number.
  ValueKind kind = ValueKind::kNone;
  double low = 0;
  double high = 0;
  // The values that kChoice allows.
  std::array<std::string_view, 3> choices = {};
  // memcached's error message for a missing value.
  std::string_view missing_text = "";
  // memcached's error message for a value outside the limits.
  std::string_view range_text = "";

  // Whether the option is recorded.
  Effect effect = Effect::kRecorded;
  // Stores the value in a Config; nullptr: nothing to do. REQUIRES: the value was checked.
  void (*apply)(Config&, std::string_view value) = nullptr;

  // The row of `stats settings` that shows the option. Without a name: there is none, or another
  // option has it.
  Setting setting = {};
  // Rows that change when the option is accepted.
  std::array<AcceptedRow, 3> changes = {};
};

// The number of a format of private keys: 1 for PEM, 2 for DER, given as number or name. Nothing if
// `value` is neither.
std::optional<int> ParseKeyFormat(std::string_view value);

// Returns the table. Rows that are in the help text come first, in its order.
std::span<const ExtendedOption> ExtendedOptions();

}  // namespace larder::server
