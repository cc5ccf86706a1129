// Where requests arrive.
#pragma once

#include <cstddef>
#include <memory>

#include "protocol/text/text_parser.h"

namespace larder::server {

inline constexpr std::size_t kInputBytes = 64 * 1024;  // What a connection may bring per turn.

// InputArea is the memory that all connections of a worker receive into, one turn after the other.
// It can be parsed where it lies: kInputSlackBytes behind it are readable.
//
// Threads: one worker.
// Owns:    the bytes.
class InputArea {
 public:
  static constexpr std::size_t kHeldBytes = kInputBytes + protocol::kInputSlackBytes;

  InputArea() : bytes_(std::make_unique<char[]>(kHeldBytes)) {}

  char* data() { return bytes_.get(); }  // kInputBytes of them are for input.

 private:
  const std::unique_ptr<char[]> bytes_;
};

}  // namespace larder::server
