// The format of the bytes that a snapshot consists of.
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
// The records follow each other without gaps, in the byte order of the machine.
//
// Threads:    plain values.

// What holds for the whole cache. The first fields must fit the cache that restores the state.
struct SnapshotHead {
  // Sizes and the item limit of the process that saved the state; see Restorer::CheckHead.
  std::uint32_t page_bytes;
  std::uint32_t item_header_bytes;
  std::uint32_t unit_bytes;
  std::uint32_t item_bytes_max;
  // Records of each kind that follow.
  std::uint32_t class_count;
  // Pages that were ever handed out; all others are untouched.
  std::uint32_t page_count;
  // When the state was saved, by the wall clock: Unix time.
  std::uint32_t stopped_at_s;
  // SavedMoment::flush_due, by the clock of the next process.
  Expiry flush_due;
  // Versions::unused() and flush_mark().
  std::uint64_t cas_unused;
  std::uint64_t flush_cas;
  // Linked items, and the sum of SnapshotDigest over all chunks in use.
  std::uint64_t items;
  std::uint64_t digest;
};

// A class: its chunk size, the ends and lengths of its queues, and the state of its clock. See
// EvictionQueue::State.
struct SnapshotClass {
  std::uint32_t chunk_bytes;
  ItemRef probation_head;
  ItemRef probation_tail;
  ItemRef main_head;
  ItemRef main_tail;
  std::uint32_t tick;
  std::uint32_t young_ticks;
  // Always 0.
  std::uint32_t reserved;
  std::uint64_t probation_count;
  std::uint64_t main_count;
  std::uint64_t arrivals_to_tick;
  // The bits of a double.
  std::uint64_t probation_share_bits;

  // The record of a class, and the state of its queue as the record has it.
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

// A page: its class, and how many of its chunks were handed out once and are in use. See Page.
struct SnapshotPage {
  // 0: no class has the page.
  std::uint32_t class_id;
  std::uint32_t carved;
  std::uint32_t used;
};

// Reads a record from the front of `bytes` and removes it from there. Returns a copy, because the
// bytes are not aligned. REQUIRES: `bytes` is long enough.
template <class Record>
Record ReadRecord(std::span<const std::byte>& bytes) {
  static_assert(std::is_trivially_copyable_v<Record>);
  LARDER_CHECK(bytes.size() >= sizeof(Record));
  Record record;
  std::memcpy(&record, bytes.data(), sizeof record);
  bytes = bytes.subspan(sizeof record);
  return record;
}

// Appends a record. The record has no padding, so all bytes are defined.
template <class Record>
void AppendRecord(std::vector<std::byte>& bytes, const Record& record) {
  static_assert(std::has_unique_object_representations_v<Record>);
  const auto view = std::as_bytes(std::span(&record, 1));
  bytes.insert(bytes.end(), view.begin(), view.end());
}

// The digest of what a restart relies on in a chunk that is in use: everything in front of the
// value. The value, and a CAS behind it that a client chose, are not covered. Reads no more than
// `chunk_bytes` bytes.
std::uint64_t SnapshotDigest(ItemRef ref, const Item& item, std::uint32_t chunk_bytes);

}  // namespace larder::slab
