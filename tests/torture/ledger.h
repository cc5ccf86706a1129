// What the owner of keys knows about them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "tests/bench/value_pattern.h"

namespace larder::torture {

// How many times everything was flushed.
//
// Threads: atomic. One thread flushes: it counts `begun` before it asks, `done` when it was
// answered.
struct Flushes {
  std::atomic<std::uint64_t> begun{0};
  std::atomic<std::uint64_t> done{0};
};

// Ledger keeps the last write to each key of one owner, the only one to write to it. A key may be
// missing at any time, for the cache evicts; but what is there must be the last value written, and
// nothing may be there that was deleted, refused or flushed since.
//
// Threads: one worker.
class Ledger {
 public:
  struct Entry {
    std::size_t value_bytes = 0;
    std::uint8_t version = 0;
    bool is_present = false;          // If it was not evicted.
    std::uint64_t flushes_begun = 0;  // When the write was answered.
  };

  explicit Ledger(const Flushes& flushes) : flushes_(flushes) {}

  // The version for the next write to the key.
  std::uint8_t NextVersion(std::uint64_t key) {
    return static_cast<std::uint8_t>(entries_[key].version + 1);
  }
  void Wrote(std::uint64_t key, std::uint8_t version, std::size_t value_bytes) {
    entries_[key] = {.value_bytes = value_bytes,
                     .version = version,
                     .is_present = true,
                     .flushes_begun = flushes_.begun.load()};
  }
  void Removed(std::uint64_t key) { entries_[key].is_present = false; }

  // Why a value cannot have been there, asked for when `flushes_done` flushes were over; nullptr if
  // it can.
  const char* Fault(std::uint64_t key, std::string_view value, std::uint64_t flushes_done) const {
    const auto found = entries_.find(key);
    if (found == entries_.end() || !found->second.is_present) return "a value that was removed";
    const Entry& entry = found->second;
    if (flushes_done > entry.flushes_begun) return "a value that was flushed";
    if (value.size() != entry.value_bytes) return "a value of another length";
    if (!value.empty() && static_cast<std::uint8_t>(value[0]) != entry.version) {
      return "an older value";
    }
    return nullptr;
  }

 private:
  const Flushes& flushes_;
  std::unordered_map<std::uint64_t, Entry> entries_;
};

}  // namespace larder::torture
