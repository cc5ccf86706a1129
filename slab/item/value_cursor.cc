#include "slab/item/value_cursor.h"

#include <algorithm>
#include <cstring>

#include "slab/check.h"

namespace larder::slab {

void ValueCursor::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto room = piece();
    const std::size_t n = std::min(room.size(), bytes.size());
    // Without this check, bytes beyond the end of the value would be an endless loop.
    LARDER_CHECK(n > 0);
    std::memcpy(room.data(), bytes.data(), n);
    Advance(n);
    bytes.remove_prefix(n);
  }
}

}  // namespace larder::slab
