// A client that does everything to its keys, and believes nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/key_format.h"
#include "tests/bench/random.h"
#include "tests/bench/socket.h"
#include "tests/bench/value_pattern.h"
#include "tests/torture/ledger.h"
#include "tests/torture/line_socket.h"

namespace larder::torture {

inline constexpr std::size_t kValueBytesMax = 1'000'000;
inline constexpr std::uint32_t kKeysPerClient = 400;

struct Tally {
  std::uint64_t requests = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t stores = 0;
  std::uint64_t too_large = 0;  // On purpose.
  std::uint64_t no_memory = 0;
  std::uint64_t vanished = 0;
  std::uint64_t faults = 0;
  std::string first_fault;
};

// Tormentor writes to keys of its own and reads everybody's: pipelines of random requests in text
// and meta commands, whose replies are checked byte by byte; now and then it vanishes in the middle
// of a value and comes back.
//
// Threads: one worker.
// Owns:    its connection.
class Tormentor {
 public:
  struct Shared {
    const bench::Address& address;
    const bench::ValuePattern& values;
    const Flushes& flushes;
    std::uint32_t clients = 0;
  };

  Tormentor(const Shared& shared, std::uint32_t number, std::uint64_t seed);

  // Torments until the deadline, or until the first fault that no connection survives.
  void Run(std::chrono::steady_clock::time_point deadline);
  const Tally& tally() const { return tally_; }

 private:
  // What to make of the replies to one request.
  using Reader = std::function<void()>;

  void Batch();
  void QueueRequest();
  void QueueGet();
  void QueueMetaGet();
  void QueueStore();
  void QueueMetaSet();
  void QueueTooLarge();
  void QueueDelete();
  void QueueTouch();
  void QueueCounter();
  void QueueAppend();
  void CompareAndSet();
  void Vanish();

  void Ask(std::string_view line, Reader reader);
  std::string MakeValue(std::uint64_t key, std::uint8_t version, std::size_t bytes) const;
  // A value line and its block; false at the end of the hits.
  bool ReadHit(std::uint64_t flushes_done);
  void CheckValue(std::uint64_t key, std::string_view value, std::uint64_t flushes_done);
  // What a write without memory leaves behind.
  enum class OnRefusal : std::uint8_t { kNothing, kOldValue };
  void ReadStored(std::uint64_t key, std::uint8_t version, std::size_t bytes, OnRefusal leaves);
  void Complain(std::string what);

  bool IsMine(std::uint64_t key) const { return key % shared_.clients == number_; }
  std::uint64_t OwnKey() {
    return std::uint64_t{random_.Below(kKeysPerClient)} * shared_.clients + number_;
  }
  std::uint64_t AnyKey() { return random_.Below(kKeysPerClient * shared_.clients); }
  std::string KeyText(std::uint64_t key) const;
  std::size_t RandomBytes();
  std::string RandomExptime();

  const Shared& shared_;
  const std::uint32_t number_;
  const bench::KeyFormat keys_;
  bench::Random random_;
  Ledger ledger_;
  std::optional<LineSocket> socket_;
  Tally tally_;

  std::string requests_;         // Of this batch, not sent yet.
  std::vector<Reader> readers_;  // Of its replies.
  std::uint64_t counter_ = 0;    // The last value of this client's counter.
  bool has_counter_ = false;
  std::uint32_t appended_ = 0;  // Blocks in this client's log, as far as asked for.
  bool is_log_whole_ = false;   // Every block was stored since it was begun.
};

}  // namespace larder::torture
