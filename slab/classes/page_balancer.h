// PageBalancer: decides which slab class should get more pages, and which should give some away.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "slab/ids.h"

namespace larder::slab {

// The load of one class, as the page mover reports it.
struct ClassLoad {
  // Pages that the class has.
  std::uint32_t pages = 0;
  // Pages that the free chunks of the class would fill.
  std::uint32_t spare_pages = 0;
  // EvictionQueue::near_ghosts(): keys that came back and would still be in the cache if the class
  // had WindowPages() more pages. Only grows.
  std::uint64_t near_ghosts = 0;
  // Bytes of the chunks of all items that the class has evicted; of a large item, only those of
  // its first chunk. Only grows.
  std::uint64_t evicted_bytes = 0;
  // Items of the class, and reads that have found one. The reads only grow.
  std::uint64_t items = 0;
  std::uint64_t hits = 0;
  // Not 0: this class holds pieces of the large items of class `pieces_of`, and is judged by the
  // gain of that class, because the pieces come and go with their items.
  ClassId pieces_of = 0;
  // Much of it is kept from others, by the floors of prefixes: it gives a page only to a class that
  // finds none elsewhere.
  bool is_kept = false;
};

// The loads of all classes by ClassId; [0] is a placeholder.
using ClassLoads = std::span<const ClassLoad>;

// A decision: `pages` pages should move from class `from` to class `to`.
struct PagePlan {
  ClassId from = 0;
  ClassId to = 0;
  std::uint32_t pages = 0;
};

// PageBalancer estimates how many more hits each class would have with more pages, from the ghosts
// that came back, and proposes to move pages from the class that would lose least to the class that
// would gain most.
//
// Time is divided into rounds of kStoresPerRound stores. The gain of a class is a decaying mean of
// its near ghosts per round. A ghost is near if its key would still be in a class that is larger by
// the window. The window is two pages, or a fourth of the class where that is more, so that large
// classes give a signal too. Classes are compared by their gain per page of window. A round ends
// early when a class has many near ghosts: a class of large chunks turns over in fewer requests
// than any fixed round takes, and memory that follows a shift of sizes late is of no use. At a
// time, a class gains at most its window, and loses at most half of its window or, if those are
// more, its spare pages.
//
// A class of new items has no ghosts that came back, or too few pages to see any, as when keys are
// stored in their order. So each class earns a floor with what it evicts: kFloorShare of the bytes,
// which it has for kFloorTurnovers turnovers of the memory. A class below its floor gets pages
// without gaining, from classes that would not gain either and are above theirs. A scan of twice
// the memory earns so little that a working set hardly notices it. Against an idle class, which has
// had fewer reads in that time than one for kIdleItems items, floors count kIdleFactor times.
//
// Threads:    caller locks the page mover, which owns this object.
// Owns:       the gains and floors, and the counts of the last round.
// Source:     the marginal utilities of Cliffhanger, Cidon et al., NSDI 2016. Window, decay, ratio
//             and margin are what simulation found for small classes; a ratio of 1.25 thrashes. A
//             fixed pace of about one page a round left a cache of 5 kB values at 73% of a fresh
//             one's hits two turnovers after a shift; see tests/slab/cache_pages_test.cc.
class PageBalancer {
 public:
  // The window of a class: pages / kWindowDivisor, but at least kWindowPagesMin.
  static constexpr std::uint32_t kWindowPagesMin = 2;
  static constexpr std::uint32_t kWindowDivisor = 4;
  // Length of a round. The cache counts stores, not requests: where a fourth of the requests
  // misses, every fourth one is a store.
  static constexpr std::uint64_t kStoresPerRound = 5000;
  // At the end of a round: gain = kGainDecay * gain + kGainWeight * new near ghosts.
  static constexpr double kGainDecay = 0.8;
  static constexpr double kGainWeight = 0.1;
  // Pages move only if the gain exceeds kGainRatio times the loss, plus kGainMargin.
  static constexpr double kGainRatio = 2;
  static constexpr double kGainMargin = 1;
  // See above. Where one class evicts all, its floor comes to a fifth of the memory.
  static constexpr double kFloorShare = 0.02;
  static constexpr double kFloorTurnovers = 10;
  // A class gets pages to its floor while it makes up this share of what was evicted lately, in
  // about 1 / kLatelyDivisor of a turnover.
  static constexpr double kPressingShare = 0.1;
  static constexpr double kLatelyDivisor = 8;
  static constexpr double kIdleItems = 20;
  static constexpr double kIdleFactor = 4;

  // Window size in pages for a class of `pages` pages.
  static constexpr std::uint32_t WindowPages(std::uint32_t pages) {
    return pages / kWindowDivisor > kWindowPagesMin ? pages / kWindowDivisor : kWindowPagesMin;
  }

  // Reports the present loads; call it often. Returns the pages that should move: at the end of a
  // round those for more hits, and at any time those that a class lacks to its floor. Returns
  // nothing if no move is worth it. A class with at least `urgent_ghosts` new near ghosts ends the
  // round early. REQUIRES: `stores`, and what only grows in the loads, never fall between calls.
  [[nodiscard]] std::optional<PagePlan> Observe(ClassLoads loads, std::uint64_t stores,
                                                std::uint64_t urgent_ghosts);

  // The class that misses a page least: the one with the smallest loss, and among equals the one
  // with the most pages. Never `needy` (0: any class may be chosen) nor a class in `refused`. A
  // class with fewer pages than `pages_min` is not chosen, so the last page of a class is taken
  // only where pages_min is 1, and so is a page that is kept. Returns 0 if there is no such class.
  ClassId ChooseDonor(ClassLoads loads, ClassId needy, const ClassSet& refused,
                      std::uint32_t pages_min) const;

  // The class with the most spare pages; never `needy` nor a class in `refused`. Returns 0 if no
  // other class has a page to spare.
  static ClassId ChooseSpare(ClassLoads loads, ClassId needy, const ClassSet& refused);

  // The present gain of a class: a decaying mean of near ghosts per round.
  double gain(ClassId id) const { return gains_[id]; }
  // The pages that a class has earned.
  double floor_pages(ClassId id) const { return floor_bytes_[id] / kPageBytes; }

 private:
  // ChooseDonor() without a look at what is kept.
  ClassId ChooseAmong(ClassLoads loads, ClassId needy, const ClassSet& refused,
                      std::uint32_t pages_min) const;
  // The end of a round: the pages that should move for more hits. `is_early`: it has seen few
  // requests.
  std::optional<PagePlan> PlanForHits(ClassLoads loads, bool is_early);
  // The pages that should move to the class that lacks most to `factor` times its floor. `refused`:
  // they give none.
  std::optional<PagePlan> PlanForFloor(ClassLoads loads, double factor,
                                       const ClassSet& refused) const;
  std::optional<PagePlan> PlanForFloor(ClassLoads loads) const;
  // Adds to the floors what the classes have evicted since the last call, and notes their hits.
  void EarnFloors(ClassLoads loads);
  // The classes that give nothing for the floor of another one: they have no more than `factor`
  // times their own, or would gain by more pages. (What they can spare, a store takes by itself.)
  ClassSet Protected(ClassLoads loads, double factor) const;
  // The class by whose gain and hits a class is judged: its own, or that of its pieces.
  static ClassId JudgedClass(ClassLoads loads, ClassId id) {
    return loads[id].pieces_of != 0 ? loads[id].pieces_of : id;
  }
  // The gain of a class divided by the pages of its window. A class of pieces has the value of the
  // class whose items the pieces belong to.
  double GainPerPage(ClassLoads loads, ClassId id) const;
  // What the class would lose with a page: nothing while it has a spare one, else its gain per
  // page.
  double Loss(ClassLoads loads, ClassId id) const;

  // By ClassId.
  std::array<double, kClassesMax + 1> gains_{};
  // Near ghosts of each class at the last round, by ClassId.
  std::array<std::uint64_t, kClassesMax + 1> seen_ghosts_{};
  // What each class has earned, and its hits in that time; its evicted bytes and hits when that was
  // computed. By ClassId.
  std::array<double, kClassesMax + 1> floor_bytes_{};
  std::array<double, kClassesMax + 1> recent_hits_{};
  // Bytes evicted lately, by ClassId and in all.
  std::array<double, kClassesMax + 1> lately_evicted_{};
  double lately_evicted_all_ = 0;
  std::array<std::uint64_t, kClassesMax + 1> seen_evicted_bytes_{};
  std::array<std::uint64_t, kClassesMax + 1> seen_hits_{};
  // Stores at the last regular end of a round.
  std::uint64_t seen_stores_ = 0;
};

}  // namespace larder::slab
