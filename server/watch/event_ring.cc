#include "server/watch/event_ring.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "slab/check.h"

namespace larder::server {

EventRing::EventRing(std::size_t bytes)
    : capacity_(std::bit_ceil(std::max(bytes, sizeof(Head) + kEventTextBytesMax))),
      // Not initialised, so that a ring that is never used occupies no memory.
      bytes_(new char[capacity_]) {
  static_assert(std::is_trivially_copyable_v<Head>);
}

void EventRing::Write(std::uint64_t at, const void* from, std::size_t bytes) noexcept {
  const std::size_t begin = at & (capacity_ - 1);
  const std::size_t first = std::min(bytes, capacity_ - begin);
  std::memcpy(&bytes_[begin], from, first);
  std::memcpy(&bytes_[0], static_cast<const char*>(from) + first, bytes - first);
}

void EventRing::Read(std::uint64_t at, void* to, std::size_t bytes) const noexcept {
  const std::size_t begin = at & (capacity_ - 1);
  const std::size_t first = std::min(bytes, capacity_ - begin);
  std::memcpy(to, &bytes_[begin], first);
  std::memcpy(static_cast<char*>(to) + first, &bytes_[0], bytes - first);
}

bool EventRing::Push(const NumberedEvent& event) noexcept {
  const std::string_view text = event.event.text;
  LARDER_ASSERT(text.size() <= kEventTextBytesMax);
  const std::uint64_t head = head_.load(std::memory_order_relaxed);
  const std::uint64_t used = head - tail_.load(std::memory_order_acquire);
  LARDER_ASSERT(used <= capacity_);
  const Head described{.event = event, .text_bytes = text.size()};
  if (capacity_ - used < sizeof described + text.size()) return false;
  Write(head, &described, sizeof described);
  if (!text.empty()) Write(head + sizeof described, text.data(), text.size());
  head_.store(head + sizeof described + text.size(), std::memory_order_release);
  return true;
}

bool EventRing::is_half_full() const noexcept {
  return head_.load(std::memory_order_relaxed) - tail_.load(std::memory_order_relaxed) >
         capacity_ / 2;
}

void EventRing::Drain(std::uint64_t end, std::vector<Taken>& events, std::string& texts) {
  const std::uint64_t head = head_.load(std::memory_order_acquire);
  std::uint64_t tail = tail_.load(std::memory_order_relaxed);
  while (tail != head) {
    Head described;
    Read(tail, &described, sizeof described);
    if (described.event.number >= end) break;
    const std::size_t at = texts.size();
    texts.resize(at + described.text_bytes);
    Read(tail + sizeof described, texts.data() + at, described.text_bytes);
    events.push_back({.event = described.event, .text_at = at, .text_bytes = described.text_bytes});
    tail += sizeof described + described.text_bytes;
  }
  LARDER_ASSERT(tail <= head);
  tail_.store(tail, std::memory_order_release);
}

}  // namespace larder::server
