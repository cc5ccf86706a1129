#include "server/watch/event_ring.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace larder::server {
namespace {

// An event whose text says its number.
struct TextEvent {
  explicit TextEvent(std::uint64_t number, std::size_t bytes = 0)
      : text(std::to_string(number) + std::string(bytes, 'x')) {
    event.number = number;
    event.event.text = text;
  }
  TextEvent(const TextEvent&) = delete;
  TextEvent& operator=(const TextEvent&) = delete;

  std::string text;
  NumberedEvent event;
};

struct Drained {
  std::vector<EventRing::Taken> events;
  std::string texts;

  std::string TextAt(std::size_t at) const {
    return texts.substr(events[at].text_at, events[at].text_bytes);
  }
};

TEST_CASE("a ring gives events back in their order, up to a number", "[watch][ring]") {
  EventRing ring(4096);
  for (std::uint64_t number = 1; number <= 5; ++number) {
    CHECK(ring.Push(TextEvent(number).event));
  }
  Drained drained;
  ring.Drain(4, drained.events, drained.texts);
  REQUIRE(drained.events.size() == 3);
  CHECK(drained.TextAt(0) == "1");
  CHECK(drained.TextAt(2) == "3");
  ring.Drain(4, drained.events, drained.texts);
  CHECK(drained.events.size() == 3);
  ring.Drain(100, drained.events, drained.texts);
  REQUIRE(drained.events.size() == 5);
  CHECK(drained.TextAt(4) == "5");
}

TEST_CASE("a ring that is full refuses, and takes more when it was drained", "[watch][ring]") {
  // The least size, which has room for one event with the longest text.
  EventRing ring(1);
  std::uint64_t number = 1;
  CHECK(ring.Push(TextEvent(number++, kEventTextBytesMax - 1).event));
  CHECK(ring.is_half_full());
  CHECK_FALSE(ring.Push(TextEvent(number, kEventTextBytesMax - 1).event));
  Drained drained;
  ring.Drain(100, drained.events, drained.texts);
  CHECK(drained.events.size() == 1);
  CHECK_FALSE(ring.is_half_full());
  CHECK(ring.Push(TextEvent(number, kEventTextBytesMax - 1).event));
}

// Lengths of all kinds meet every place of the ring's end.
TEST_CASE("what one thread pushes another drains, without loss or damage", "[watch][ring]") {
  constexpr std::uint64_t kEvents = 20'000;
  EventRing ring(8192);
  std::thread writer([&ring] {
    std::mt19937_64 random(1);
    for (std::uint64_t number = 1; number <= kEvents; ++number) {
      const TextEvent event(number, random() % 300);
      while (!ring.Push(event.event)) std::this_thread::yield();
    }
  });
  std::mt19937_64 random(1);
  std::uint64_t expected = 1;
  bool is_same = true;
  while (expected <= kEvents) {
    Drained drained;
    ring.Drain(kEvents + 1, drained.events, drained.texts);
    for (std::size_t i = 0; i < drained.events.size(); ++i, ++expected) {
      is_same = is_same && drained.events[i].event.number == expected &&
                drained.TextAt(i) == TextEvent(expected, random() % 300).text;
    }
    if (drained.events.empty()) std::this_thread::yield();
  }
  writer.join();
  CHECK(is_same);
}

}  // namespace
}  // namespace larder::server
