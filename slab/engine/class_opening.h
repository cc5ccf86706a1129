// ClassOpening: when a slab class of a small memory gets its first page.
#pragma once

#include <cstdint>
#include <vector>

#include "slab/classes/slab_classes.h"
#include "slab/ids.h"
#include "slab/sync/annotations.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// ClassOpening keeps a small memory from being cut into more classes than it has pages for. A class
// without a page uses the chunks of another one, its substitute: the next larger class that has a
// page, if its chunks are at most kSizeFactorMax times as large. The class opens, it asks for a
// page of its own, when it has stored more items there than a page of its own has chunks, and fewer
// than the items of the substitute were evicted meanwhile.
//
// In a memory of more than kSmallPagesMax pages every class opens with its first item. So it does
// without eviction, where a page stays with its class.
//
// Threads:    internally locked. Callers have no class locked, but for IsInForce, whose caller may
//             have one; they may have a bucket locked.
// Owns:       the counts of what classes without a page have stored.
// Invariants: a substitute has larger chunks than the class that uses it. So no item is larger than
//             its chunk, and a class without a substitute opens at once.
class ClassOpening {
 public:
  // 14 MiB; with the default growth factor there are some 75 classes. In larger memories traces
  // miss more with the rule: see slab/README.md, Page moves.
  static constexpr PageIndex kSmallPagesMax = 56;
  // More would waste more than half of a chunk.
  static constexpr std::uint32_t kSizeFactorMax = 2;

  // `evicts`: see CacheOptions::evict. REQUIRES: classes outlives this object.
  ClassOpening(const SlabClasses& classes, bool evicts)
      : classes_(classes), evicts_(evicts), closed_(classes.count() + 1) {}

  // True if a class without a page takes none from the arena by itself. The answer changes with the
  // limit of the arena.
  bool IsInForce() const { return evicts_ && classes_.arena().limit_pages() <= kSmallPagesMax; }
  // True if class `c` has no page, and has a substitute.
  bool HasSubstitute(SlabClass& c) const LARDER_EXCLUDES(c.mutex()) { return Find(c).id != 0; }
  // Counts an item that class `c` stores, and returns the substitute whose chunk the item is to
  // use. Returns nullptr if class `c` has a page, has no substitute, or is to open now. The
  // substitute may lose its page before the caller locks it.
  SlabClass* Substitute(SlabClass& c) LARDER_EXCLUDES(mutex_, c.mutex());

 private:
  // A substitute as it is now; `id` 0: there is none.
  struct Open {
    ClassId id = 0;
    // Since the start.
    std::uint64_t evictions = 0;
    std::uint64_t items = 0;
  };
  // What a class without a page has stored in the chunks of one substitute.
  struct Closed {
    ClassId substitute = 0;
    // The substitute's evictions when the count began.
    std::uint64_t evictions_before = 0;
    std::uint32_t stores = 0;
  };

  Open Find(SlabClass& c) const LARDER_EXCLUDES(c.mutex());

  const SlabClasses& classes_;
  const bool evicts_;

  // No other lock is taken under it.
  Mutex mutex_;
  // By ClassId.
  std::vector<Closed> closed_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::slab
