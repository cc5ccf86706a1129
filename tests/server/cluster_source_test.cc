#include "server/cluster_source.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/temporary_folder.h"

namespace larder::server {
namespace {

std::string NodesOf(const Cluster& cluster) {
  const auto current = cluster.Current();
  return current != nullptr ? current->nodes : "none";
}

std::uint64_t VersionOf(const Cluster& cluster) {
  const auto current = cluster.Current();
  return current != nullptr ? current->version : 0;
}

// --- File ----------------------------------------------------------------------------------------

// A source whose file is as old as the test wants: the clock is its own.
class FileTest {
 protected:
  // The second after the file was written last.
  std::uint32_t AfterWrite() const {
    return static_cast<std::uint32_t>(StampOf(path)->changed_s()) + 1;
  }
  std::uint64_t errors() const { return counters.value(Stat::kConfigErrors); }

  const TemporaryFolder folder;
  const std::string path = folder / "nodes";
  Config config = [this] {
    Config with_file;
    with_file.cluster_file = path;
    with_file.cluster_nodes_max = 3;
    with_file.cluster_file_bytes_max = 100;
    return with_file;
  }();
  Cluster cluster{""};
  WorkerCounters counters;
  ClusterSource source{config, cluster, counters};
};

TEST_CASE_METHOD(FileTest, "a file is read when it is there", "[cluster_source]") {
  source.Tick(1000);
  CHECK(NodesOf(cluster) == "none");
  CHECK(errors() == 1);
  source.Tick(1001);
  CHECK(errors() == 1);  // Said once.
  WriteFile(path, "a:1\n");
  source.Tick(AfterWrite());
  CHECK(NodesOf(cluster) == "a||1");
}

TEST_CASE_METHOD(FileTest, "the version is the second of the last change", "[cluster_source]") {
  WriteFile(path, "a:1\n");
  source.Tick(AfterWrite() + 500);
  CHECK(VersionOf(cluster) == AfterWrite() - 1);

  Cluster other("");
  ClusterSource other_source(config, other, counters);
  other_source.Tick(AfterWrite());
  CHECK(VersionOf(other) == VersionOf(cluster));
}

TEST_CASE_METHOD(FileTest, "a file that changes is read again, another second",
                 "[cluster_source]") {
  WriteFile(path, "a:1\n");
  source.Tick(AfterWrite());
  const std::uint64_t version = VersionOf(cluster);
  WriteFile(path, "b:1\n");
  source.Tick(AfterWrite() - 1);
  CHECK(NodesOf(cluster) == "a||1");  // It may yet change, and look the same.
  source.Tick(AfterWrite());
  CHECK(NodesOf(cluster) == "b||1");
  CHECK(VersionOf(cluster) > version);
}

TEST_CASE_METHOD(FileTest, "a file that another takes the place of is read again",
                 "[cluster_source]") {
  WriteFile(path, "a:1\n");
  source.Tick(AfterWrite());
  WriteFile(folder / "other", "b:1\n");
  REQUIRE(std::rename((folder / "other").c_str(), path.c_str()) == 0);
  source.Tick(AfterWrite());
  CHECK(NodesOf(cluster) == "b||1");
}

TEST_CASE_METHOD(FileTest, "a file that cannot be used leaves the list as it is",
                 "[cluster_source]") {
  WriteFile(path, "a:1\n");
  source.Tick(AfterWrite());
  const std::uint64_t version = VersionOf(cluster);
  std::uint64_t expected_errors = 0;
  for (const std::string& text : {std::string(), std::string("# empty\n"), std::string("a:1 b"),
                                  std::string("a:1 a:1"), std::string("a:1 b:1 c:1 d:1"),
                                  std::string(101, '\n'), std::string("version 1\na:1 b:1\n")}) {
    CAPTURE(text);
    WriteFile(path, text);
    source.Tick(AfterWrite());
    CHECK(errors() == ++expected_errors);
    CHECK(NodesOf(cluster) == "a||1");
    CHECK(VersionOf(cluster) == version);
  }
  REQUIRE(std::remove(path.c_str()) == 0);
  source.Tick(1000);
  CHECK(errors() == expected_errors + 1);
  CHECK(NodesOf(cluster) == "a||1");
}

TEST_CASE_METHOD(FileTest, "an unchanged file is left alone until it is asked for",
                 "[cluster_source]") {
  WriteFile(path, "a:1\n");
  source.Tick(AfterWrite());
  REQUIRE(cluster.Delete());
  source.Tick(AfterWrite() + 1);
  CHECK(NodesOf(cluster) == "none");
  source.ReadAgain({.now_s = AfterWrite() + 2});
  CHECK(NodesOf(cluster) == "a||1");
}

TEST_CASE_METHOD(FileTest, "at the start a file is read even if it is new", "[cluster_source]") {
  WriteFile(path, "a:1\n");
  source.Start();
  CHECK(NodesOf(cluster) == "a||1");
}

TEST_CASE_METHOD(FileTest, "a file from the far future is read", "[cluster_source]") {
  WriteFile(path, "a:1\n");
  source.Tick(AfterWrite() - 1000);
  CHECK(NodesOf(cluster) == "a||1");
}

// --- Name ----------------------------------------------------------------------------------------

// What a name stands for, as the test decides; shared with lookups that are still under way.
struct Zone {
  AddressesResult Resolve(const std::string& host) {
    const MutexLock lock(mutex);
    asked.push_back(host);
    return answer;
  }

  Mutex mutex;
  AddressesResult answer LARDER_GUARDED_BY(mutex) = Failure{std::string("no such name")};
  std::vector<std::string> asked LARDER_GUARDED_BY(mutex);
};

class NameTest {
 protected:
  void Answer(AddressesResult answer) {
    const MutexLock lock(zone->mutex);
    zone->answer = std::move(answer);
  }
  std::size_t lookups() {
    const MutexLock lock(zone->mutex);
    return zone->asked.size();
  }
  // Ticks in one and the same second until the lookup that it begins was taken: only then is there
  // another one, an interval later.
  void Lookup(std::uint32_t at_s) {
    const std::size_t before = lookups();
    source.Tick(at_s);
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (lookups() == before && std::chrono::steady_clock::now() < patience) {
      std::this_thread::yield();
    }
    REQUIRE(lookups() == before + 1);
    // It has been asked; its answer is in the mailbox an instant later.
    while (source.is_looking_up() && std::chrono::steady_clock::now() < patience) {
      source.Tick(at_s);
    }
  }
  std::uint64_t errors() const { return counters.value(Stat::kConfigErrors); }

  const std::shared_ptr<Zone> zone = std::make_shared<Zone>();
  Config config = [] {
    Config with_name;
    with_name.cluster_dns_host = "cache.example";
    with_name.cluster_dns_port = 11211;
    with_name.cluster_dns_interval_s = 10;
    with_name.cluster_nodes_max = 3;
    return with_name;
  }();
  Cluster cluster{""};
  WorkerCounters counters;
  ClusterSource source{config, cluster, counters,
                       [zone = zone](const std::string& host) { return zone->Resolve(host); }};
};

using HostAddresses = std::vector<std::string>;

TEST_CASE_METHOD(NameTest, "a name's addresses are the nodes", "[cluster_source]") {
  Answer(HostAddresses{"10.0.0.1", "10.0.0.2"});
  Lookup(1000);
  CHECK(NodesOf(cluster) == "10.0.0.1|10.0.0.1|11211 10.0.0.2|10.0.0.2|11211");
  CHECK(VersionOf(cluster) == 1000);
  const MutexLock lock(zone->mutex);
  CHECK(zone->asked == HostAddresses{"cache.example"});
}

TEST_CASE_METHOD(NameTest, "a name is resolved again after the interval", "[cluster_source]") {
  Answer(HostAddresses{"10.0.0.1"});
  Lookup(1000);
  Answer(HostAddresses{"10.0.0.2"});
  source.Tick(1009);
  CHECK(lookups() == 1);
  CHECK(NodesOf(cluster) == "10.0.0.1|10.0.0.1|11211");
  Lookup(1010);
  CHECK(NodesOf(cluster) == "10.0.0.2|10.0.0.2|11211");
  CHECK(VersionOf(cluster) == 1010);
  Lookup(1020);
  CHECK(VersionOf(cluster) == 1010);  // Nothing new.
}

TEST_CASE_METHOD(NameTest, "a name is resolved at once when asked to", "[cluster_source]") {
  Answer(HostAddresses{"10.0.0.1"});
  Lookup(1000);
  source.ReadAgain({.now_s = 1001});
  while (source.is_looking_up()) source.Tick(1001);
  CHECK(lookups() == 2);
}

TEST_CASE_METHOD(NameTest, "a lookup that fails leaves the list as it is", "[cluster_source]") {
  Answer(HostAddresses{"10.0.0.1"});
  Lookup(1000);
  Answer(Failure{std::string("no such name")});
  Lookup(1010);
  Lookup(1020);
  CHECK(errors() == 1);  // The same every time is said once.
  Answer(HostAddresses{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"});
  Lookup(1030);
  CHECK(errors() == 2);
  CHECK(NodesOf(cluster) == "10.0.0.1|10.0.0.1|11211");
  CHECK(VersionOf(cluster) == 1000);
}

TEST_CASE_METHOD(NameTest, "nobody waits for a lookup", "[cluster_source]") {
  const auto blocked = std::make_shared<Mutex>();
  blocked->Lock();
  {
    ClusterSource slow(config, cluster, counters, [blocked](const std::string&) -> AddressesResult {
      const MutexLock lock(*blocked);
      return Failure{std::string("too late")};
    });
    slow.Tick(1000);
    slow.Tick(1100);
    CHECK(slow.is_looking_up());
  }
  blocked->Unlock();
  CHECK(NodesOf(cluster) == "none");
}

TEST_CASE("the system's resolver finds this machine", "[cluster_source]") {
  CHECK(*ResolveAddresses("127.0.0.1") == HostAddresses{"127.0.0.1"});
  CHECK(*ResolveAddresses("::1") == HostAddresses{"::1"});
  const auto nowhere = ResolveAddresses("no such name");
  REQUIRE_FALSE(nowhere);
  CHECK_FALSE(nowhere.error().empty());
}

}  // namespace
}  // namespace larder::server
