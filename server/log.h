// The log: lines on standard error.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace larder::server {

// How important a line is.
enum class LogLevel : std::uint8_t {
  kDebug,    // What clients request, with -vv.
  kInfo,     // What the server did that its owner may want to know.
  kWarning,  // The server goes on, but not as it was configured.
  kError,    // Something that was requested did not work.
};

// Writes `line` and a line feed to standard error. A failure is ignored: a standard error that
// cannot be written (a full disk, a reader that has gone) must not end the server.
//
// Threads: any; a line is not mixed with others.
void WriteLog(LogLevel level, std::string_view line);

// Writes a line that fmt::format formats; otherwise like WriteLog().
template <class... Args>
void Log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  WriteLog(level, fmt::format(format, std::forward<Args>(args)...));
}

// Returns bytes that a client sent in a form for a log line: bytes that are not printable ASCII,
// and backslashes, as \xNN. So a key cannot end the line, and cannot send control sequences to a
// terminal.
std::string Printable(std::string_view bytes);

}  // namespace larder::server
