#include "server/config/memory_share.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <string_view>

#include "server/config/option_number.h"
#include "server/config/split.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// Where a version of control groups has its tree of directories, and its limits.
struct Hierarchy {
  // The name of the controller in /proc/self/cgroup; empty for version 2.
  std::string_view controllers;
  // The directory at which the tree is mounted.
  std::string_view root;
  // The file with the limit in bytes, in the directory of each group.
  std::string_view limit_file;
};
// Version 2, version 2 beside version 1, and version 1.
constexpr std::array kHierarchies = {
    // controllers, root, limit_file
    Hierarchy{"", "/sys/fs/cgroup", "memory.max"},
    Hierarchy{"", "/sys/fs/cgroup/unified", "memory.max"},
    Hierarchy{"memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
};
// The path of a group, which follows the root, begins with a slash.
static_assert(std::ranges::none_of(kHierarchies, [](const Hierarchy& hierarchy) {
  return hierarchy.root.ends_with('/') || hierarchy.limit_file.empty();
}));

// Least computes the minimum of values that may be missing.
//
// Threads: one worker.
class Least {
 public:
  // Takes a value into account, if there is one.
  void Offer(std::optional<std::uint64_t> bytes) {
    if (bytes) least_ = std::min(least_.value_or(*bytes), *bytes);
  }
  // The least value so far; nothing if there was none.
  std::optional<std::uint64_t> value() const { return least_; }

 private:
  std::optional<std::uint64_t> least_;
};

// Returns whether the list `controllers` (separated by commas) has the wanted one. Version 2 has an
// empty list, which matches only an empty name.
bool HasController(std::string_view controllers, std::string_view wanted) {
  if (wanted.empty() || controllers.empty()) return wanted == controllers;
  while (!controllers.empty()) {
    if (TakePiece(controllers, ",") == wanted) return true;
  }
  return false;
}

// Reads a limit from a file. Nothing if there is no such file, or if it has "max", which means no
// limit.
std::optional<std::uint64_t> ReadLimit(const FileReader& read, const std::string& path) {
  const auto text = read(path);
  if (!text) return std::nullopt;
  std::string_view rest = *text;
  return ParseNumber<std::uint64_t>(TakePiece(rest, "\n"));
}

// Takes the limits of a group and of all groups above it, up to the root of the tree, into account:
// the strictest one applies.
void OfferGroups(const FileReader& read, const Hierarchy& hierarchy, std::string group,
                 Least& least) {
  // Each iteration handles one group. The empty path is the root of the tree.
  for (;;) {
    while (group.ends_with('/')) group.pop_back();
    least.Offer(ReadLimit(
        read, std::string(hierarchy.root) + group + '/' + std::string(hierarchy.limit_file)));
    if (group.empty()) return;
    group.resize(std::min(group.rfind('/'), group.size()));
    // A path that does not begin with '/' ends here too.
    if (group.find('/') == group.npos) group.clear();
  }
}

// Reads the memory of the machine from /proc/meminfo.
std::optional<std::uint64_t> MachineBytes(const FileReader& read) {
  constexpr std::string_view kName = "MemTotal:";
  const auto text = read("/proc/meminfo");
  std::string_view rest = text ? *text : std::string_view();
  while (!rest.empty()) {
    std::string_view line = TakePiece(rest, "\n");
    if (!line.starts_with(kName)) continue;
    // The number is padded with spaces, and its unit of kB is 1024 bytes.
    line.remove_prefix(std::min(line.find_first_of("0123456789"), line.size()));
    const auto kilobytes = ParseNumber<std::uint64_t>(TakePiece(line, " "));
    if (kilobytes) return *kilobytes << 10;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> MemoryLimitBytes(const FileReader& read) {
  LARDER_ASSERT(read != nullptr);
  Least least;
  least.Offer(MachineBytes(read));
  // One line for each hierarchy that the process is in.
  const auto groups = read("/proc/self/cgroup");
  std::string_view rest = groups ? *groups : std::string_view();
  while (!rest.empty()) {
    // The line has the form number:controllers:path.
    std::string_view line = TakePiece(rest, "\n");
    // The number of the hierarchy is not needed.
    (void)TakePiece(line, ":");
    const std::string_view controllers = TakePiece(line, ":");
    // All places at which the controller's tree may be mounted; those that do not exist have no
    // limit.
    for (const Hierarchy& hierarchy : kHierarchies) {
      if (!HasController(controllers, hierarchy.controllers)) continue;
      // A path with /.. is outside the part of the tree that a container can see, so only the root
      // of that part can be read.
      const bool is_outside = line.find("/..") != line.npos;
      OfferGroups(read, hierarchy, is_outside ? std::string() : std::string(line), least);
    }
  }
  return least.value();
}

std::optional<std::string> ReadKernelFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace larder::server
