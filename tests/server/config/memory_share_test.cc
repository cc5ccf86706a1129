#include "server/config/memory_share.h"

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <string>

#include "tests/mebibyte.h"

namespace larder::server {
namespace {

using Files = std::map<std::string, std::string>;

const std::string kMemory8GiB =
    "MemTotal:        8388608 kB\nMemFree:          100000 kB\nSwapTotal: 5 kB\n";

std::optional<std::uint64_t> Limit(const Files& files) {
  return MemoryLimitBytes([&](const std::string& path) -> std::optional<std::string> {
    const auto file = files.find(path);
    if (file == files.end()) return std::nullopt;
    return file->second;
  });
}

TEST_CASE("without control groups the machine's memory is the limit", "[memory_share]") {
  CHECK(Limit({{"/proc/meminfo", kMemory8GiB}}) == 8192 * kMiB);
  CHECK(Limit({{"/proc/meminfo", kMemory8GiB},
               {"/proc/self/cgroup", "0::/a\n"},
               {"/sys/fs/cgroup/a/memory.max", "max\n"}}) == 8192 * kMiB);
}

TEST_CASE("where no file tells there is no limit", "[memory_share]") {
  CHECK(Limit({}) == std::nullopt);
  CHECK(Limit({{"/proc/meminfo", "nonsense"}, {"/proc/self/cgroup", ":\n\n1:memory"}}) ==
        std::nullopt);
}

TEST_CASE("a control group's limit counts, as do those above it", "[memory_share]") {
  Files files = {{"/proc/meminfo", kMemory8GiB},
                 {"/proc/self/cgroup", "0::/kube/pod/box\n"},
                 {"/sys/fs/cgroup/kube/pod/box/memory.max", "536870912\n"}};
  CHECK(Limit(files) == 512 * kMiB);
  files["/sys/fs/cgroup/kube/memory.max"] = "268435456\n";
  CHECK(Limit(files) == 256 * kMiB);
  files["/sys/fs/cgroup/kube/pod/memory.max"] = "max\n";
  CHECK(Limit(files) == 256 * kMiB);
  files["/sys/fs/cgroup/memory.max"] = "134217728\n";
  CHECK(Limit(files) == 128 * kMiB);
}

TEST_CASE("a container that sees only its own groups finds its limit at their root",
          "[memory_share]") {
  const std::string group = GENERATE("/", "/docker/0123", "/../../elsewhere");
  CAPTURE(group);
  CHECK(Limit({{"/proc/meminfo", kMemory8GiB},
               {"/proc/self/cgroup", "0::" + group + "\n"},
               {"/sys/fs/cgroup/memory.max", "1073741824\n"}}) == 1024 * kMiB);
}

TEST_CASE("control groups of the first version have their own tree", "[memory_share]") {
  Files files = {{"/proc/meminfo", kMemory8GiB},
                 {"/proc/self/cgroup",
                  "12:cpu,cpuacct:/other\n5:memory:/docker/1\n1:name=systemd:/x\n0::/x\n"},
                 {"/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "536870912\n"},
                 {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}};
  CHECK(Limit(files) == 512 * kMiB);
  files["/proc/self/cgroup"] = "5:hugetlb,memory:/docker/1\n";
  CHECK(Limit(files) == 512 * kMiB);
  files["/proc/self/cgroup"] = "5:hugetlb:/docker/1\n";
  CHECK(Limit(files) == 8192 * kMiB);
}

TEST_CASE("a limit above the machine's memory is none", "[memory_share]") {
  CHECK(Limit({{"/proc/meminfo", kMemory8GiB},
               {"/proc/self/cgroup", "0::/\n"},
               {"/sys/fs/cgroup/memory.max", "99999999999999\n"}}) == 8192 * kMiB);
}

TEST_CASE("this machine tells its memory", "[memory_share]") {
  CHECK(MemoryLimitBytes(ReadKernelFile).value_or(0) > kMiB);
}

}  // namespace
}  // namespace larder::server
