#include "slab/engine/reserver.h"

#include <algorithm>
#include <cstring>

#include "slab/check.h"
#include "slab/engine/admission.h"

namespace larder::slab {
namespace {

// The most pages that are moved for one store before it fails.
constexpr int kMakeRoomTriesMax = 8;

// The length of the value in a chunk must fit into its field of the header.
static_assert(kPageBytes / 2 - sizeof(Item) < Item::kIsChained);

}  // namespace

bool Reserver::MakeRoom(SlabClass& c, RoomSearch& search, Lane& lane) {
  if (FindRoom(c, search, lane)) return true;
  const MutexLock lock(c.mutex());
  ++c.stats().out_of_memory;
  return false;
}

bool Reserver::FindRoom(SlabClass& c, RoomSearch& search, Lane& lane) {
  if (opening_.IsInForce() && Open(c)) return true;
  const bool may_move = search.tries++ < kMakeRoomTriesMax;
  if (search.prefers_page) {
    if (may_move && mover_.TakeSpare(c, lane)) return true;
    // From now on the store evicts. The try before may have held back with that.
    search.prefers_page = false;
    if (allocator_.evicts()) return true;
  }
  return may_move && mover_.MakeRoom(c, lane);
}

bool Reserver::Open(SlabClass& c) const {
  const MutexLock lock(c.mutex());
  if (c.page_count() != 0) return false;
  const auto page = classes_.arena().Take();
  if (page) c.Adopt(*page);
  return page.has_value();
}

ItemRef Reserver::AllocateChunk(SlabClass& wanted, ItemRef head, const Held& held, Lane& lane) {
  // A chunk, or a page for the class and then another try. A page can only be moved with no bucket
  // locked.
  RoomSearch search;
  SlabClass* used = &wanted;
  // The class has a page, has no substitute or opens: then it looks for room itself.
  bool is_own = false;
  for (;;) {
    SlabClass& c = *used;
    Held minded = held;
    minded.prefers_page = held.guard == nullptr && search.prefers_page;
    ItemRef ref = kNoItem;
    {
      FreeLater free_later(classes_);
      const MutexLock lock(c.mutex());
      ref = allocator_.Allocate(c, minded, lane, free_later);
      // Before the class is unlocked: page moves must see what the chunk belongs to.
      if (ref != kNoItem && head != kNoItem) {
        Item& chunk = classes_.arena().At(ref);
        chunk.set_use(ChunkUse::kContinuation);
        chunk.prev = head;
      }
    }
    if (ref != kNoItem) return ref;
    if (used != &wanted) {
      if (held.guard != nullptr || !MakeRoom(c, search, lane)) return kNoItem;
      continue;
    }
    SlabClass* substitute = is_own ? nullptr : opening_.Substitute(wanted);
    if (substitute == nullptr) {
      if (held.guard != nullptr) return kNoItem;
      is_own = true;
      if (FindRoom(wanted, search, lane)) continue;
      // A class that was to open, and finds no page, does without for another while.
      substitute = opening_.Substitute(wanted);
      search = {};
    }
    if (substitute == nullptr) {
      const MutexLock lock(wanted.mutex());
      ++wanted.stats().out_of_memory;
      return kNoItem;
    }
    used = substitute;
  }
}

Result<ReservedItem, StoreStatus> Reserver::Reserve(ItemSpec spec,
                                                    std::optional<std::uint64_t> chosen_cas,
                                                    const Held& held, Lane& lane) {
  LARDER_ASSERT(!spec.key.bytes.empty() && spec.key.bytes.size() <= kKeyBytesMax);
  const SizeLadder& ladder = classes_.ladder();
  Held minded = held;
  minded.storer = allocator_.StorerOf(spec.key.bytes);
  // Then a later expiry needs no memory.
  if (!allocator_.evicts()) spec.has_expiry_room = true;
  const std::size_t cas_bytes = chosen_cas ? Item::kChosenCasBytes : 0;
  const std::size_t bytes = ItemBytes(spec) + cas_bytes;
  // A value that does not fit into the largest chunk is a chain, whose first chunk is of the
  // largest class.
  const bool is_chained = bytes > ladder.chunk_bytes_max();
  SlabClass& c = is_chained ? classes_.Largest() : classes_.ById(ladder.ClassFor(bytes));
  const ItemRef head_ref = AllocateChunk(c, kNoItem, minded, lane);
  if (head_ref == kNoItem) return Failure{StoreStatus::kNoMemory};
  // From here on the chunks belong to this object, which frees them if something fails.
  ReservedItem reserved(&classes_, head_ref, spec.key.hash);

  Item& head = classes_.arena().At(head_ref);
  head.key_bytes = static_cast<std::uint8_t>(spec.key.bytes.size());
  std::memcpy(head.payload(), spec.key.bytes.data(), spec.key.bytes.size());
  if (!is_chained) {
    (void)FillHeader(head, spec, spec.value_bytes, lane);
    if (chosen_cas) head.SetChosenCas(*chosen_cas);
    return reserved;
  }
  // The first chunk has the key and all optional parts. It is filled up with the beginning of the
  // value.
  const std::size_t overhead = Item::OverheadBytes(
      head.key_bytes, {.has_flags = spec.client_flags != 0, .can_expire = spec.can_expire()});
  const auto here = static_cast<std::uint32_t>(std::min<std::size_t>(
      ladder.chunk_bytes_max() - overhead - Item::kChainBytes - cas_bytes, spec.value_bytes));
  (void)FillHeader(head, spec, 0, lane);
  head.SetChain(kNoItem, spec.value_bytes, here);
  if (chosen_cas) head.SetChosenCas(*chosen_cas);
  // If it fails, the reserved item frees the chunks that were found.
  if (!ReserveContinuations(head_ref, spec.value_bytes - here, minded, lane)) {
    return Failure{StoreStatus::kNoMemory};
  }
  return reserved;
}

// Reserves continuations for the last `value_bytes` bytes of the item's value, and links them.
// Returns false if a chunk is lacking.
bool Reserver::ReserveContinuations(ItemRef head_ref, std::size_t value_bytes, const Held& held,
                                    Lane& lane) {
  const Arena& arena = classes_.arena();
  Item& head = arena.At(head_ref);
  Item* last = nullptr;
  for (std::size_t left = value_bytes; left > 0;) {
    const std::size_t room = classes_.ladder().chunk_bytes_max() - sizeof(Item);
    const std::size_t take = std::min(left, room);
    SlabClass& c = classes_.ById(classes_.ladder().ClassFor(sizeof(Item) + take));
    const ItemRef ref = AllocateChunk(c, head_ref, held, lane);
    if (ref == kNoItem) return false;
    Item& piece = arena.At(ref);
    piece.key_bytes = 0;
    piece.next = kNoItem;
    piece.SetShape({}, static_cast<std::uint32_t>(take));
    // The chain must be intact at any time, because the reserved item frees it if a chunk is
    // lacking.
    if (last == nullptr) {
      head.SetChain(ref, head.value_bytes(), head.value_bytes_here());
    } else {
      last->next = ref;
    }
    last = &piece;
    left -= take;
  }
  return true;
}

std::uint64_t Reserver::BytesFor(ItemSpec spec,
                                 std::optional<std::uint64_t> chosen_cas) const noexcept {
  if (!allocator_.evicts()) spec.has_expiry_room = true;
  return BytesFor(ItemBytes(spec) + (chosen_cas ? Item::kChosenCasBytes : 0));
}

std::uint64_t Reserver::BytesFor(std::size_t bytes) const noexcept {
  const SizeLadder& ladder = classes_.ladder();
  // The size of a chunk with its share of the page's end.
  const auto share_of_page = [&](std::size_t part_bytes) -> std::uint64_t {
    return kPageBytes / (kPageBytes / ladder.chunk_bytes(ladder.ClassFor(part_bytes)));
  };
  const std::size_t chunk_bytes = ladder.chunk_bytes_max();
  if (bytes <= chunk_bytes) return share_of_page(bytes);
  // One chunk is full of the head, the others of pieces.
  const std::size_t left = bytes + Item::kChainBytes - chunk_bytes;
  const std::size_t room = chunk_bytes - sizeof(Item);
  const std::size_t rest = left % room;
  return (1 + left / room) * share_of_page(chunk_bytes) +
         (rest != 0 ? share_of_page(sizeof(Item) + rest) : 0);
}

}  // namespace larder::slab
