// Splits lists that are texts.
#pragma once

#include <algorithm>
#include <string_view>

namespace larder::server {

// Removes the first piece from the front of `text`, together with the separator that ends it: any
// byte of `separators`. Without a separator, the rest of the text is the piece. Returns the piece
// without the separator.
inline std::string_view TakePiece(std::string_view& text, std::string_view separators) {
  const std::size_t end = std::min(text.find_first_of(separators), text.size());
  const std::string_view piece = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return piece;
}

}  // namespace larder::server
