// The memory into which the connections of a worker receive their requests.
#pragma once

#include <cstddef>
#include <memory>

#include "protocol/text/text_parser.h"

namespace larder::server {

// The most bytes that one connection receives in one turn of the worker's loop.
inline constexpr std::size_t kInputBytes = 64 * 1024;

// InputArea is the memory that all connections of a worker receive into, one after the other. Bytes
// that a connection could not serve in its turn are copied out (see InputTail) before the next
// connection receives.
//
// The parsers may read past the end of the input, so kInputSlackBytes behind it are readable too.
//
// Threads: one worker.
// Owns:    the bytes.
class InputArea {
 public:
  // The size of the allocation, for the statistics of buffers.
  static constexpr std::size_t kHeldBytes = kInputBytes + protocol::kInputSlackBytes;

  InputArea() : bytes_(std::make_unique<char[]>(kHeldBytes)) {}

  // The start of the area. The first kInputBytes are for input. The address is constant for the
  // lifetime of the object.
  char* data() { return bytes_.get(); }

 private:
  const std::unique_ptr<char[]> bytes_;
};

}  // namespace larder::server
