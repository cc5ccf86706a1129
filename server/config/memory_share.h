// Determines how much memory this process may use.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace larder::server {

// Returns the contents of the file at `path`, or nothing if it cannot be read. Tests give their own
// files.
using FileReader = std::function<std::optional<std::string>(const std::string& path)>;

// Returns the least of the limits that apply to this process, in bytes: those of its control groups
// (of either version) and of all groups above them, and the memory of the machine. Nothing if no
// file has such a number.
//
// A container may see only its own part of the tree of groups, under another path. Then the files
// at the path of /proc/self/cgroup do not exist, and those at the root of the tree are the
// container's own.
std::optional<std::uint64_t> MemoryLimitBytes(const FileReader& read);

// A FileReader for the files of the kernel, which have contents although their size is reported as
// 0.
std::optional<std::string> ReadKernelFile(const std::string& path);

}  // namespace larder::server
