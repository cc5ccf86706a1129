// larder_policies: the miss ratios of Larder beside those of published policies.
//
// Each policy is asked for the same requests in this process; see comparison.h.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cxxopts.hpp>
#include <iterator>
#include <string>
#include <vector>

#include "tests/bench/policies/comparison.h"
#include "tests/bench/policies/workload.h"

namespace larder::bench {
namespace {

constexpr double kMiB = 1 << 20;

// Sums of the rows of one kind, for their means.
struct Sums {
  int rows = 0;
  std::vector<double> misses;  // Of the others, Larder, and the optimum if there is one.
  std::vector<double> way;     // The part of the way from LRU to the optimum.
};

std::vector<double> Cells(const ComparisonRow& row) {
  std::vector<double> cells = row.others;
  cells.push_back(row.larder);
  if (row.optimum) cells.push_back(*row.optimum);
  return cells;
}

void AddTo(Sums& sums, const ComparisonRow& row) {
  const std::vector<double> cells = Cells(row);
  sums.misses.resize(cells.size());
  sums.way.resize(cells.size());
  ++sums.rows;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    sums.misses[i] += cells[i];
    const double whole = cells.front() - row.optimum.value_or(0);
    if (whole > 0) sums.way[i] += (cells.front() - cells[i]) / whole;
  }
}

void PrintCells(const std::vector<double>& cells, double divisor, const char* ending) {
  for (const double cell : cells) fmt::print(" | {:.4f}", cell / divisor);
  fmt::print("{} |\n", ending);
  std::fflush(stdout);
}

void PrintHead() {
  fmt::print("| requests | room for");
  for (const PolicyKind& kind : PolicyKinds()) fmt::print(" | {}", kind.name);
  fmt::print(" | Larder | optimum |\n|");
  for (std::size_t i = 0; i < PolicyKinds().size() + 4; ++i) fmt::print(" --- |");
  fmt::print("\n");
}

void PrintRow(const WorkloadSpec& spec, const ComparisonRow& row) {
  const double capacity = static_cast<double>(row.capacity);
  const std::string room =
      spec.has_sizes ? fmt::format("{} MiB", capacity / kMiB) : fmt::format("{}", capacity);
  fmt::print("| {} | {}", spec.name, room);
  PrintCells(Cells(row), 1, row.optimum ? "" : " |");
}

void PrintMeans(const Sums& one_size, const Sums& sizes) {
  if (one_size.rows != 0) {
    fmt::print("| mean, one size | {} rows", one_size.rows);
    PrintCells(one_size.misses, one_size.rows, "");
    fmt::print("| from LRU to the optimum |");
    PrintCells(one_size.way, one_size.rows, "");
  }
  if (sizes.rows == 0) return;
  fmt::print("| mean, many sizes | {} rows", sizes.rows);
  PrintCells(sizes.misses, sizes.rows, " |");
}

// What the caller wants, or else what the table has.
std::vector<std::uint32_t> Memories(const WorkloadSpec& spec, const cxxopts::ParseResult& parsed) {
  if (parsed.count("memory") != 0) return parsed["memory"].as<std::vector<std::uint32_t>>();
  return {std::begin(spec.memory_mib), std::end(spec.memory_mib)};
}

int Run(const cxxopts::ParseResult& parsed) {
  const std::string folder = parsed["traces"].as<std::string>();
  std::vector<std::string> only;
  if (parsed.count("only") != 0) only = parsed["only"].as<std::vector<std::string>>();
  const bool is_alone = parsed.count("larder-only") != 0;
  Sums one_size;
  Sums sizes;
  if (!is_alone) PrintHead();
  for (const WorkloadSpec& spec : AllWorkloads()) {
    if (!only.empty() && std::ranges::find(only, spec.name) == only.end()) continue;
    const auto requests = LoadWorkload(spec, folder);
    if (!requests || requests->empty()) {
      fmt::print(stderr, "left out: {}\n", requests ? "no requests" : requests.error());
      continue;
    }
    for (const std::uint32_t memory_mib : Memories(spec, parsed)) {
      if (memory_mib == 0) continue;
      if (is_alone) {
        const double ratio = LarderMissRatio(*requests, LarderOptions(spec, memory_mib));
        fmt::print("{} {} {:.4f}\n", spec.name, memory_mib, ratio);
        continue;
      }
      const ComparisonRow row = Compare(spec, *requests, memory_mib);
      AddTo(spec.has_sizes ? sizes : one_size, row);
      PrintRow(spec, row);
    }
  }
  if (!is_alone) PrintMeans(one_size, sizes);
  return 0;
}

}  // namespace
}  // namespace larder::bench

int main(int argc, char** argv) {
  cxxopts::Options description("larder_policies",
                               "Miss ratios of Larder beside those of published policies.\n");
  // clang-format off
  description.add_options()
      ("traces", "Folder of the traces, web12.txt and others; those that are not there are left out",
       cxxopts::value<std::string>()->default_value("."))
      ("only", "These requests only", cxxopts::value<std::vector<std::string>>())
      ("memory", "MiB, in place of those of the table", cxxopts::value<std::vector<std::uint32_t>>())
      ("larder-only", "Larder alone, a line for each memory")
      ("h,help", "Show this");
  // clang-format on
  try {
    const cxxopts::ParseResult parsed = description.parse(argc, argv);
    if (parsed.count("help") == 0) return larder::bench::Run(parsed);
    fmt::print("{}", description.help());
    return 0;
  } catch (const cxxopts::exceptions::exception& error) {
    fmt::print(stderr, "larder_policies: {} (try --help)\n", error.what());
    return 2;
  }
}
