// Replies on their way to sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "slab/cache.h"
#include "slab/sync/counter.h"

namespace larder::server {

// A value that is sent from where it lies in the cache. Copying 100 bytes takes 5-10 ns, one more
// element for sendmsg 40-90 ns: only values of kPinBytesMin and more are worth a pin.
struct PinnedValue {
  std::size_t at = 0;  // The bytes of the stream before this offset come first.
  slab::ItemHandle item;
  slab::ValueCursor value;
};
inline constexpr std::size_t kPinBytesMin = 8192;

// Output is the area that a worker appends the replies of one turn to, connection after connection.
//
//   area   |replies of connection 1|replies of 2 ... |
//   pins            ^ value              ^ value          inserted at their offsets
//
// Threads: one worker.
// Owns:    the area, and the pins until they are sent or taken.
class Output {
 public:
  Output() { Grow(0); }

  // Room for `bytes` more, to be written from the returned address on and then committed. Offsets
  // stay valid, addresses do not.
  char* Room(std::size_t bytes) {
    if (capacity_ - size_ < bytes) [[unlikely]]
      Grow(bytes);
    return area_.get() + size_;
  }
  void Commit(const char* end) { size_ = static_cast<std::size_t>(end - area_.get()); }

  void Append(std::string_view text) {
    if (text.empty()) return;  // It may point nowhere.
    char* out = Room(text.size());
    std::memcpy(out, text.data(), text.size());
    Commit(out + text.size());
  }
  void AppendPinned(slab::ItemHandle item, slab::ValueCursor value, std::size_t value_bytes) {
    pins_.push_back({.at = size_, .item = std::move(item), .value = value});
    AddWork(value_bytes);
  }

  std::size_t size() const { return size_; }
  // What the replies cost, in bytes: their own, pinned values included, and what AddWork() was told
  // of work that does not show in them. Some 10 KB take a microsecond.
  std::size_t work_bytes() const { return size_ + further_work_bytes_; }
  void AddWork(std::size_t bytes) { further_work_bytes_ += bytes; }
  const char* data() const { return area_.get(); }
  std::vector<PinnedValue>& pins() { return pins_; }

  // Everything was sent or taken. Gives an area that one large reply needed back.
  void Clear();
  // What was ever used of the area is counted here from now on.
  void CountIn(slab::Counter& touched_bytes) { touched_counter_ = &touched_bytes; }

 private:
  void Grow(std::size_t bytes);
  [[gnu::cold]] void SetTouched(std::size_t bytes);

  std::unique_ptr<char[]> area_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::size_t further_work_bytes_ = 0;
  std::size_t touched_bytes_ = 0;  // Of the area, which is taken whole and never cleared.
  slab::Counter* touched_counter_ = nullptr;
  std::vector<PinnedValue> pins_;
};

// A stretch of an output.
struct OutputSlice {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t pins_begin = 0;
  std::size_t pins_end = 0;

  bool is_empty() const { return begin == end && pins_begin == pins_end; }
};

}  // namespace larder::server
