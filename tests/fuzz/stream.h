// What the fuzz targets share. An input is a byte that chooses, and a stream of what clients send.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "protocol/text/text_parser.h"
#include "tests/protocol/feed.h"

namespace larder {

inline void Require(bool holds) {
  if (!holds) std::abort();  // Which libFuzzer reports with the input.
}

// Splits may decide whether a longer line is fatal, so only shorter ones must be answered alike.
inline bool HasLongLine(std::string_view stream) {
  std::size_t line_bytes = 0;
  for (const char byte : stream) {
    line_bytes = byte == '\n' ? 0 : line_bytes + 1;
    if (line_bytes >= protocol::kLineBytesMax) return true;
  }
  return false;
}

// Pieces cuts streams into pieces of chance length, the same ones for the same seed.
//
// Threads: one.
class Pieces {
 public:
  explicit Pieces(std::uint32_t seed) : state_(seed) {}

  // Calls fn(piece) for one after the other.
  template <class Fn>
  void Cut(std::string_view stream, Fn&& fn) {
    while (!stream.empty()) {
      state_ = state_ * 1664525 + 1013904223;  // Knuth's linear congruential generator.
      const std::size_t bytes = std::min<std::size_t>(1 + (state_ >> 24) % 40, stream.size());
      fn(stream.substr(0, bytes));
      stream.remove_prefix(bytes);
    }
  }

 private:
  std::uint32_t state_;
};

namespace protocol {

// Feeds a stream in one piece and in many, which must come to the same. Returns what it came to in
// one piece.
template <class Request>
FeedOf<Request> FeedTwice(std::uint8_t choice, std::string_view stream,
                          const FeedOf<Request>& fresh, bool may_cut = true) {
  FeedOf<Request> whole = fresh;
  whole.Receive(stream);
  Require(whole.is_sane());
  if (may_cut) {
    FeedOf<Request> cut = fresh;
    Pieces(choice).Cut(stream, [&](std::string_view piece) { cut.Receive(piece); });
    Require(AreAlike(whole, cut));
  }
  return whole;
}

// What both text parsers must agree on.
inline Feed FeedText(std::uint8_t choice, std::string_view stream) {
  const std::string_view slack = kHostileSlacks[choice % kHostileSlacks.size()];
  Feed whole = FeedTwice(choice, stream, Feed(ParseText, slack), !HasLongLine(stream));
  Feed slow(ParseTextSlow, slack);
  slow.Receive(stream);
  Require(AreAlike(whole, slow));
  return whole;
}

}  // namespace protocol
}  // namespace larder

// What a target defines: looks at one input, and aborts if it finds a fault.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes);
