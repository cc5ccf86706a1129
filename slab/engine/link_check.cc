#include "slab/engine/link_check.h"

#include "slab/check.h"
#include "slab/eviction/eviction_queue.h"

namespace larder::slab {

void LinkCheck::Note(ItemRef ref, const Item& item, ClassId id) {
  LARDER_ASSERT(id != 0 && id < classes_.size());
  const Segment segment = item.eviction_state().segment();
  const EvictionQueue::State queue = classes_[id].queue();
  const auto& list = segment == Segment::kMain ? queue.main : queue.probation;
  SeenList& seen = seen_[id][static_cast<std::size_t>(segment)];
  ++seen.count;
  // A link is the same number seen from both of its ends. It is a hash with the seed of this
  // process, so that sums of different links are equal once in 2^64 times and an attacker cannot
  // prepare a file for which they are.
  const auto link = [&](ItemRef from, ItemRef to) {
    const std::array<std::uint32_t, 3> ends = {
        from, to, std::uint32_t{id} << 1 | static_cast<std::uint32_t>(segment)};
    return hash_({reinterpret_cast<const char*>(ends.data()), sizeof ends});
  };
  // Without a successor the item must be the tail of its list, without a predecessor the head.
  if (item.next != kNoItem) {
    successors_ += link(ref, item.next);
  } else {
    ++seen.tails;
    seen.has_wrong_end |= ref != list.tail;
  }
  if (item.prev != kNoItem) {
    predecessors_ += link(item.prev, ref);
  } else {
    ++seen.heads;
    seen.has_wrong_end |= ref != list.head;
  }
}

// Equal sums mean that the links agree. With one head, one tail and the right number of items, each
// list is one list.
bool LinkCheck::HoldTogether() const {
  bool is_whole = successors_ == predecessors_;
  for (std::size_t id = 1; id < seen_.size(); ++id) {
    const EvictionQueue::State queue = classes_[id].queue();
    for (const Segment segment : {Segment::kProbation, Segment::kMain}) {
      const auto& list = segment == Segment::kMain ? queue.main : queue.probation;
      const SeenList& seen = seen_[id][static_cast<std::size_t>(segment)];
      const std::uint64_t ends = list.count != 0 ? 1 : 0;
      is_whole = is_whole && seen.count == list.count && !seen.has_wrong_end &&
                 seen.heads == ends && seen.tails == ends &&
                 (list.head != kNoItem) == (ends == 1) && (list.tail != kNoItem) == (ends == 1);
    }
  }
  return is_whole;
}

}  // namespace larder::slab
