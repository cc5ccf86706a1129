#include "slab/engine/page_mover.h"

#include <cstddef>

#include "slab/check.h"

namespace larder::slab {
namespace {

// What one call of Balance may do; it is called many times a second.
constexpr std::uint32_t kPagesPerTurnMax = 16;
constexpr std::uint32_t kChunksPerTurnMax = 1 << 13;
// Pages that one call of EnforceLimit gives back: 64 MiB.
constexpr int kPagesPerSecondMax = 256;
// New near ghosts of one class that end a round of the balancer early.
constexpr std::uint64_t kUrgentGhosts = 8;
constexpr std::uint64_t kUrgentGhostsEager = 4;
// Pages of a class that may turn out to be in use before another class is tried.
constexpr std::size_t kPageTriesMax = 8;

}  // namespace

PageMoveStats PageMover::stats() const {
  return {.moved_items = counters_.moved_items.value(),
          .moved_pieces = counters_.moved_pieces.value(),
          .dropped_items = counters_.dropped_items.value(),
          .busy_pages = counters_.busy_pages.value(),
          .is_running = is_moving_.load(std::memory_order_relaxed)};
}

bool PageMover::MakeRoom(SlabClass& needy, Lane& lane) {
  LARDER_ASSERT(needy.id() != 0);
  // Without eviction a page cannot be emptied.
  if (!evicts_) return false;
  const MutexLock lock(mutex_);
  return MoveByItself({.from = 0, .to = needy.id()}, lane);
}

bool PageMover::TakeSpare(SlabClass& needy, Lane& lane) {
  LARDER_ASSERT(needy.id() != 0);
  if (!classes_.spare_pages().any()) return false;
  const MutexLock lock(mutex_);
  {
    // Another thread may have got a page for the class while this one waited.
    const MutexLock class_lock(needy.mutex());
    if (needy.has_free_chunk()) return true;
  }
  // Or it may have found that none can be had.
  if (!classes_.spare_pages().any()) return false;
  const auto loads = Loads();
  ClassSet refused;
  while (const ClassId from = PageBalancer::ChooseSpare(loads, needy.id(), refused)) {
    if (MoveByItself({.from = from, .to = needy.id()}, lane)) return true;
    refused.set(from);
  }
  classes_.spare_pages().Suspend();
  return false;
}

void PageMover::Balance(Lane& lane) {
  classes_.spare_pages().Resume();
  const MutexLock lock(mutex_);
  if (wanted_) MoveWanted(lane);
  // A plan that is in progress is dropped when page moves are switched off.
  if (moves() == PageMoves::kOff || !evicts_) {
    plan_ = {};
  } else if (plan_.pages == 0) {
    ObserveLoads();
  }
  std::uint32_t chunks = 0;
  // A large plan is carried out in several calls. At least one page moves per call.
  for (std::uint32_t pages = 0; plan_.pages != 0 && pages < kPagesPerTurnMax; ++pages) {
    chunks += classes_.ById(plan_.from).chunks_per_page();
    if (pages != 0 && chunks > kChunksPerTurnMax) break;
    // If no page can be moved, the rest of the plan is dropped.
    if (!MoveByItself({.from = plan_.from, .to = plan_.to}, lane)) plan_.pages = 1;
    --plan_.pages;
  }
  is_moving_.store(plan_.pages != 0 || wanted_, std::memory_order_relaxed);
}

// The balancer counts time in stores.
void PageMover::ObserveLoads() {
  std::uint64_t stores = 0;
  lanes_.ForEach([&](const Lane& other) { stores += other.total_items.value(); });
  const auto plan = balancer_.Observe(
      Loads(), stores, moves() == PageMoves::kEager ? kUrgentGhostsEager : kUrgentGhosts);
  // While the arena has pages, a class that needs one takes it from there.
  const Arena& arena = classes_.arena();
  if (plan && arena.pages_in_use() >= arena.limit_pages()) plan_ = *plan;
}

void PageMover::EnforceLimit(Lane& lane) {
  const Arena& arena = classes_.arena();
  const MutexLock lock(mutex_);
  for (int pages = 0; pages < kPagesPerSecondMax; ++pages) {
    if (arena.pages_in_use() <= arena.limit_pages()) break;
    // With no class named, any class may lose the page, and it goes back to the arena.
    if (MovePage({}, lane) == 0) break;
  }
}

ReassignStatus PageMover::Reassign(std::int64_t from, std::int64_t to) {
  constexpr std::int64_t kAny = -1;
  const auto is_class = [this](std::int64_t id) {
    return id >= 0 && id <= static_cast<std::int64_t>(classes_.count());
  };
  if (from == to) return ReassignStatus::kSame;
  if (!is_class(to) || (from != kAny && !is_class(from))) return ReassignStatus::kBadClass;
  const MutexLock lock(mutex_);
  if (wanted_) return ReassignStatus::kBusy;
  const auto to_id = static_cast<ClassId>(to);
  ClassId from_id = 0;
  if (from == kAny) {
    from_id = balancer_.ChooseDonor(Loads(), to_id, ClassSet(), 2);
    if (from_id == 0) return ReassignStatus::kBadClass;
  } else if (from == 0) {
    if (classes_.arena().free_pages() == 0) return ReassignStatus::kNoSpare;
  } else {
    from_id = static_cast<ClassId>(from);
    if (!HasSparePage(classes_.ById(from_id))) return ReassignStatus::kNoSpare;
  }
  wanted_ = Move{.from = from_id, .to = to_id};
  is_moving_.store(true, std::memory_order_relaxed);
  return ReassignStatus::kStarted;
}

// Carries out what Reassign asked for. If all pages of the class are in use, the request stays, for
// the next call.
void PageMover::MoveWanted(Lane& lane) {
  const Move move = *wanted_;
  if (move.from == 0) {
    wanted_.reset();
    const auto page = classes_.arena().Take();
    if (page) GiveTo(move.to, *page);
    return;
  }
  if (!HasSparePage(classes_.ById(move.from)) || MovePage(move, lane) != 0) wanted_.reset();
}

// True if the class can give a page away: it keeps one, and without eviction its other pages have
// enough free chunks.
bool PageMover::HasSparePage(SlabClass& c) const {
  const MutexLock lock(c.mutex());
  return c.page_count() >= 2 && (evicts_ || c.spare_page_count() != 0);
}

std::vector<ClassLoad> PageMover::Loads() const {
  std::vector<ClassLoad> loads(classes_.count() + 1);
  const ClassId largest = classes_.ladder().largest();
  classes_.ForEach([&](SlabClass& c) {
    const MutexLock lock(c.mutex());
    // A class with many more chunks than items holds pieces of large items.
    const bool has_pieces = c.id() != largest && c.used_chunks() > 2 * c.queue().count();
    LARDER_ASSERT(c.used_chunks() <= c.chunk_count());
    loads[c.id()] = {.pages = c.page_count(),
                     .spare_pages = c.spare_page_count(),
                     .near_ghosts = c.queue().near_ghosts(),
                     .evicted_bytes = c.queue().evictions() * c.chunk_bytes(),
                     .items = c.queue().count(),
                     .pieces_of = has_pieces ? largest : ClassId{0},
                     .is_kept = allocator_.IsKept(c)};
  });
  lanes_.ForEach([&](const Lane& lane) {
    for (std::size_t id = 1; id < loads.size(); ++id) {
      loads[id].hits += lane.classes[id].value(ClassStat::kGetHits);
    }
  });
  return loads;
}

bool PageMover::MoveByItself(Move move, Lane& lane) {
  const ClassId from = MovePage(move, lane);
  if (from != 0 && lane.observer != nullptr) lane.observer->OnPageMove(from, move.to);
  return from != 0;
}

ClassId PageMover::MovePage(Move move, Lane& lane) {
  LARDER_ASSERT(move.from == 0 || move.from != move.to);
  // Tries donors, and of each donor several pages, until a page is empty.
  const auto loads = move.from != 0 ? std::vector<ClassLoad>() : Loads();
  using OnlyPage = PageEvacuator::OnlyPage;
  const OnlyPage only = move.from != 0 ? OnlyPage::kStays : OnlyPage::kMayGo;
  ClassSet refused;
  std::vector<PageIndex> busy;  // Of this donor.
  for (;;) {
    const ClassId from =
        move.from != 0 ? move.from : balancer_.ChooseDonor(loads, move.to, refused, 1);
    if (from == 0) return 0;
    SlabClass& donor = classes_.ById(from);
    const auto page = busy.size() < kPageTriesMax ? evacuator_.Choose(donor, busy) : std::nullopt;
    if (!page) {
      // No page of this donor can be emptied now: try the class that loses least of the others.
      if (busy.empty()) counters_.busy_pages.Add();
      if (move.from != 0) return 0;
      refused.set(from);
      busy.clear();
      continue;
    }
    pause_.At(Moment::kPageChosen);
    if (!evacuator_.Evacuate(donor, *page, only, lane)) {
      counters_.busy_pages.Add();
      busy.push_back(*page);
      continue;
    }
    pages_moved_.fetch_add(1, std::memory_order_relaxed);
    GiveTo(move.to, *page);
    return from;
  }
}

// Hands a page that no class has to a class, or back to the arena.
void PageMover::GiveTo(ClassId to, PageIndex page) {
  if (to == 0) return classes_.arena().Return(page);
  SlabClass& c = classes_.ById(to);
  const MutexLock lock(c.mutex());
  c.Adopt(page);
}

}  // namespace larder::slab
