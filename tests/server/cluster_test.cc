#include "server/cluster.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "tests/temporary_folder.h"

namespace larder::server {
namespace {

ClusterList ListOf(std::string_view text) {
  const auto list = ParseClusterFile(text, 8);
  if (!list) FAIL(list.error());
  return *list;
}

std::string ValueOf(const Cluster& cluster) {
  const auto current = cluster.Current();
  return current != nullptr ? current->value : "none";
}

TEST_CASE("a cluster starts without nodes", "[cluster]") {
  CHECK(Cluster("").Current() == nullptr);
}

TEST_CASE("a list without a version gets the hint", "[cluster]") {
  Cluster cluster("");
  CHECK(cluster.Set(ListOf("a:1 b:2"), 1000) == ClusterChange::kChanged);
  CHECK(ValueOf(cluster) == "1000\na||1 b||2\n");
}

TEST_CASE("who reads the list does not wait for its file", "[cluster][concurrency]") {
  Cluster* cluster = nullptr;
  std::vector<std::string> written;
  std::vector<std::string> read;
  std::vector<std::future<std::string>> late;
  Cluster created("state", [&](const std::string&, std::string_view text) {
    written.emplace_back(text);
    // Another thread, as the one that writes might have locked what it has to wait for.
    auto reader = std::async(std::launch::async, [&] { return ValueOf(*cluster); });
    constexpr std::chrono::seconds kPatience{10};
    if (reader.wait_for(kPatience) == std::future_status::ready) read.push_back(reader.get());
    // It can only answer when this has returned.
    if (reader.valid()) late.push_back(std::move(reader));
    return std::string();
  });
  cluster = &created;
  CHECK(created.Set(ListOf("a:1"), 7) == ClusterChange::kChanged);
  CHECK(created.Set(ListOf("b:1"), 7) == ClusterChange::kChanged);
  CHECK(created.Delete());
  // What clients see was written before.
  CHECK(written == std::vector<std::string>{"7\na||1\n", "8\nb||1\n", "8\n\n"});
  CHECK(read == std::vector<std::string>{"none", "7\na||1\n", "8\nb||1\n"});
}

TEST_CASE("the same list keeps its version", "[cluster]") {
  Cluster cluster("");
  (void)cluster.Set(ListOf("a:1"), 1000);
  CHECK(cluster.Set(ListOf("a:1"), 2000) == ClusterChange::kSame);
  CHECK(ValueOf(cluster) == "1000\na||1\n");
}

TEST_CASE("a hint that is not above the last version counts one up", "[cluster]") {
  Cluster cluster("");
  (void)cluster.Set(ListOf("a:1"), 1000);
  const std::uint64_t hint = GENERATE(std::uint64_t{0}, std::uint64_t{999}, std::uint64_t{1000});
  CAPTURE(hint);
  CHECK(cluster.Set(ListOf("b:1"), hint) == ClusterChange::kChanged);
  CHECK(ValueOf(cluster) == "1001\nb||1\n");
}

TEST_CASE("a list with a version is taken if that is above the last", "[cluster]") {
  Cluster cluster("");
  CHECK(cluster.Set(ListOf("version 5\na:1"), 1000) == ClusterChange::kChanged);
  CHECK(cluster.Set(ListOf("version 5\na:1"), 1000) == ClusterChange::kSame);
  CHECK(cluster.Set(ListOf("version 5\nb:1"), 1000) == ClusterChange::kOldVersion);
  CHECK(cluster.Set(ListOf("version 4\na:1"), 1000) == ClusterChange::kOldVersion);
  CHECK(ValueOf(cluster) == "5\na||1\n");
  CHECK(cluster.Set(ListOf("version 6\na:1"), 1000) == ClusterChange::kChanged);
  CHECK(ValueOf(cluster) == "6\na||1\n");
}

TEST_CASE("versions end where clients cannot count on", "[cluster]") {
  Cluster cluster("");
  CHECK(cluster.Set(ListOf("a:1"), ~std::uint64_t{0}) == ClusterChange::kChanged);
  CHECK(cluster.Current()->version == kClusterVersionMax);
  CHECK(cluster.Set(ListOf("b:1"), 1) == ClusterChange::kNoVersion);
  CHECK(cluster.Current()->nodes == "a||1");
}

TEST_CASE("a deleted cluster is gone, its version is not", "[cluster]") {
  Cluster cluster("");
  CHECK_FALSE(cluster.Delete());
  (void)cluster.Set(ListOf("a:1"), 1000);
  CHECK(cluster.Delete());
  CHECK_FALSE(cluster.Delete());
  CHECK(ValueOf(cluster) == "none");
  (void)cluster.Set(ListOf("a:1"), 0);
  CHECK(ValueOf(cluster) == "1001\na||1\n");
}

TEST_CASE("a value that is set must be well-formed", "[cluster]") {
  Cluster cluster("");
  CHECK(cluster.SetValue("3\na|10.0.0.1|1\n", 8) == ClusterChange::kChanged);
  CHECK(cluster.SetValue("4\na", 8) == ClusterChange::kBadList);
  CHECK(cluster.SetValue("4\na:1 b:1", 1) == ClusterChange::kBadList);
  CHECK(cluster.SetValue("3\nb:1", 8) == ClusterChange::kOldVersion);
  CHECK(ValueOf(cluster) == "3\na|10.0.0.1|1\n");
}

TEST_CASE("list and version outlive the server with a state file", "[cluster]") {
  const TemporaryFolder folder;
  const std::string state = folder / "state";
  {
    Cluster cluster(state);
    (void)cluster.Set(ListOf("a:1"), 1000);
    (void)cluster.Set(ListOf("b:1"), 1000);
  }
  Cluster cluster(state);
  CHECK(ValueOf(cluster) == "1001\nb||1\n");
  CHECK(cluster.Set(ListOf("b:1"), 5000) == ClusterChange::kSame);
  CHECK(cluster.Set(ListOf("a:1"), 1) == ClusterChange::kChanged);
  CHECK(ValueOf(Cluster(state)) == "1002\na||1\n");
}

TEST_CASE("a state file also keeps the version of a deleted cluster", "[cluster]") {
  const TemporaryFolder folder;
  const std::string state = folder / "state";
  {
    Cluster cluster(state);
    (void)cluster.Set(ListOf("a:1"), 1000);
    (void)cluster.Delete();
  }
  Cluster cluster(state);
  CHECK(ValueOf(cluster) == "none");
  (void)cluster.Set(ListOf("a:1"), 1);
  CHECK(ValueOf(cluster) == "1001\na||1\n");
}

TEST_CASE("a broken or unwritable state file does not stop a cluster", "[cluster]") {
  const TemporaryFolder folder;
  WriteFile(folder / "state", "no version\n");
  for (const char* name : {"state", "missing/state"}) {
    CAPTURE(name);
    Cluster cluster(folder / name);
    CHECK(ValueOf(cluster) == "none");
    CHECK(cluster.Set(ListOf("a:1"), 1000) == ClusterChange::kChanged);
    CHECK(ValueOf(cluster) == "1000\na||1\n");
  }
}

TEST_CASE("readers see whole snapshots whose versions only grow", "[cluster][concurrency]") {
  constexpr std::uint64_t kVersions = 2000;
  Cluster cluster("");
  std::vector<std::thread> readers;
  std::vector<int> faults(2, 0);
  for (int& fault : faults) {
    readers.emplace_back([&cluster, &fault] {
      std::uint64_t last = 0;
      while (last < kVersions) {
        const auto current = cluster.Current();
        if (current == nullptr) continue;
        const std::string expected = FormatClusterValue(current->version, current->nodes);
        if (current->version < last || current->value != expected) ++fault;
        last = current->version;
      }
    });
  }
  for (std::uint64_t version = 1; version <= kVersions; ++version) {
    (void)cluster.Set(ListOf(version % 2 == 0 ? "a:1" : "b:1 c:1"), version);
  }
  for (std::thread& reader : readers) reader.join();
  CHECK(faults == std::vector<int>{0, 0});
}

}  // namespace
}  // namespace larder::server
