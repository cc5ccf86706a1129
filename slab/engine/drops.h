// Drops: the prefixes whose keys were dropped.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "slab/engine/drop_table.h"
#include "slab/engine/versions.h"
#include "slab/ids.h"
#include "slab/item/item.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// Drops keeps the prefixes that were dropped as long as an item may be left that was written
// before. However many items a drop kills, it takes the same time: they are removed later, like
// expired ones.
//
// An item is dropped if its number is below the cutoff of a prefix of its key. A prefix that is
// dropped covers those that begin with it and were dropped before, so they are forgotten at once.
// The others are forgotten when the whole index was searched for dropped items: see DropPurge.
//
// Threads:    CutoffOf and count: any thread, without a lock. All others: any thread, internally
//             locked; its mutex is locked before that of Versions, and after every other
//             lock.
// Owns:       the list and the table of prefixes. Versions must outlive it.
// Invariants: the table has every prefix of the list with its cutoff. Of two prefixes of which
//             one begins with the other, the longer one is the younger.
class Drops {
 public:
  // With room for up to `drops_max` prefixes; 0: none can be dropped. REQUIRES: the caller checks
  // ok() before use: it is false if the kernel refused the memory.
  Drops(Versions& versions, std::uint32_t drops_max, std::uint64_t seed)
      : versions_(versions), drops_max_(drops_max), table_(drops_max, seed) {}

  bool ok() const { return table_.ok(); }

  // Makes every item invalid whose key begins with the prefix and that was written before this
  // call. Returns false, and changes nothing, if there are too many drops already. REQUIRES: 1 to
  // kKeyBytesMax bytes.
  [[nodiscard]] bool Drop(std::string_view prefix) LARDER_EXCLUDES(mutex_);

  // False if no drop has killed the item. True: probably one has.
  [[gnu::always_inline]] bool MayCover(const Item& item) const noexcept {
    return table_.MayCover(item);
  }
  // The cutoff of a drop that has killed the item; 0: there is none.
  std::uint64_t CutoffOf(const Item& item) const noexcept { return table_.Covering(item); }

  // The number of prefixes in the list.
  std::uint32_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
  // Bytes of the list and of the table.
  std::uint64_t bytes() const noexcept LARDER_EXCLUDES(mutex_);

  // The cutoff of the last drop.
  std::uint64_t newest_cutoff() const noexcept LARDER_EXCLUDES(mutex_);
  // Forgets the drops whose cutoff is not above this. REQUIRES: they cover no item any more.
  void Forget(std::uint64_t cutoff) LARDER_EXCLUDES(mutex_);

 private:
  // The cutoffs by prefix, in the order of bytes, so that the prefixes that begin with one follow
  // it.
  using List = std::map<std::string, std::uint64_t, std::less<>>;

  // Removes an entry of the list, and returns the next one.
  List::iterator Erase(List::iterator at) LARDER_REQUIRES(mutex_);
  // Removes the prefixes of the list that begin with this one.
  void RemoveCovered(std::string_view prefix) LARDER_REQUIRES(mutex_);
  // Makes count() the size of the list.
  void NoteCount() LARDER_REQUIRES(mutex_);

  // Builds the table anew from the list.
  void BuildTable() LARDER_REQUIRES(mutex_);

  Versions& versions_;
  const std::uint32_t drops_max_;

  mutable Mutex mutex_;
  List list_ LARDER_GUARDED_BY(mutex_);
  // Bytes of the prefixes in the list.
  std::uint64_t prefix_bytes_ LARDER_GUARDED_BY(mutex_) = 0;
  std::uint64_t newest_cutoff_ LARDER_GUARDED_BY(mutex_) = 0;
  // Written under mutex_; read without it by CutoffOf.
  DropTable table_;
  // Relaxed: no other data depend on it.
  std::atomic<std::uint32_t> count_{0};
};

}  // namespace larder::slab
