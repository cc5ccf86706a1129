#include "slab/classes/slab_class.h"

#include <algorithm>
#include <new>

#include "slab/check.h"
#include "slab/classes/page_balancer.h"

namespace larder::slab {
namespace {

// Prefetches of a chunk: this many of its bytes, by cache lines.
constexpr std::uint32_t kLineBytes = 64;
constexpr std::uint32_t kPrefetchedBytesMax = 256;

}  // namespace

ItemRef SlabClass::Allocate() {
  // No page of the class has a free chunk: take a new page from the arena.
  if (listed_ == 0) {
    const auto fresh = arena_.Take();
    if (!fresh) return kNoItem;
    Adopt(*fresh);
  }
  const PageIndex number = listed_ - 1;
  Page& page = pages_.at(number);
  LARDER_ASSERT(!page.is_draining && page.used < chunks_per_page_);
  LARDER_ASSERT(pages_.class_of(number) == id_);
  // Freed chunks are used first. Otherwise the next chunk that was never handed out gets a header.
  ItemRef ref = page.free_head;
  if (ref != kNoItem) {
    page.free_head = arena_.At(ref).next;
  } else {
    std::byte* chunk = arena_.PageAt(number) + std::size_t{page.carved} * chunk_bytes_;
    new (chunk) Item;
    ref = arena_.RefOf(chunk);
    ++page.carved;
  }
  ++page.used;
  ++used_chunks_;
  UpdateOffer();
  if (page.used == chunks_per_page_) Unlist(number);
  Item& item = arena_.At(ref);
  LARDER_ASSERT(item.use() == ChunkUse::kFree || page.free_head == kNoItem);
  LARDER_ASSERT(page.used <= page.carved && page.carved <= chunks_per_page_);
  item.set_use(ChunkUse::kOwned);
  item.refs.store(1, std::memory_order_relaxed);
  return ref;
}

void SlabClass::PrefetchChunk(const Item& chunk) const noexcept {
  const auto* const bytes = reinterpret_cast<const std::byte*>(&chunk);
  for (std::uint32_t at = 0; at < std::min(chunk_bytes_, kPrefetchedBytesMax); at += kLineBytes) {
    __builtin_prefetch(bytes + at, 1);
  }
}

// All lines of small chunks, the headers of others.
void SlabClass::PrefetchFresh() const noexcept {
  const ItemRef first = fresh_.load(std::memory_order_relaxed);
  if (first == kNoItem) return;
  const auto* const begin = reinterpret_cast<const std::byte*>(&arena_.At(first));
  const std::byte* const page_end = arena_.PageAt(arena_.PageOf(first)) + kPageBytes;
  const std::ptrdiff_t bytes =
      std::min<std::ptrdiff_t>(std::ptrdiff_t{batch()} * chunk_bytes_, page_end - begin);
  const std::ptrdiff_t step = chunk_bytes_ <= kPrefetchedBytesMax ? kLineBytes : chunk_bytes_;
  for (std::ptrdiff_t at = 0; at < bytes; at += step) __builtin_prefetch(begin + at, 1);
}

void SlabClass::NoteFresh() {
  ItemRef fresh = kNoItem;
  if (listed_ != 0) {
    const Page& page = pages_.at(listed_ - 1);
    const std::byte* const next =
        arena_.PageAt(listed_ - 1) + std::size_t{page.carved} * chunk_bytes_;
    if (page.free_head == kNoItem) fresh = arena_.RefOf(next);
  }
  // Seldom changed where nothing is carved.
  if (fresh_.load(std::memory_order_relaxed) != fresh) {
    fresh_.store(fresh, std::memory_order_relaxed);
  }
}

ItemRef SlabClass::AllocateHere() { return listed_ != 0 ? Allocate() : kNoItem; }

void SlabClass::Free(ItemRef ref) {
  const PageIndex number = arena_.PageOf(ref);
  Page& page = pages_.at(number);
  Item& item = arena_.At(ref);
  LARDER_CHECK(item.use() != ChunkUse::kFree && !item.is_linked());
  LARDER_ASSERT(pages_.class_of(number) == id_);
  LARDER_ASSERT(page.used > 0 && used_chunks_ > 0);
  item.set_use(ChunkUse::kFree);
  item.next = page.free_head;
  page.free_head = ref;
  --page.used;
  --used_chunks_;
  UpdateOffer();
  // A page that is being emptied leaves the class with its last chunk, for the thread that drains
  // it. It is not returned to the arena.
  if (page.is_draining) {
    if (page.used == 0) Leave(number);
    return;
  }
  if (!page.is_listed) List(number);
  // An empty page goes back to the arena, where any class can take it, unless the class has no
  // other page with free chunks. Otherwise a class whose last page alternates between full and
  // empty would return and take a page all the time.
  const bool has_other_room = listed_ != number + 1 || page.next_listed != 0;
  if (page.used == 0 && has_other_room) {
    Unlist(number);
    Leave(number);
    arena_.Return(number);
  }
}

bool SlabClass::Drain(PageIndex number) {
  LARDER_CHECK(pages_.class_of(number) == id_);
  Page& page = pages_.at(number);
  page.is_draining = true;
  if (page.is_listed) Unlist(number);
  if (page.used != 0) return false;
  Leave(number);
  return true;
}

void SlabClass::Readmit(PageIndex number) {
  Page& page = pages_.at(number);
  LARDER_CHECK(page.is_draining);
  page.is_draining = false;
  if (page.used < chunks_per_page_) List(number);
}

void SlabClass::Adopt(PageIndex number) {
  LARDER_ASSERT(number < arena_.capacity_pages());
  Page& page = pages_.at(number);
  LARDER_ASSERT(page.carved == 0 && page.used == 0 && !page.is_listed);
  page = Page{};
  pages_.set_class(number, id_);
  CountPages(page_count_ + 1);
  List(number);
}

// Used at a restart: the page keeps its chunks, so only the counts and the list have to be set.
void SlabClass::TakeIn(PageIndex number, std::uint32_t carved, std::uint32_t used,
                       ItemRef free_head) {
  LARDER_ASSERT(used <= carved && carved <= chunks_per_page_);
  Adopt(number);
  Page& page = pages_.at(number);
  page.carved = carved;
  page.used = used;
  page.free_head = free_head;
  used_chunks_ += used;
  UpdateOffer();
  if (used == chunks_per_page_) Unlist(number);
}

void SlabClass::Leave(PageIndex number) {
  LARDER_CHECK(pages_.class_of(number) == id_);
  LARDER_ASSERT(pages_.at(number).used == 0);
  LARDER_ASSERT(!pages_.at(number).is_listed);
  LARDER_ASSERT(page_count_ > 0);
  // All zero: the state of a page that no class has.
  pages_.at(number) = Page{};
  pages_.set_class(number, 0);
  CountPages(page_count_ - 1);
  // The class is smaller now, so its ghost table may be too large for it.
  queue_.Trim();
}

// What depends on the size of the class: probation's share, the batch of magazines, and the window
// of the page balancer.
void SlabClass::CountPages(std::uint32_t pages) {
  if (pages > page_count_) queue_.NoteGrowth(1.0 / pages);
  page_count_ = pages;
  UpdateOffer();
  ChooseBatch();
  queue_.set_near_share(pages == 0 ? 0
                                   : static_cast<double>(PageBalancer::WindowPages(pages)) / pages);
}

void SlabClass::SetOffer(bool offers) {
  offers_page_ = offers;
  if (offers) {
    spare_pages_.Offer();
  } else {
    spare_pages_.Withdraw();
  }
}

void SlabClass::AddMagazine(Magazine& magazine) {
  LARDER_ASSERT(std::ranges::find(magazines_, &magazine) == magazines_.end());
  magazines_.push_back(&magazine);
  ChooseBatch();
}

// The batch grows with the class, so that magazines of small classes do not hold a large part of
// their chunks. It is at least 1, which means that no magazine is used.
void SlabClass::ChooseBatch() {
  const std::uint64_t each =
      chunk_count() / (kMagazinesShare * std::max<std::size_t>(1, magazines_.size()));
  batch_.store(static_cast<std::uint32_t>(std::clamp<std::uint64_t>(each, 1, Magazine::kSlots)),
               std::memory_order_relaxed);
}

void SlabClass::CheckInvariants() const {
  queue_.CheckInvariants();
  std::uint32_t pages = 0;
  std::uint32_t listed = 0;
  std::uint64_t used = 0;
  for (PageIndex number = 0; number < arena_.touched_pages(); ++number) {
    if (pages_.class_of(number) != id_) continue;
    const Page& page = pages_.at(number);
    LARDER_CHECK(page.used <= page.carved && page.carved <= chunks_per_page_);
    LARDER_CHECK(CountFree(page) == page.carved - page.used);
    LARDER_CHECK(page.is_listed == (page.used < chunks_per_page_ && !page.is_draining));
    ++pages;
    used += page.used;
    listed += page.is_listed ? 1 : 0;
  }
  LARDER_CHECK(pages == page_count_);
  LARDER_CHECK(used == used_chunks_);
  LARDER_CHECK(offers_page_ == (spare_page_count() != 0));
  // The list of pages with free chunks: its links must agree with the flags counted above.
  PageIndex before = 0;
  for (PageIndex at = listed_; at != 0; at = pages_.at(at - 1).next_listed) {
    LARDER_CHECK(listed > 0 && pages_.at(at - 1).is_listed);
    LARDER_CHECK(pages_.at(at - 1).prev_listed == before);
    before = at;
    --listed;
  }
  LARDER_CHECK(listed == 0);
}

// Follows the free list of a page. Aborts if a chunk in it is not free.
std::uint32_t SlabClass::CountFree(const Page& page) const {
  std::uint32_t count = 0;
  for (ItemRef ref = page.free_head; ref != kNoItem; ref = arena_.At(ref).next) {
    LARDER_CHECK(arena_.At(ref).use() == ChunkUse::kFree);
    ++count;
  }
  return count;
}

// Puts a page at the front of the list of pages with free chunks.
void SlabClass::List(PageIndex number) {
  Page& page = pages_.at(number);
  LARDER_ASSERT(!page.is_listed);
  page.is_listed = true;
  page.prev_listed = 0;
  page.next_listed = listed_;
  if (listed_ != 0) pages_.at(listed_ - 1).prev_listed = number + 1;
  listed_ = number + 1;
}

// Takes a page out of the list of pages with free chunks.
void SlabClass::Unlist(PageIndex number) {
  Page& page = pages_.at(number);
  LARDER_ASSERT(page.is_listed);
  (page.prev_listed != 0 ? pages_.at(page.prev_listed - 1).next_listed : listed_) =
      page.next_listed;
  if (page.next_listed != 0) pages_.at(page.next_listed - 1).prev_listed = page.prev_listed;
  page.is_listed = false;
}

}  // namespace larder::slab
