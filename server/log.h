// Writes lines to standard error.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace larder::server {

// Writes a formatted text to standard error; the format has to include the newline. A failure is
// ignored: fmt::print would throw, but a standard error that cannot be written (a full disk, a
// reader that has gone) must not end the server.
//
// Threads: any; the text of one call is not mixed with others.
template <class... Args>
void Log(fmt::format_string<Args...> format, Args&&... args) {
  const std::string text = fmt::format(format, std::forward<Args>(args)...);
  (void)std::fwrite(text.data(), 1, text.size(), stderr);
}

// Returns bytes that a client sent in a form for a log line: bytes that are not printable ASCII,
// and backslashes, as \xNN. So a key cannot end the line, and cannot send control sequences to a
// terminal.
inline std::string Printable(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (const char c : bytes) {
    if (c >= ' ' && c <= '~' && c != '\\') {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return text;
}

}  // namespace larder::server
