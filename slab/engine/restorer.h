// Restorer: fills an empty cache with the items that a snapshot describes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "slab/engine/engine.h"
#include "slab/engine/link_check.h"
#include "slab/engine/snapshot.h"
#include "slab/engine/snapshot_format.h"
#include "slab/ids.h"
#include "slab/item/expiry.h"
#include "slab/item/item.h"
#include "slab/lane.h"
#include "slab/result.h"

namespace larder::slab {

// Restorer does one CacheSnapshot::Restore: it reads every chunk of the arena once, in the order of
// addresses, checks it, and enters what is in it.
//
// Threads:    one thread, and no other thread may use the cache.
// Owns:       what it has read of the state.
// Invariants: nothing in the arena is changed except links between free chunks.
class Restorer {
 public:
  explicit Restorer(Engine& engine) : engine_(engine) {}

  // See CacheSnapshot::Restore. REQUIRES: called once.
  Result<SavedMoment, std::string> Restore(std::span<const std::byte> state,
                                           const CacheOptions& options,
                                           const std::function<void(const std::string&)>& report);

 private:
  // The number of items whose buckets are prefetched while further chunks are read.
  static constexpr std::size_t kBatch = 32;
  // An item that is to be entered in the index.
  struct Pending {
    std::uint64_t hash;
    ItemRef ref;
  };

  // These functions return what is wrong, or an empty string.

  std::string CheckHead(const SnapshotHead& head, std::size_t state_bytes,
                        std::uint32_t now_s) const;
  std::string TakeRecords(const SnapshotHead& head, std::span<const std::byte> state);
  std::string CheckClasses() const;
  std::string TakePages(const SnapshotHead& head);
  std::string ScanPages(const SnapshotHead& head, const CacheOptions& options, Lane& lane,
                        const std::function<void(const std::string&)>& report);
  std::string ScanPage(PageIndex page, Lane& lane);
  std::string CheckItem(ItemRef ref, const Item& item, std::uint32_t chunk_bytes);
  std::string CheckChain(ItemRef ref, const Item& item);
  std::string CheckWhole(const SnapshotHead& head) const;

  // Notes an item that has expired although its expiry does not say so.
  void NoteExpired(ItemRef ref, const Item& item, std::uint32_t now_s);
  // True if the moment had come when the state was saved, or has come since.
  bool HasExpired(Expiry expiry, std::uint32_t now_s) const;
  // Enters an item in the index, with the next batch.
  void AddToIndex(std::uint64_t hash, ItemRef ref);
  void FlushBatch();
  std::uint32_t ChunkBytes(std::uint32_t id) const {
    return engine_.classes.ladder().chunk_bytes(static_cast<ClassId>(id));
  }
  // True if the reference names a chunk that was handed out once.
  bool IsChunk(ItemRef ref) const;

  Engine& engine_;
  // The number of the lane that counts the restored items.
  std::uint32_t lane_number_ = 0;
  // When the state was saved: Unix time.
  std::uint32_t stopped_at_s_ = 0;
  // By ClassId; [0] is unused.
  std::vector<SnapshotClass> class_records_;
  std::vector<SnapshotPage> page_records_;
  // Pages that no class has.
  std::vector<PageIndex> free_pages_;
  // Set when the class records are read.
  std::optional<LinkCheck> links_;
  // Sums over all chunks: see SnapshotHead.
  std::uint64_t digest_ = 0;
  std::uint64_t items_ = 0;
  // Continuations that were found in pages.
  std::uint64_t continuations_ = 0;
  // Continuations that were found in the chains of items. Must be as many.
  std::uint64_t chained_continuations_ = 0;
  // The items of the present batch.
  std::array<Pending, kBatch> batch_{};
  std::size_t batched_ = 0;
};

}  // namespace larder::slab
