// How much memory this process may have.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace larder::server {

// The contents of a file, or nothing.
using FileReader = std::function<std::optional<std::string>(const std::string& path)>;

// The least of what limits the process: its control groups, of either version, with all that are
// above them, and the memory of the machine. Nothing when no file tells.
//
// Where a container sees only its own part of the tree under another path, the path's files are
// missing, and those at the root of the tree are its own.
std::optional<std::uint64_t> MemoryLimitBytes(const FileReader& read);

// A FileReader for the files of the kernel, which do not tell their size.
std::optional<std::string> ReadKernelFile(const std::string& path);

}  // namespace larder::server
