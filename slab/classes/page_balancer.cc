#include "slab/classes/page_balancer.h"

#include <algorithm>

#include "slab/check.h"

namespace larder::slab {
namespace {

// A class gives away at most its window divided by this number of pages at a time.
constexpr std::uint32_t kStepDivisor = 2;
// A round that ends early has seen few requests. It moves pages only if the gain is at least this
// many times the loss.
constexpr double kEarlyGainRatio = 8;

}  // namespace

std::optional<PagePlan> PageBalancer::Observe(ClassLoads loads, std::uint64_t stores,
                                              std::uint64_t urgent_ghosts) {
  LARDER_CHECK(loads.size() <= gains_.size());
  LARDER_ASSERT(stores >= seen_stores_);
  EarnFloors(loads);
  // The most new near ghosts of any one class since the last round.
  std::uint64_t fresh_max = 0;
  for (std::size_t id = 1; id < loads.size(); ++id) {
    LARDER_ASSERT(loads[id].near_ghosts >= seen_ghosts_[id]);
    fresh_max = std::max(fresh_max, loads[id].near_ghosts - seen_ghosts_[id]);
  }
  const bool is_early = stores - seen_stores_ < kStoresPerRound;
  if (is_early && fresh_max < urgent_ghosts) return PlanForFloor(loads);
  // An early end does not restart the count of stores, so that the regular end of the round still
  // comes.
  if (!is_early) seen_stores_ = stores;
  const auto plan = PlanForHits(loads, is_early);
  return plan ? plan : PlanForFloor(loads);
}

std::optional<PagePlan> PageBalancer::PlanForHits(ClassLoads loads, bool is_early) {
  ClassId high = 0;
  for (std::size_t at = 1; at < loads.size(); ++at) {
    const auto id = static_cast<ClassId>(at);
    const auto fresh = static_cast<double>(loads[id].near_ghosts - seen_ghosts_[id]);
    seen_ghosts_[id] = loads[id].near_ghosts;
    gains_[id] = kGainDecay * gains_[id] + kGainWeight * fresh;
  }
  // The class that gains most per page. A class with spare chunks, or one that holds pieces of
  // another class's items, does not need a page for itself.
  for (std::size_t at = 1; at < loads.size(); ++at) {
    const auto id = static_cast<ClassId>(at);
    if (loads[id].pages == 0 || loads[id].spare_pages != 0 || loads[id].pieces_of != 0) continue;
    if (high == 0 || GainPerPage(loads, id) > GainPerPage(loads, high)) high = id;
  }
  if (high == 0) return std::nullopt;
  // More hits elsewhere are no reason to take the last page of a class: a donor has at least two
  // pages.
  const ClassId low = ChooseDonor(loads, high, ClassSet(), 2);
  if (low == 0) return std::nullopt;
  const std::uint32_t window = WindowPages(loads[high].pages);
  const double ratio = is_early ? kEarlyGainRatio : kGainRatio;
  const double needed = ratio * Loss(loads, low) * window + kGainMargin;
  if (gains_[high] <= needed) return std::nullopt;
  // A donor gives all its spare pages at once, since it loses nothing with them, but never its last
  // page.
  const std::uint32_t spared =
      std::max(WindowPages(loads[low].pages) / kStepDivisor, loads[low].spare_pages);
  const std::uint32_t pages = std::min({window, spared, loads[low].pages - 1});
  return PagePlan{.from = low, .to = high, .pages = std::max<std::uint32_t>(1, pages)};
}

std::optional<PagePlan> PageBalancer::PlanForFloor(ClassLoads loads) const {
  const auto plan = PlanForFloor(loads, 1, Protected(loads, 1));
  if (plan) return plan;
  ClassSet refused = Protected(loads, kIdleFactor);
  for (std::size_t at = 1; at < loads.size(); ++at) {
    const ClassId judged = JudgedClass(loads, static_cast<ClassId>(at));
    const auto items = static_cast<double>(loads[judged].items);
    if (recent_hits_[judged] * kIdleItems >= items) refused.set(at);
  }
  return PlanForFloor(loads, kIdleFactor, refused);
}

std::optional<PagePlan> PageBalancer::PlanForFloor(ClassLoads loads, double factor,
                                                   const ClassSet& refused) const {
  ClassId needy = 0;
  double most = 1;
  for (std::size_t at = 1; at < loads.size(); ++at) {
    const auto id = static_cast<ClassId>(at);
    if (loads[id].pages == 0 || loads[id].spare_pages != 0 || loads[id].pieces_of != 0) continue;
    if (lately_evicted_[id] < kPressingShare * lately_evicted_all_) continue;
    const double lacking = factor * floor_pages(id) - loads[id].pages;
    if (lacking < most) continue;
    needy = id;
    most = lacking;
  }
  if (needy == 0) return std::nullopt;
  const ClassId donor = ChooseDonor(loads, needy, refused, 2);
  if (donor == 0) return std::nullopt;
  // It keeps its floor, and never gives its last page.
  const std::uint32_t pages = loads[donor].pages;
  const auto floor = static_cast<std::uint32_t>(factor * floor_pages(donor));
  const std::uint32_t above = pages - std::clamp(floor, 1U, pages - 1);
  return PagePlan{
      .from = donor, .to = needy, .pages = std::min(static_cast<std::uint32_t>(most), above)};
}

void PageBalancer::EarnFloors(ClassLoads loads) {
  double memory = 0;
  double evicted = 0;
  for (std::size_t id = 1; id < loads.size(); ++id) {
    LARDER_ASSERT(loads[id].evicted_bytes >= seen_evicted_bytes_[id]);
    memory += static_cast<double>(loads[id].pages) * kPageBytes;
    evicted += static_cast<double>(loads[id].evicted_bytes - seen_evicted_bytes_[id]);
  }
  if (evicted <= 0) return;
  const double kept = memory / (memory + evicted / kFloorTurnovers);
  const double lately_kept = memory / (memory + evicted * kLatelyDivisor);
  lately_evicted_all_ = lately_evicted_all_ * lately_kept + evicted;
  for (std::size_t id = 1; id < loads.size(); ++id) {
    const std::uint64_t fresh = loads[id].evicted_bytes - seen_evicted_bytes_[id];
    seen_evicted_bytes_[id] = loads[id].evicted_bytes;
    lately_evicted_[id] = lately_evicted_[id] * lately_kept + static_cast<double>(fresh);
    floor_bytes_[id] = floor_bytes_[id] * kept + static_cast<double>(fresh) * kFloorShare;
    const std::uint64_t hits = loads[id].hits - seen_hits_[id];
    seen_hits_[id] = loads[id].hits;
    recent_hits_[id] = recent_hits_[id] * kept + static_cast<double>(hits);
  }
}

ClassSet PageBalancer::Protected(ClassLoads loads, double factor) const {
  ClassSet classes;
  for (std::size_t at = 1; at < loads.size(); ++at) {
    const auto id = static_cast<ClassId>(at);
    if (loads[id].pages <= factor * floor_pages(id) ||
        gains_[JudgedClass(loads, id)] > kGainMargin) {
      classes.set(at);
    }
  }
  return classes;
}

ClassId PageBalancer::ChooseDonor(ClassLoads loads, ClassId needy, const ClassSet& refused,
                                  std::uint32_t pages_min) const {
  ClassSet kept;
  for (std::size_t at = 1; at < loads.size(); ++at) {
    if (loads[at].is_kept && loads[at].spare_pages == 0) kept.set(at);
  }
  const ClassId donor = ChooseAmong(loads, needy, refused | kept, pages_min);
  if (donor != 0 || pages_min > 1 || kept.none()) return donor;
  return ChooseAmong(loads, needy, refused, pages_min);
}

ClassId PageBalancer::ChooseAmong(ClassLoads loads, ClassId needy, const ClassSet& refused,
                                  std::uint32_t pages_min) const {
  LARDER_ASSERT(loads.size() <= gains_.size());
  ClassId donor = 0;
  for (std::size_t at = 1; at < loads.size(); ++at) {
    const auto id = static_cast<ClassId>(at);
    if (id == needy || refused.test(id) || loads[id].pages < std::max(pages_min, 1U)) continue;
    if (donor == 0) {
      donor = id;
      continue;
    }
    // The last page of a class is taken only if no class has two.
    const bool is_last = loads[id].pages == 1;
    if (is_last != (loads[donor].pages == 1)) {
      if (!is_last) donor = id;
      continue;
    }
    const double loss = Loss(loads, id);
    const double least = Loss(loads, donor);
    if (loss < least || (loss <= least && loads[id].pages > loads[donor].pages)) donor = id;
  }
  return donor;
}

ClassId PageBalancer::ChooseSpare(ClassLoads loads, ClassId needy, const ClassSet& refused) {
  ClassId donor = 0;
  for (std::size_t at = 1; at < loads.size(); ++at) {
    const auto id = static_cast<ClassId>(at);
    if (id == needy || refused.test(id) || loads[id].spare_pages == 0) continue;
    LARDER_ASSERT(loads[id].spare_pages <= loads[id].pages);
    if (donor == 0 || loads[id].spare_pages > loads[donor].spare_pages) donor = id;
  }
  return donor;
}

double PageBalancer::GainPerPage(ClassLoads loads, ClassId id) const {
  const ClassId judged = JudgedClass(loads, id);
  LARDER_ASSERT(judged < loads.size());
  return gains_[judged] / WindowPages(loads[judged].pages);
}

double PageBalancer::Loss(ClassLoads loads, ClassId id) const {
  return loads[id].spare_pages != 0 ? 0 : GainPerPage(loads, id);
}

}  // namespace larder::slab
