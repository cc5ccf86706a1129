// A cache-aside client that follows a trace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tests/bench/client_socket.h"
#include "tests/bench/key_format.h"
#include "tests/bench/reply.h"
#include "tests/bench/trace_reader.h"
#include "tests/bench/value_pattern.h"

namespace larder::bench {

struct ReplayTally {
  std::uint64_t requests = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t wrong_values = 0;  // Hits with other bytes than were set for this key.
  std::uint64_t refused_sets = 0;  // Not STORED: too large, or no memory.
  std::string first_refusal;       // The server's words.
  std::int64_t elapsed_ns = 0;
};

// ReplayClient asks for the keys of a trace, and sets those that missed.
//
// It works in turns. A turn sends the sets that the last turn's misses call for, then one get of
// all the keys that are next in the trace: a window of it, but each key once. A key's second
// request waits for the next turn, behind the set that the first may cause, so what a key sees is
// exactly what a client without any pipeline would see; requests for different keys change places
// by less than a window.
//
//   window   7 3 3 9 7 | ...     turn 1: get 7 3 9        misses: 3
//                                turn 2: set 3, get 3 7 ...
//
// Threads: one worker.
// Owns:    its connection.
class ReplayClient {
 public:
  struct Shape {
    std::uint32_t window = 32;
    std::size_t turn_bytes_max = 1 << 20;  // Values that a turn may ask for, but at least one.
  };

  ReplayClient(UniqueFd fd, const KeyFormat& keys, const ValuePattern& values, const Shape& shape);

  // Replays all records and returns when everything is answered. An empty text, or why it stopped;
  // the client is of no use then. REQUIRES: all keys fit the key format.
  [[nodiscard]] std::string Replay(std::span<const TraceRecord> records);

  const ReplayTally& tally() const { return tally_; }

 private:
  struct Pending {
    std::size_t index = 0;  // In the records being replayed.
    TraceRecord record;
  };

  void Admit(std::span<const TraceRecord> records);
  void ChooseKeys();
  bool IsAsked(std::uint64_t key) const;
  void QueueSet(const TraceRecord& record);
  void QueueGet();
  [[nodiscard]] std::string Exchange();
  [[nodiscard]] std::string TakeReplies();
  void TakeHit(const Reply& reply);

  const KeyFormat& keys_;
  const ValuePattern& values_;
  const Shape shape_;
  ClientSocket socket_;
  ReplayTally tally_;

  std::size_t next_index_ = 0;       // The first record that is not in the window yet.
  std::vector<Pending> window_;      // Not sent yet, in the trace's order.
  std::vector<TraceRecord> missed_;  // To be set in the next turn.
  std::vector<TraceRecord> asked_;   // Keys of this turn's get.
  std::size_t asked_next_ = 0;       // Those before it have hit or missed.
  std::size_t sets_unanswered_ = 0;  // Of this turn.
  bool get_unanswered_ = false;
  std::uint8_t version_ = 0;
};

}  // namespace larder::bench
