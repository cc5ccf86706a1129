// Bytes on their way to or from a socket.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace larder::bench {

// ByteQueue is a contiguous queue of bytes: written at the back, read at the front. It grows to
// the largest backlog it has seen and stays there, which a benchmark can afford.
//
// Threads: one worker.
class ByteQueue {
 public:
  // Room for `bytes` behind the last byte; valid, as all views are, until the next call of this.
  char* Reserve(std::size_t bytes) {
    if (capacity_ - end_ < bytes) MakeRoom(bytes);
    return &bytes_[end_];
  }
  // REQUIRES: `bytes` were reserved and have been written.
  void Commit(std::size_t bytes) { end_ += bytes; }

  void Append(std::string_view text) {
    std::memcpy(Reserve(text.size()), text.data(), text.size());
    Commit(text.size());
  }

  void Consume(std::size_t bytes) {
    begin_ += bytes;
    if (begin_ == end_) begin_ = end_ = 0;
  }

  std::string_view unread() const { return {bytes_.get() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  std::size_t room() const { return capacity_ - end_; }

 private:
  void MakeRoom(std::size_t bytes) {
    const std::size_t used = end_ - begin_;
    if (capacity_ < 2 * (used + bytes)) {
      capacity_ = 2 * (used + bytes);
      std::unique_ptr<char[]> larger(new char[capacity_]);
      if (used != 0) std::memcpy(larger.get(), &bytes_[begin_], used);
      bytes_ = std::move(larger);
    } else {
      std::memmove(&bytes_[0], &bytes_[begin_], used);
    }
    begin_ = 0;
    end_ = used;
  }

  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace larder::bench
