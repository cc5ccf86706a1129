// What holds for every row of statistics, whatever prints it.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <charconv>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "server/config/settings.h"
#include "server/metrics/class_metrics.h"
#include "server/metrics/general_metrics.h"
#include "server/metrics/memory_metrics.h"
#include "server/metrics/mrc_metrics.h"

namespace larder::server {
namespace {

// Calls fn(rows, source) for each list, with a source of which nothing was read.
template <class Fn>
void ForEachList(const Fn& fn) {
  fn(GeneralMetrics(), ServerSample{});
  fn(SettingsMetrics(), SettingsSample(Config{}, {}));
  fn(ItemsMetrics(), ClassSample{});
  fn(SlabsMetrics(), ClassSample{});
  fn(SlabTotalsMetrics(), SlabTotals{});
  fn(ConnectionMetrics(), ConnectionSample{});
  fn(MemoryMetrics(), MemorySample{});
  const slab::MissRatioEstimate estimate;
  fn(MrcMetrics(), estimate);
  fn(MrcPointMetrics(), MrcPoint{.estimate = estimate, .size = 0});
}

template <class Fn>
void ForEachRow(const Fn& fn) {
  ForEachList([&](const auto& rows, const auto& source) {
    for (const auto& row : rows) {
      CAPTURE(row.name);
      fn(row, source);
    }
  });
}

bool IsName(std::string_view text) {
  const auto is_fit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !text.empty() && std::ranges::all_of(text, is_fit) && text.front() >= 'a';
}

bool IsNumber(std::string_view text) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  return error == std::errc{} && end == text.data() + text.size();
}

// As a metrics page would name the sample, but for the label of the slab class.
template <class Source>
std::string SampleName(const Metric<Source>& row) {
  std::string text(row.family.name);
  for (const MetricLabel& label : row.family.labels) {
    text.append("|").append(label.name).append("=").append(label.value);
  }
  return text;
}

TEST_CASE("every row of statistics has a name, a getter, and a sentence of help", "[metrics]") {
  int rows = 0;
  ForEachRow([&](const auto& row, const auto&) {
    ++rows;
    CHECK(IsName(row.name));
    CHECK(row.get != nullptr);
    REQUIRE(row.help.size() > 1);
    CHECK(row.help.ends_with('.'));
    CHECK_FALSE(row.help.ends_with(".."));
    CHECK(row.help.find('\n') == row.help.npos);
  });
  CHECK(rows > 200);
}

TEST_CASE("the names of a list of statistics are unique", "[metrics]") {
  ForEachList([](const auto& rows, const auto&) {
    std::set<std::string_view> names;
    for (const auto& row : rows) {
      CAPTURE(row.name);
      CHECK(names.insert(row.name).second);
    }
  });
}

TEST_CASE("values are what the kind of their row says", "[metrics]") {
  ForEachRow([](const auto& row, const auto& source) {
    const std::string value = row.get(source);
    CAPTURE(value);
    switch (row.kind) {
      case MetricKind::kCounter:
      case MetricKind::kGauge:
        CHECK(IsNumber(value));
        break;
      case MetricKind::kSwitch:
        CHECK((value == "yes" || value == "no"));
        break;
      case MetricKind::kText:
        break;
    }
  });
}

TEST_CASE("no two rows are one sample of the metrics page", "[metrics]") {
  std::set<std::string> samples;
  ForEachRow([&](const auto& row, const auto&) {
    if (!row.family.name.empty()) CHECK(samples.insert(SampleName(row)).second);
  });
  CHECK(samples.size() > 100);
}

TEST_CASE("rows of one family are of one kind and have the same labels", "[metrics]") {
  std::map<std::string_view, std::string> shapes;
  ForEachRow([&](const auto& row, const auto&) {
    if (row.family.name.empty()) return;
    std::string shape = std::to_string(static_cast<int>(row.kind));
    for (const MetricLabel& label : row.family.labels) shape.append("|").append(label.name);
    CHECK(shapes.emplace(row.family.name, shape).first->second == shape);
  });
}

TEST_CASE("families and labels have names that exporters may use", "[metrics]") {
  ForEachRow([](const auto& row, const auto&) {
    const std::string_view family = row.family.name;
    const auto& [first, second] = row.family.labels;
    if (family.empty()) {
      CHECK(first.name.empty());
      return;
    }
    CHECK(IsName(family));
    CHECK((family.starts_with("memcached_") || family.starts_with("larder_")));
    if (family.starts_with("larder_")) {
      CHECK(family.ends_with("_total") == (row.kind == MetricKind::kCounter));
    }
    if (!first.name.empty()) CHECK(IsName(first.name));
    if (!second.name.empty()) CHECK(first.name < second.name);
    // A text is on the page as a label.
    if (row.kind == MetricKind::kText) CHECK((!first.name.empty() && first.value.empty()));
  });
}

TEST_CASE("rows that depend on options are shown with them only", "[metrics]") {
  const auto is_shown = [](std::string_view name, const ServerSample& sample) {
    const auto row = std::ranges::find(GeneralMetrics(), name, &Metric<ServerSample>::name);
    REQUIRE(row != GeneralMetrics().end());
    return row->is_shown == nullptr || row->is_shown(sample);
  };
  CHECK(is_shown("pid", {}));
  CHECK_FALSE(is_shown("idle_kicks", {}));
  CHECK(is_shown("idle_kicks", {.idle_timeout_s = 1}));
  CHECK_FALSE(is_shown("rejected_connections", {}));
  CHECK(is_shown("rejected_connections", {.refuses_at_once = true}));
  CHECK_FALSE(is_shown("slab_reassign_rescues", {}));
  CHECK(is_shown("slab_reassign_rescues", {.can_move_pages = true}));
  CHECK_FALSE(is_shown("moves_to_cold", {}));
  CHECK(is_shown("moves_to_cold", {.is_segmented = true}));
  CHECK_FALSE(is_shown("lru_crawler_starts", {}));
  CHECK(is_shown("lru_crawler_starts", {.sweeps = true}));
}

TEST_CASE("the parts of the memory and the rest add up to the whole", "[metrics]") {
  MemorySample sample{.use = {.items = 5, .untouched = 2, .index = 10}, .resident_bytes = 100};
  sample.buffers.fill(1);
  CHECK(sample.parts() == 13 + sample.buffers.size());
  CHECK(sample.whole() == 100);
  CHECK(sample.other() == 100 - sample.parts());
  sample.resident_bytes = 1;
  CHECK(sample.whole() == sample.parts());
  CHECK(sample.other() == 0);
}

TEST_CASE("sums less earlier ones leave gauges as they are", "[metrics]") {
  using slab::ClassStat;
  const auto make = [](std::uint64_t number) {
    CounterSums sums{.total_items = number, .sweep_passes = number};
    sums.commands.fill(number);
    sums.classes.resize(2);
    for (auto& of_class : sums.classes) of_class.fill(number);
    return sums;
  };
  CounterSums sums = make(7);
  sums.Subtract(make(3));
  CHECK(sums.of(Stat::kGetMisses) == 4);
  CHECK(sums.total_items == 4);
  CHECK(sums.sweep_passes == 4);
  CHECK(sums.of(1, ClassStat::kGetHits) == 4);
  CHECK(sums.over_classes(ClassStat::kTouchHits) == 8);
  CHECK(sums.of(1, ClassStat::kRequestedBytes) == 7);
}

}  // namespace
}  // namespace larder::server
