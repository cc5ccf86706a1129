// Lines on standard error.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace larder::server {

// Writes what fmt::print would, newline included. Fails in silence: fmt::print throws, and a
// standard error that takes nothing, a full disk or a reader that is gone, must end no server.
//
// Threads: any; a call's text stays together.
template <class... Args>
void Log(fmt::format_string<Args...> format, Args&&... args) {
  const std::string text = fmt::format(format, std::forward<Args>(args)...);
  (void)std::fwrite(text.data(), 1, text.size(), stderr);
}

// What a client sent, for a line: bytes that are no printable ASCII, and backslashes, as \xNN, so
// that a key ends no line and tells a terminal nothing.
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
