#include "slab/mrc/miniature_cache.h"

#include <utility>

#include "slab/check.h"

namespace larder::slab {
namespace {

// A key of the sample stands for 1 / rate keys where the balancer counts, but for no more than
// this: else it would act on single events.
constexpr double kWeightMax = 8;
// As in PageMover.
constexpr std::uint64_t kUrgentGhosts = 8;

}  // namespace

MiniatureCache::MiniatureCache(SampledKeys& keys, std::size_t size) : keys_(keys) {
  for (std::size_t id = 1; id <= kClasses; ++id) {
    classes_[id].queue = std::make_unique<MiniatureQueue>(keys, size);
  }
}

void MiniatureCache::set_policy(EvictionPolicy policy) {
  for (std::size_t id = 1; id <= kClasses; ++id) classes_[id].queue->set_policy(policy);
}

void MiniatureCache::Resize(SampledKeyId id, std::uint32_t old_bytes) {
  SampledKey& key = keys_.At(id);
  MiniatureQueue& before = *classes_[ClassOf(old_bytes)].queue;
  MiniatureQueue& after = QueueOf(id);
  if (&before == &after) return before.Resize(old_bytes, key.bytes);
  const std::uint32_t bytes = std::exchange(key.bytes, old_bytes);
  before.Remove(id);
  key.bytes = bytes;
  after.Insert(id);
}

std::uint32_t MiniatureCache::UsedPages() const {
  std::uint32_t used = 0;
  for (const Class& c : classes_) used += c.load.pages;
  return used;
}

std::uint64_t MiniatureCache::Weight() const {
  return static_cast<std::uint64_t>(std::min(1 / rate_, kWeightMax) + 0.5);
}

void MiniatureCache::SetPages(Class& c, std::uint32_t pages) {
  const std::uint32_t before = std::exchange(c.load.pages, pages);
  if (pages > before) c.queue->NoteGrowth(static_cast<double>(pages - before) / pages);
  const double window = PageBalancer::WindowPages(pages);
  c.queue->set_near_share(pages == 0 ? 0 : window / pages);
}

void MiniatureCache::GrowFor(Class& c, std::uint32_t bytes) {
  std::uint32_t used = UsedPages();
  for (; used < pages_ && c.queue->bytes() + bytes > Capacity(c); ++used) {
    SetPages(c, c.load.pages + 1);
  }
}

bool MiniatureCache::TakePageFor(std::size_t id) {
  const Loads loads = MakeLoads();
  const ClassId from = balancer_.ChooseDonor(loads, static_cast<ClassId>(id), ClassSet(), 1);
  if (from == 0) return false;
  SetPages(classes_[from], classes_[from].load.pages - 1);
  if (id != 0) SetPages(classes_[id], classes_[id].load.pages + 1);
  return true;
}

void MiniatureCache::Update(Class& c) {
  const MiniatureQueue& queue = *c.queue;
  const auto fresh = [](std::uint64_t now, std::uint64_t& seen) {
    return now - std::exchange(seen, now);
  };
  const std::uint64_t weight = Weight();
  c.load.near_ghosts += weight * fresh(queue.near_ghosts(), c.seen_near_ghosts);
  c.load.hits += weight * fresh(queue.hits(), c.seen_hits);
  c.load.items = weight * queue.count();
  c.load.evicted_bytes += static_cast<std::uint64_t>(
      static_cast<double>(fresh(queue.evicted_bytes(), c.seen_evicted_bytes)) / rate_);
  const std::uint64_t capacity = Capacity(c);
  const std::uint64_t unused = capacity - std::min(capacity, queue.bytes());
  c.load.spare_pages =
      static_cast<std::uint32_t>(static_cast<double>(unused) / (rate_ * kPageBytes));
}

MiniatureCache::Loads MiniatureCache::MakeLoads() {
  Loads loads;
  for (std::size_t id = 1; id <= kClasses; ++id) {
    Update(classes_[id]);
    loads[id] = classes_[id].load;
  }
  return loads;
}

void MiniatureCache::Balance() {
  // A lowered limit, first.
  while (UsedPages() > pages_ && TakePageFor(0)) {
  }
  weighted_stores_ += Weight() * (stores_ - std::exchange(seen_stores_, stores_));
  const auto plan = balancer_.Observe(MakeLoads(), weighted_stores_, kUrgentGhosts * Weight());
  if (!plan || UsedPages() < pages_) return;
  const std::uint32_t pages = std::min(plan->pages, classes_[plan->from].load.pages);
  SetPages(classes_[plan->from], classes_[plan->from].load.pages - pages);
  SetPages(classes_[plan->to], classes_[plan->to].load.pages + pages);
}

std::uint64_t MiniatureCache::bytes() const {
  std::uint64_t bytes = 0;
  for (std::size_t id = 1; id <= kClasses; ++id) bytes += classes_[id].queue->bytes();
  return bytes;
}

std::uint64_t MiniatureCache::count() const {
  std::uint64_t count = 0;
  for (std::size_t id = 1; id <= kClasses; ++id) count += classes_[id].queue->count();
  return count;
}

void MiniatureCache::CheckInvariants() const {
  for (std::size_t id = 1; id <= kClasses; ++id) classes_[id].queue->CheckInvariants();
}

}  // namespace larder::slab
