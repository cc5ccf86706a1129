// Lines on standard error.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
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

}  // namespace larder::server
