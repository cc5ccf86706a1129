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
  // Not 0: this class holds pieces of the large items of class `pieces_of`, and is judged by the
  // gain of that class, because the pieces come and go with their items.
  ClassId pieces_of = 0;
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
// Threads:    caller locks the page mover, which owns this object.
// Owns:       the gains, and the ghost and store counts of the last round.
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

  // Window size in pages for a class of `pages` pages.
  static constexpr std::uint32_t WindowPages(std::uint32_t pages) {
    return pages / kWindowDivisor > kWindowPagesMin ? pages / kWindowDivisor : kWindowPagesMin;
  }

  // Reports the present loads; call it often. At the end of a round, returns the pages that should
  // move; returns nothing if the round is not over or no move is worth it. A class with at least
  // `urgent_ghosts` new near ghosts ends the round early. REQUIRES: `stores`, and the near ghosts
  // of each class, never fall between calls.
  [[nodiscard]] std::optional<PagePlan> Observe(ClassLoads loads, std::uint64_t stores,
                                                std::uint64_t urgent_ghosts);

  // The class that misses a page least: the one with the smallest loss, and among equals the one
  // with the most pages. Never `needy` (0: any class may be chosen) nor a class in `refused`. A
  // class with fewer pages than `pages_min` is not chosen, so the last page of a class is taken
  // only where pages_min is 1. Returns 0 if there is no such class.
  ClassId ChooseDonor(ClassLoads loads, ClassId needy, const ClassSet& refused,
                      std::uint32_t pages_min) const;

  // The class with the most spare pages; never `needy` nor a class in `refused`. Returns 0 if no
  // other class has a page to spare.
  static ClassId ChooseSpare(ClassLoads loads, ClassId needy, const ClassSet& refused);

  // The present gain of a class: a decaying mean of near ghosts per round.
  double gain(ClassId id) const { return gains_[id]; }

 private:
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
  // Stores at the last regular end of a round.
  std::uint64_t seen_stores_ = 0;
};

}  // namespace larder::slab
