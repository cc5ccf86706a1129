// A connection of the load generator: requests out, replies matched to them.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "tests/bench/client_socket.h"
#include "tests/bench/key_format.h"
#include "tests/bench/options.h"
#include "tests/bench/reply.h"
#include "tests/bench/tally.h"
#include "tests/bench/value_pattern.h"

namespace larder::bench {

// What all connections share. Threads: immutable.
struct Workbench {
  const LoadOptions& options;
  const KeyFormat& keys;
  const ValuePattern& values;
};

// LoadConnection writes requests, remembers them until they are answered, and counts the answers.
// Queue*() only writes to memory; the caller flushes the socket once for many requests.
//
// Threads: one worker.
class LoadConnection {
 public:
  LoadConnection(const Workbench& bench, UniqueFd fd);

  // Empty, or what went wrong.
  std::string StartTls() { return socket_.StartTls(); }

  // `intended_ns` is the time from which the request's latency counts.
  void QueueGet(std::span<const std::uint32_t> keys, std::int64_t intended_ns);
  void QueueSet(std::uint32_t key, std::int64_t intended_ns);

  [[nodiscard]] IoStatus Flush() { return socket_.Flush(); }

  // Receives once and counts every request answered by that, if it was to be sent at
  // count_from_ns or later.
  [[nodiscard]] IoStatus Receive(std::int64_t count_from_ns, Tally& tally);

  // Keys that missed since the last call, if the options ask to set these.
  std::vector<std::uint32_t> TakeMissed();

  std::size_t outstanding() const { return outstanding_.size(); }
  std::uint64_t answered() const { return answered_; }  // Requests, since the beginning.
  bool has_missed() const { return !missed_.empty(); }
  bool wants_to_send() const { return socket_.wants_to_send(); }
  int fd() const { return socket_.fd(); }

 private:
  struct Outstanding {
    std::int64_t intended_ns = 0;
    std::uint32_t keys_left = 0;  // Of a get: those not known to have hit or missed yet.
    std::uint32_t key_count = 0;
    std::uint32_t hits = 0;
    bool is_set = false;
    bool has_failed = false;
  };

  void WriteTextGet(std::span<const std::uint32_t> keys);
  void WriteBinaryGet(std::span<const std::uint32_t> keys);
  void WriteTextSet(std::uint32_t key);
  void WriteBinarySet(std::uint32_t key);
  std::size_t ValueBytesOf(std::uint32_t key) const;
  void CountHit(const Reply& reply, Outstanding& request, Tally& tally);
  void Finish(std::int64_t now_ns, std::int64_t count_from_ns, Tally& tally);
  void DropKey(Outstanding& request);

  const Workbench& bench_;
  const bool tracks_keys_;  // Only --verify and --miss-set need to know which keys were asked for.
  ClientSocket socket_;
  std::deque<Outstanding> outstanding_;
  std::deque<std::uint32_t> keys_asked_;  // Of all outstanding gets, in order.
  std::vector<std::uint32_t> missed_;
  std::uint64_t answered_ = 0;
  std::uint8_t version_ = 0;  // Of the values set: consecutive ones differ.
};

}  // namespace larder::bench
