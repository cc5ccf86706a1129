// The log: lines on standard error.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace larder::server {

enum class LogLevel : std::uint8_t {
  kDebug,    // What clients ask for, with -vv.
  kInfo,     // What the server did that its owner may want to know.
  kWarning,  // It goes on, but not as it was told to.
  kError,    // Something that was asked for did not work.
};

// Writes `line` and a line feed. Fails silently: a standard error that takes nothing, because the
// disk is full or the reader is gone, must not end the server.
//
// Threads: any; a line stays together.
void WriteLog(LogLevel level, std::string_view line);

// The same line as fmt::format makes it.
template <class... Args>
void Log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  WriteLog(level, fmt::format(format, std::forward<Args>(args)...));
}

// What a client sent, for a line: bytes that are no printable ASCII, and backslashes, as \xNN, so
// that a key ends no line and cannot control a terminal.
std::string Printable(std::string_view bytes);

}  // namespace larder::server
