// Fuzzes the text parser: it must stay within its input, the fast and the slow parser must agree,
// and no split of the bytes may change an answer.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/stream.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  if (bytes == 0) return 0;
  larder::protocol::FeedText(data[0], {reinterpret_cast<const char*>(data) + 1, bytes - 1});
  return 0;
}
