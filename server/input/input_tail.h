// The input of one connection that waits for the next turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "protocol/text/text_parser.h"
#include "slab/check.h"

namespace larder::server {

// InputTail stores the bytes that a connection has received and not yet served: a part of a
// request, or requests for which the turn had no time left. Most connections keep nothing, and then
// no memory is held.
//
//   bytes_   |served|  view()  |slack|      slack: kInputSlackBytes of zeros, read by the parsers
//            0      begin_     end_
//
// Threads:    one worker.
// Owns:       the bytes.
// Invariants: begin_ <= end_; both are 0 when bytes_ is null.
class InputTail {
 public:
  bool empty() const { return begin_ == end_; }
  // The kept bytes. The view lives until the next Keep() or Drop().
  std::string_view view() const { return {bytes_.get() + begin_, end_ - begin_}; }
  // The size of the allocation in bytes, 0 when nothing is kept.
  std::size_t held_bytes() const {
    return bytes_ == nullptr ? 0 : end_ + protocol::kInputSlackBytes;
  }

  // Makes `input` the kept bytes. If it is the end of view(), the served bytes in front of it are
  // only skipped and nothing is copied; otherwise `input` is copied and replaces what was kept.
  // REQUIRES: `input` is the end of view(), or does not overlap it.
  void Keep(std::string_view input) {
    LARDER_ASSERT(begin_ <= end_ && (bytes_ != nullptr || end_ == 0));
    if (bytes_ != nullptr && input.data() + input.size() == bytes_.get() + end_) {
      LARDER_ASSERT(input.size() <= end_ - begin_);
      begin_ = end_ - static_cast<std::uint32_t>(input.size());
      return;
    }
    LARDER_ASSERT(input.data() + input.size() <= bytes_.get() ||
                  input.data() >= bytes_.get() + held_bytes());
    LARDER_ASSERT(input.size() <= UINT32_MAX - protocol::kInputSlackBytes);
    Drop();
    end_ = static_cast<std::uint32_t>(input.size());
    bytes_ = std::make_unique_for_overwrite<char[]>(end_ + protocol::kInputSlackBytes);
    std::memcpy(bytes_.get(), input.data(), input.size());
    std::memset(bytes_.get() + end_, 0, protocol::kInputSlackBytes);
  }
  // Gives the memory back. Afterwards empty() is true.
  void Drop() {
    bytes_.reset();
    begin_ = end_ = 0;
  }

 private:
  std::unique_ptr<char[]> bytes_;
  // Offsets in bytes_ of the first kept byte and of the end of the kept bytes.
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;
};

}  // namespace larder::server
