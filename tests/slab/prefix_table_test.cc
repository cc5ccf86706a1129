// Rows of prefixes.
#include "slab/engine/prefix_table.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "tests/slab/run_together.h"

namespace larder::slab {
namespace {

TEST_CASE("keys with the same prefix have a row, and others have others", "[slab][prefix]") {
  PrefixTable table(':', 1);
  const PrefixRow user = table.FindOrAdd("user:1");
  CHECK(user != kOthers);
  CHECK(table.FindOrAdd("user:22:x") == user);
  CHECK(table.Find("user:") == user);
  CHECK(table.FindOrAdd("users:1") != user);
  CHECK(table.Find("use:r") == kOthers);
  CHECK(table.row_count() == 3);
  CHECK(table.NameOf(user) == "user");
}

TEST_CASE("a prefix that is only looked for gets no row", "[slab][prefix]") {
  PrefixTable table(':', 1);
  CHECK(table.Find("user:1") == kOthers);
  CHECK(table.row_count() == 1);
}

TEST_CASE("prefixes have 0 to 15 bytes, and any but the delimiter", "[slab][prefix]") {
  PrefixTable table('/', 7);
  using namespace std::string_literals;
  const std::array names = {
      ""s, "a"s, "a\0"s, "a\0\0b"s, "1234567"s, "12345678"s, "123456789012345"s};
  std::vector<PrefixRow> rows;
  for (const std::string& name : names) {
    rows.push_back(table.FindOrAdd(name + "/"));
    CHECK(table.NameOf(rows.back()) == name);
    // Whatever follows, in keys of all lengths.
    for (std::size_t bytes = 0; bytes < 40; ++bytes) {
      CHECK(table.FindOrAdd(name + "/" + std::string(bytes, '/')) == rows.back());
    }
  }
  std::ranges::sort(rows);
  CHECK(std::ranges::adjacent_find(rows) == rows.end());
  CHECK(table.row_count() == 1 + names.size());
}

TEST_CASE("keys without a delimiter in their first 16 bytes are others", "[slab][prefix]") {
  PrefixTable table(':', 1);
  for (const std::string_view key : {"", "k", "12345678", "1234567890123456", "1234567890123456:7",
                                     "a key of another kind: without prefix"}) {
    CHECK(table.FindOrAdd(key) == kOthers);
  }
  CHECK(table.row_count() == 1);
}

TEST_CASE("the 257th prefix is of the others, for good", "[slab][prefix]") {
  PrefixTable table(':', 1);
  for (std::size_t i = 1; i < kPrefixRows; ++i) {
    CHECK(table.FindOrAdd("p" + std::to_string(i) + ":k") == i);
  }
  CHECK(table.FindOrAdd("late:k") == kOthers);
  CHECK(table.Find("late:k") == kOthers);
  CHECK(table.row_count() == kPrefixRows);
  for (std::size_t i = 1; i < kPrefixRows; ++i) {
    CHECK(table.Find("p" + std::to_string(i) + ":") == i);
    CHECK(table.NameOf(static_cast<PrefixRow>(i)) == "p" + std::to_string(i));
  }
}

TEST_CASE("threads that add prefixes agree on their rows", "[slab][prefix][concurrency]") {
  // More prefixes than there are rows, so that the table becomes full meanwhile.
  constexpr std::size_t kNames = 300;
  PrefixTable table(':', 3);
  std::vector<std::vector<PrefixRow>> seen(kWorkers, std::vector<PrefixRow>(kNames));
  std::vector<std::function<void()>> all;
  for (std::size_t worker = 0; worker < kWorkers; ++worker) {
    all.emplace_back([&, worker] {
      for (std::size_t i = 0; i < kNames; ++i) {
        // In another order.
        const std::size_t name = (i * 7 + worker * 70) % kNames;
        seen[worker][name] = table.FindOrAdd(std::to_string(name) + ":k");
      }
    });
  }
  RunTogether(all);
  CHECK(table.row_count() == kPrefixRows);
  CHECK(std::ranges::count(seen[0], kOthers) == kNames - (kPrefixRows - 1));
  for (std::size_t worker = 0; worker < kWorkers; ++worker) CHECK(seen[worker] == seen[0]);
  for (std::size_t name = 0; name < kNames; ++name) {
    CHECK(table.Find(std::to_string(name) + ":") == seen[0][name]);
  }
}

}  // namespace
}  // namespace larder::slab
