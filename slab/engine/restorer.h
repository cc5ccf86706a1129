// How an empty cache becomes what a snapshot says it was.
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
// addresses, checks it, and enters what lies in it.
//
// Threads: one, and no other may use the cache.
// Owns:    what it has read of the state.
class Restorer {
 public:
  explicit Restorer(Engine& engine) : engine_(engine) {}

  // Once.
  Result<SavedMoment, std::string> Restore(std::span<const std::byte> state,
                                           const CacheOptions& options,
                                           const std::function<void(const std::string&)>& report);

 private:
  // Items whose buckets are fetched while further ones are read.
  static constexpr std::size_t kBatch = 32;
  struct Pending {
    std::uint64_t hash;
    ItemRef ref;
  };

  // Each: the reason why not, or nothing.
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

  void NoteExpired(ItemRef ref, const Item& item, std::uint32_t now_s);
  // At the stop, or since.
  bool HasExpired(Expiry expiry, std::uint32_t now_s) const;
  void AddToIndex(std::uint64_t hash, ItemRef ref);
  void FlushBatch();
  std::uint32_t ChunkBytes(std::uint32_t id) const {
    return engine_.classes.ladder().chunk_bytes(static_cast<ClassId>(id));
  }
  // A chunk that was handed out once.
  bool IsChunk(ItemRef ref) const;

  Engine& engine_;
  std::uint32_t lane_number_ = 0;
  std::uint32_t stopped_at_s_ = 0;
  std::vector<SnapshotClass> class_records_;  // By ClassId, [0] unused.
  std::vector<SnapshotPage> page_records_;
  std::vector<PageIndex> free_pages_;
  std::optional<LinkCheck> links_;  // Once the class records are read.
  std::uint64_t digest_ = 0;
  std::uint64_t items_ = 0;
  std::uint64_t continuations_ = 0;          // Met in pages,
  std::uint64_t chained_continuations_ = 0;  // and in chains.
  std::array<Pending, kBatch> batch_{};
  std::size_t batched_ = 0;
};

}  // namespace larder::slab
