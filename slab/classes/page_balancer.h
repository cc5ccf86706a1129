// Which class should have more pages, and which one fewer.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "slab/ids.h"

namespace larder::slab {

// A class as the balancer sees it.
struct ClassLoad {
  std::uint32_t pages = 0;
  std::uint32_t spare_pages = 0;  // What its free chunks would fill.
  // EvictionQueue::near_ghosts(): keys that came back and would have been there still if the class
  // had had WindowPages() more pages. Only grows.
  std::uint64_t near_ghosts = 0;
  // The class holds pieces of that one's items: they come and go with those. 0: it does not.
  ClassId pieces_of = 0;
};

// By ClassId; [0] is a placeholder.
using ClassLoads = std::span<const ClassLoad>;

struct PagePlan {
  ClassId from = 0;
  ClassId to = 0;
  std::uint32_t pages = 0;
};

// PageBalancer compares what a page more would bring to each class, by the ghosts that came back,
// and has pages go from where that is least to where it is most.
//
// Time goes in rounds. A class's gain is a decaying mean of its near ghosts by round. The window,
// in which a ghost is near, is two pages, or a fourth of the class where that is more, so that
// large classes give a signal too; classes are compared by gain per page of window. A round ends
// early when there is much to see: a class of large chunks has turned over in fewer requests than
// any fixed round takes, and memory that follows a shift of sizes only later is of no use. What
// moves at a time is up to the window for who gains it, up to half of it for who loses it.
//
// Threads:    caller locks (the page mover).
// Owns:       gains, and the ghosts that were seen before.
// Source:     the marginal utilities of Cliffhanger, Cidon et al., NSDI 2016. Window, decay, ratio
//             and margin are what simulation found for small classes; a ratio of 1.25 thrashes.
//             A fixed pace of about one page a round left a cache of 5 kB values at 73% of a fresh
//             one's hits two turnovers after a shift; see tests/slab/cache_pages_test.cc.
class PageBalancer {
 public:
  static constexpr std::uint32_t kWindowPagesMin = 2;
  static constexpr std::uint32_t kWindowDivisor = 4;
  // Stores are what the cache sees of the requests: every fourth one, where a fourth misses.
  static constexpr std::uint64_t kStoresPerRound = 5000;
  static constexpr double kGainDecay = 0.8;
  static constexpr double kGainWeight = 0.1;
  static constexpr double kGainRatio = 2;
  static constexpr double kGainMargin = 1;

  // Window size in pages for a class of `pages` pages.
  static constexpr std::uint32_t WindowPages(std::uint32_t pages) {
    return pages / kWindowDivisor > kWindowPagesMin ? pages / kWindowDivisor : kWindowPagesMin;
  }

  // To be called often. At the end of a round: the pages that should move, if any. `stores` only
  // grows; urgent_ghosts of one class end a round early.
  [[nodiscard]] std::optional<PagePlan> Observe(ClassLoads loads, std::uint64_t stores,
                                                std::uint64_t urgent_ghosts);

  // The class that misses a page least: of the lowest gain, and of these the one that has most. It
  // is not `needy` (0: anyone) and not refused. The last page of a class is taken only where
  // pages_min is 1. 0 if there is none.
  ClassId ChooseDonor(ClassLoads loads, ClassId needy, const ClassSet& refused,
                      std::uint32_t pages_min) const;

  double gain(ClassId id) const { return gains_[id]; }

 private:
  // By page of its window; for a class of pieces that of the class that they belong to.
  double GainPerPage(ClassLoads loads, ClassId id) const;
  // What the class loses with a page: nothing while it has chunks to spare.
  double Loss(ClassLoads loads, ClassId id) const;

  std::array<double, kClassesMax + 1> gains_{};
  std::array<std::uint64_t, kClassesMax + 1> seen_ghosts_{};
  std::uint64_t seen_stores_ = 0;
};

}  // namespace larder::slab
