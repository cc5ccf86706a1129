// Fuzzes the text parser: it must stay within its input, the fast and the slow parser must agree,
// and no split of the bytes may change an answer. Build with -DLARDER_FUZZ=ON (clang) and run
//   text_parser_fuzz -dict=tests/fuzz/text.dict <corpus folder>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tests/protocol/feed.h"

namespace larder::protocol {
namespace {

// Splits may decide whether a longer line is fatal, so only shorter ones must parse alike.
bool HasLongLine(std::string_view stream) {
  std::size_t line_bytes = 0;
  for (const char byte : stream) {
    line_bytes = byte == '\n' ? 0 : line_bytes + 1;
    if (line_bytes >= kLineBytesMax) return true;
  }
  return false;
}

void Require(bool holds) {
  if (!holds) std::abort();  // Which libFuzzer reports with the input.
}

// The first byte of the input chooses the slack and the sizes of the pieces.
void TestOneStream(std::uint8_t choice, std::string_view stream) {
  const std::string_view slack = kHostileSlacks[choice % kHostileSlacks.size()];
  Feed whole(ParseText, slack);
  whole.Receive(stream);
  Require(whole.is_sane());
  Feed slow(ParseTextSlow, slack);
  slow.Receive(stream);
  Require(AreAlike(whole, slow));
  if (HasLongLine(stream)) return;

  Feed pieces(ParseText, slack);
  std::uint32_t state = choice;
  while (!stream.empty()) {
    state = state * 1664525 + 1013904223;  // Knuth's linear congruential generator.
    const std::size_t piece_bytes = std::min<std::size_t>(1 + (state >> 24) % 40, stream.size());
    pieces.Receive(stream.substr(0, piece_bytes));
    stream.remove_prefix(piece_bytes);
  }
  Require(AreAlike(whole, pieces));
}

}  // namespace
}  // namespace larder::protocol

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  if (bytes == 0) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, bytes - 1);
  larder::protocol::TestOneStream(data[0], stream);
  return 0;
}
