// EventRing: a queue of events from one thread to another.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/watch/event.h"

namespace larder::server {

// EventRing stores events in a ring of bytes: each a Head, and the bytes of its text behind it. An
// event that does not fit is refused, so that the writer never waits.
//
//   |free|Head text|Head text|...|free|     tail_ <= head_ <= tail_ + capacity, both only grow
//
// Threads:    Push: one thread; Drain: one other thread. They never wait.
// Owns:       the bytes. The system provides them when they are first written.
// Invariants: the bytes from tail_ to head_ are whole events with growing numbers.
class EventRing {
 public:
  // `bytes` is rounded up to a power of two, and to what the largest event needs.
  explicit EventRing(std::size_t bytes);
  EventRing(const EventRing&) = delete;
  EventRing& operator=(const EventRing&) = delete;

  // Appends an event. Returns false if there is no room. REQUIRES: its text is no longer than
  // kEventTextBytesMax, and its number greater than that of every event before.
  [[nodiscard]] bool Push(const NumberedEvent& event) noexcept;
  // Whether more than half of the room is used. For the thread that pushes.
  bool is_half_full() const noexcept;

  // Takes out the events with numbers below `end` and appends them to `events`; their texts are
  // appended to `texts`, and the views in `events` are not valid: TextAt says where they are.
  struct Taken {
    NumberedEvent event;
    // Where the text is in `texts`.
    std::size_t text_at = 0;
    std::size_t text_bytes = 0;
  };
  void Drain(std::uint64_t end, std::vector<Taken>& events, std::string& texts);

 private:
  // What lies in front of a text. The view of the text is not valid here.
  struct Head {
    NumberedEvent event;
    std::size_t text_bytes = 0;
  };
  // Copy bytes at a position, which may wrap around.
  void Write(std::uint64_t at, const void* from, std::size_t bytes) noexcept;
  void Read(std::uint64_t at, void* to, std::size_t bytes) const noexcept;

  const std::size_t capacity_;
  const std::unique_ptr<char[]> bytes_;
  // The end of what was pushed: written by Push with release, read by Drain with acquire.
  alignas(64) std::atomic<std::uint64_t> head_{0};
  // The end of what was drained: written by Drain with release, read by Push with acquire.
  alignas(64) std::atomic<std::uint64_t> tail_{0};
};

}  // namespace larder::server
