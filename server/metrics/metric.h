// A row of statistics: what it is called, what it means, and how its value is had.
#pragma once

#include <fmt/format.h>

#include <array>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace larder::server {

enum class MetricKind : std::uint8_t {
  kCounter,  // A number that grows, until the process ends or `stats reset`.
  kGauge,    // A number that goes up and down.
  kSwitch,   // "yes" or "no"; a gauge of 1 or 0 where only numbers are possible.
  kText,     // Anything else.
};

struct MetricLabel {
  std::string_view name;   // Empty: no label.
  std::string_view value;  // Empty: the value of the row, if that is a text.
};

// The sample that a row is on a metrics page. Rows of one family differ in their labels; rows of a
// list per slab class have the label `slab` besides.
struct MetricFamily {
  std::string_view name = "";  // Empty: the row is not on the page.
  std::array<MetricLabel, 2> labels = {};
};

// One statistic, got from a Source: a reading that was taken before, so that all rows of a report
// are of one moment. Every printer of statistics prints these rows.
//
// Threads: immutable.
template <class Source>
struct Metric {
  std::string_view name;  // As `stats` prints it; unique in its list.
  MetricKind kind;        // That of the family, where the row belongs to one.
  std::string (*get)(const Source&);
  std::string_view help;  // One sentence.
  MetricFamily family = {};
  bool (*is_shown)(const Source&) = nullptr;  // Null: always.
};

// A value as rows print it: numbers in plain decimals, true as 1.
template <std::integral T>
std::string ValueText(T number) {
  if constexpr (std::same_as<T, bool>) return number ? "1" : "0";
  return fmt::format_int(number).str();
}
inline std::string ValueText(std::string_view text) { return std::string(text); }

// A row whose value is a member of the source, a function without arguments too.
template <auto kMember, class Source>
std::string Value(const Source& source) {
  if constexpr (std::is_member_function_pointer_v<decltype(kMember)>) {
    return ValueText((source.*kMember)());
  } else {
    return ValueText(source.*kMember);
  }
}

// A row that clients of memcached expect, and that is always the same here.
template <std::uint64_t kNumber, class Source>
std::string Always(const Source&) {
  return ValueText(kNumber);
}

}  // namespace larder::server
