// WatchEvent: something that happened, as a thread notes it for the watchers.
#pragma once

#include <cstdint>
#include <string_view>

#include "server/watch/stream.h"
#include "slab/ids.h"

namespace larder::server {

// The form of an event's line.
enum class EventKind : std::uint8_t {
  kItemGet,
  kItemStore,
  kDeleted,
  kEviction,
  kInvalidated,
  kMiss,
  kSlow,
  // The event has no key: `text` is the line but for its beginning.
  kText,
};

// The most bytes of WatchEvent::text.
inline constexpr std::size_t kEventTextBytesMax = 1024;

// WatchEvent has the fields of all kinds of lines; each kind uses some of them.
//
// Threads: a value. The views `status` and `command` refer to constants of the program.
struct WatchEvent {
  WatchStream stream = WatchStream::kFetchers;
  EventKind kind = EventKind::kText;
  // kEviction: a client had read the item.
  bool was_fetched = false;
  slab::ClassId class_id = 0;
  // The descriptor of the client; -1: no client has caused it.
  int client = -1;
  std::uint32_t value_bytes = 0;
  // kEviction: seconds since the last use of the item.
  std::uint32_t idle_s = 0;
  // kItemStore: seconds that the item lives, 0: for ever, -1: it has expired already. kEviction:
  // seconds that it had left, -1: for ever.
  std::int64_t ttl_s = 0;
  // kSlow: how long the command took.
  std::uint64_t duration_us = 0;
  // kItemGet and kItemStore: what became of it. kInvalidated and kMiss: the cause.
  std::string_view status = {};
  // kItemStore, kDeleted and kSlow: the command.
  std::string_view command = {};
  // The key, or for kText up to kEventTextBytesMax bytes of text.
  std::string_view text = {};

  bool has_key() const { return kind != EventKind::kText; }
};

// An event with its place in the order of all events.
struct NumberedEvent {
  WatchEvent event = {};
  // Unique, and greater than those of all events before.
  std::uint64_t number = 0;
  // Unix time in microseconds.
  std::uint64_t time_us = 0;
};

}  // namespace larder::server
