// The bytes that a snapshot consists of.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "slab/check.h"
#include "slab/eviction/eviction_queue.h"
#include "slab/ids.h"
#include "slab/item/expiry.h"
#include "slab/item/item.h"

namespace larder::slab {

//   |SnapshotHead|SnapshotClass per class|SnapshotPage per page|
//
// All three, in the byte order of the machine. Threads: plain values.

struct SnapshotHead {
  std::uint32_t page_bytes;
  std::uint32_t item_header_bytes;
  std::uint32_t unit_bytes;
  std::uint32_t item_bytes_max;
  std::uint32_t class_count;
  std::uint32_t page_count;  // Pages that were ever handed out: all others are untouched.
  std::uint32_t stopped_at_s;
  Expiry flush_due;
  std::uint64_t cas_unused;
  std::uint64_t flush_cas;
  std::uint64_t items;
  std::uint64_t digest;
};

struct SnapshotClass {
  std::uint32_t chunk_bytes;
  ItemRef probation_head;
  ItemRef probation_tail;
  ItemRef main_head;
  ItemRef main_tail;
  std::uint32_t tick;
  std::uint32_t young_ticks;
  std::uint32_t reserved;
  std::uint64_t probation_count;
  std::uint64_t main_count;
  std::uint64_t arrivals_to_tick;
  std::uint64_t probation_share_bits;

  static SnapshotClass Of(std::uint32_t chunk_bytes, const EvictionQueue::State& queue) {
    return {.chunk_bytes = chunk_bytes,
            .probation_head = queue.probation.head,
            .probation_tail = queue.probation.tail,
            .main_head = queue.main.head,
            .main_tail = queue.main.tail,
            .tick = queue.clock.tick,
            .young_ticks = queue.clock.young_ticks,
            .reserved = 0,
            .probation_count = queue.probation.count,
            .main_count = queue.main.count,
            .arrivals_to_tick = queue.clock.arrivals_to_tick,
            .probation_share_bits = std::bit_cast<std::uint64_t>(queue.probation_share)};
  }
  EvictionQueue::State queue() const {
    return {
        .probation = {.head = probation_head, .tail = probation_tail, .count = probation_count},
        .main = {.head = main_head, .tail = main_tail, .count = main_count},
        .probation_share = std::bit_cast<double>(probation_share_bits),
        .clock = {.tick = tick, .young_ticks = young_ticks, .arrivals_to_tick = arrivals_to_tick}};
  }
};

struct SnapshotPage {
  std::uint32_t class_id;  // 0: in no class.
  std::uint32_t carved;
  std::uint32_t used;
};

// A copy: what lies in bytes is not aligned.
// REQUIRES: `bytes` has that many. Takes them off.
template <class Record>
Record ReadRecord(std::span<const std::byte>& bytes) {
  static_assert(std::is_trivially_copyable_v<Record>);
  LARDER_CHECK(bytes.size() >= sizeof(Record));
  Record record;
  std::memcpy(&record, bytes.data(), sizeof record);
  bytes = bytes.subspan(sizeof record);
  return record;
}

template <class Record>
void AppendRecord(std::vector<std::byte>& bytes, const Record& record) {
  static_assert(std::has_unique_object_representations_v<Record>);
  const auto view = std::as_bytes(std::span(&record, 1));
  bytes.insert(bytes.end(), view.begin(), view.end());
}

// What a restart trusts of a chunk: all but its value.
std::uint64_t SnapshotDigest(ItemRef ref, const Item& item, std::uint32_t chunk_bytes);

}  // namespace larder::slab
