// Input that waits for the next turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "protocol/text/text_parser.h"

namespace larder::server {

// InputTail keeps what a connection has received and not served. It can be parsed where it lies:
// kInputSlackBytes behind it are readable.
//
// Threads: one worker.
// Owns:    the bytes.
class InputTail {
 public:
  bool empty() const { return begin_ == end_; }
  // Lives until the next Keep or Drop.
  std::string_view view() const { return {bytes_.get() + begin_, end_ - begin_}; }
  std::size_t held_bytes() const { return capacity_; }

  // Keeps a copy of `input`, or, if that is the end of view(), no more than that.
  void Keep(std::string_view input) {
    if (bytes_ != nullptr && input.data() + input.size() == bytes_.get() + end_) {
      begin_ = end_ - static_cast<std::uint32_t>(input.size());
      return;
    }
    Drop();
    capacity_ = static_cast<std::uint32_t>(input.size() + protocol::kInputSlackBytes);
    bytes_ = std::make_unique_for_overwrite<char[]>(capacity_);
    end_ = static_cast<std::uint32_t>(input.size());
    std::memcpy(bytes_.get(), input.data(), input.size());
    std::memset(bytes_.get() + end_, 0, protocol::kInputSlackBytes);
  }
  void Drop() {
    bytes_.reset();
    capacity_ = begin_ = end_ = 0;
  }

 private:
  std::unique_ptr<char[]> bytes_;
  std::uint32_t capacity_ = 0;
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;
};

}  // namespace larder::server
