// Parses the numbers of the command line.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace larder::server {

// Returns the number that the whole of `text` represents, in the grammar of from_chars; nothing if
// there are other bytes, or if it does not fit `T`. memcached reads "4x" as 4 and "x" as 0; here a
// mistake must not become another setting.
template <class T>
std::optional<T> ParseNumber(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace larder::server
