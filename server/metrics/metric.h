// Metric, one row of statistics: its name, its meaning, and how to get its value.
#pragma once

#include <fmt/format.h>

#include <array>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace larder::server {

// What kind of value a row has.
enum class MetricKind : std::uint8_t {
  // A number that only grows, until the process ends or `stats reset`.
  kCounter,
  // A number that may also decrease.
  kGauge,
  // "yes" or "no"; where only numbers are possible, a gauge that is 1 or 0.
  kSwitch,
  // Any other text.
  kText,
};

// A label of a row on a metrics page.
struct MetricLabel {
  // The name of the label; empty: there is no label.
  std::string_view name;
  // The value of the label; empty: the value of the row, which is a text then.
  std::string_view value;
};

// The sample that represents a row on a metrics page. Rows of one family differ in their labels.
// Rows of a list that has one entry per slab class have the label `slab` in addition.
struct MetricFamily {
  // The name of the family; empty: the row is not on the page.
  std::string_view name = "";
  std::array<MetricLabel, 2> labels = {};
};

// One statistic. Its value comes from a Source: a sample that was taken before, so that all rows of
// a report are from one moment. Everything that prints statistics prints these rows.
//
// Threads: immutable.
template <class Source>
struct Metric {
  // The name that `stats` prints; unique in its list.
  std::string_view name;
  // The kind of the value. Rows of one family have the same kind.
  MetricKind kind;
  // Returns the value as `stats` prints it.
  std::string (*get)(const Source&);
  // The meaning, in one sentence.
  std::string_view help;
  // Where a metrics page has the row.
  MetricFamily family = {};
  // Whether this sample has the row; nullptr: it always has.
  bool (*is_shown)(const Source&) = nullptr;
};

// For assertions about a table: whether each row has a name and a meaning, and no name occurs
// twice. Whether it has a getter g++ 12 cannot say of the address of a template in an optimised
// build.
template <class Rows>
constexpr bool HasWholeRows(const Rows& rows) {
  for (auto row = rows.begin(); row != rows.end(); ++row) {
    if (row->name.empty() || row->help.empty()) return false;
    for (auto other = rows.begin(); other != row; ++other) {
      if (other->name == row->name) return false;
    }
  }
  return true;
}
// Whether all rows of a family have the same kind.
template <class Rows>
constexpr bool HasKindByFamily(const Rows& rows) {
  for (auto row = rows.begin(); row != rows.end(); ++row) {
    for (auto other = rows.begin(); other != row; ++other) {
      const bool is_same = !row->family.name.empty() && row->family.name == other->family.name;
      if (is_same && row->kind != other->kind) return false;
    }
  }
  return true;
}

// Returns a value as rows print it: numbers in decimal, true as 1 and false as 0.
template <std::integral T>
std::string ValueText(T number) {
  if constexpr (std::same_as<T, bool>) return number ? "1" : "0";
  return fmt::format_int(number).str();
}
inline std::string ValueText(std::string_view text) { return std::string(text); }

// A getter (see Metric::get) for a member of the source, which may be a function without arguments.
template <auto kMember, class Source>
std::string Value(const Source& source) {
  if constexpr (std::is_member_function_pointer_v<decltype(kMember)>) {
    return ValueText((source.*kMember)());
  } else {
    return ValueText(source.*kMember);
  }
}

// A getter for a row that clients of memcached expect, and whose value is always the same here.
template <std::uint64_t kNumber, class Source>
std::string Always(const Source&) {
  return ValueText(kNumber);
}

}  // namespace larder::server
