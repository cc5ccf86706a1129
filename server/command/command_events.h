// The events of a command, for the clients that watch.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "server/command/outcome.h"
#include "server/shared.h"
#include "server/watch/event_source.h"
#include "slab/item/hash.h"
#include "slab/lane.h"

namespace larder::server {

// Whether a command replaces, changes or removes an item.
enum class IsWrite : std::uint8_t { kNo, kYes };

// CommandEvents turns outcomes into events. memcached has a line for every look-up, also for that
// which is a part of another command, so a command may leave several.
//
//   command                                          events
//   a retrieval, touch, gat, me                      item_get
//   a store                                          item_get of the old item, item_store
//   a store that is refused for lack of room         item_store, item_get
//   incr, decr                                       item_get
//   a number that is created                         two item_get, item_store
//   delete                                           item_get, deleted
//   md with I; with x                                item_get; two item_get, item_store, deleted
//
// What is told of the old item is found by a look-up in front of the command: another client may
// have changed it in between.
//
// Threads: one worker.
// Owns:    what it remembers of the command that is executed.
class CommandEvents {
 public:
  // `lane` is that of the worker.
  CommandEvents(Protocol protocol, Shared& shared, slab::Lane& lane);

  // Whether any client watches what commands do.
  bool IsWanted() const { return source_.WantsRequests(); }
  // Begins a batch of commands of one client; -1: the client is not known.
  void Begin(int client);
  // Begins a command, and looks up the item that it is about to change.
  void Before(const slab::HashedKey& key, IsWrite is_write);
  // Adds the events of a command. An outcome of kOther leaves none, unless the command was slow.
  void After(std::string_view key, const Outcome& outcome);

 private:
  using Clock = std::chrono::steady_clock;

  // An item in front of a command.
  struct OldItem {
    slab::Presence presence = slab::Presence::kMiss;
    slab::ClassId class_id = 0;
    std::uint32_t value_bytes = 0;
    // As WatchEvent::ttl_s of a store.
    std::int64_t ttl_s = 0;
  };

  // Each adds one event, or none if nobody watches its stream.
  void AddGet(std::string_view key, const OldItem& found);
  void AddStore(std::string_view key, const Outcome& outcome);
  void AddEmptied(std::string_view key);
  void AddDeleted(std::string_view key, slab::ClassId class_id);
  void AddMiss(std::string_view key, const Outcome& outcome);
  void AddInvalidated(std::string_view key, std::string_view cause);
  void AddSlow(std::string_view key, const Outcome& outcome);
  // The events of a look-up, and of a store, with what belongs to it.
  void AfterGet(std::string_view key, const Outcome& outcome);
  void AfterStore(std::string_view key, const Outcome& outcome);

  // The time to live that a line shows.
  std::int64_t TtlOf(slab::Expiry expiry) const;

  const Protocol protocol_;
  Shared& shared_;
  slab::Lane& lane_;
  EventSource& source_;
  int client_ = -1;
  OldItem old_;
  // When the command began; only while slow commands are watched.
  Clock::time_point begun_;
};

}  // namespace larder::server
