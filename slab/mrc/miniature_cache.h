// MiniatureCache: what a cache of another size would hold of the sampled keys.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "slab/classes/page_balancer.h"
#include "slab/mrc/miniature_queue.h"
#include "slab/mrc/sampled_keys.h"
#include "slab/policies.h"

namespace larder::slab {

// MiniatureCache simulates a cache of one size. Its slab classes are coarser than those of the
// cache, because few sampled keys fall into each: items of sizes within a factor of two share a
// queue. Pages go to the queues as they go to classes: on demand as long as there are free ones,
// then by the decisions of a PageBalancer. A page holds as much as a page of the cache, times the
// rate of the sample.
//
// Threads:    one thread.
// Owns:       its queues. The keys lie in SampledKeys, which must outlive it.
// Invariants: a queue holds at most what its pages hold, except after its keys grew or it lost
//             pages, until its next insertion.
class MiniatureCache {
 public:
  // Classes are numbered from 1, as the PageBalancer wants it: up to 127 bytes, 255, and so on; the
  // last one has all that is larger.
  static constexpr std::size_t kClasses = 12;
  static std::size_t ClassOf(std::uint32_t bytes) {
    constexpr int kFirstBits = 7;
    return static_cast<std::size_t>(std::clamp(
        static_cast<int>(std::bit_width(bytes)) - kFirstBits + 1, 1, static_cast<int>(kClasses)));
  }

  // `size` is the number of the simulation.
  MiniatureCache(SampledKeys& keys, std::size_t size);

  // Sets the number of pages, and the rate of the sample.
  void SetPages(std::uint32_t pages) { pages_ = pages; }
  void set_rate(double rate) { rate_ = rate; }
  void set_policy(EvictionPolicy policy);

  // Counts a use of a key. REQUIRES: it is held.
  void Hit(SampledKeyId id) { QueueOf(id).Hit(id); }
  // Enters a key that was stored, if it fits; calls evicted(id) for each key that had to go.
  // REQUIRES: it is not held.
  template <class Evicted>
  void Insert(SampledKeyId id, const Now& now, const Evicted& evicted);
  // Takes a key out. REQUIRES: it is held.
  void Remove(SampledKeyId id) { QueueOf(id).Remove(id); }
  // Follows a change of the bytes of a key that is held, to key.bytes.
  void Resize(SampledKeyId id, std::uint32_t old_bytes);
  // Moves pages between the classes, if that would bring more hits. Call it often.
  void Balance();

  std::uint64_t bytes() const;
  std::uint64_t count() const;
  void CheckInvariants() const;

 private:
  struct Class {
    std::unique_ptr<MiniatureQueue> queue;
    // Its pages, and what the balancer is told; what only grows there counts each key of the
    // sample as the keys that it stands for.
    ClassLoad load;
    // What the queue had counted when `load` was brought up to date.
    std::uint64_t seen_near_ghosts = 0;
    std::uint64_t seen_evicted_bytes = 0;
    std::uint64_t seen_hits = 0;
  };
  using Loads = std::array<ClassLoad, kClasses + 1>;

  MiniatureQueue& QueueOf(SampledKeyId id) { return *classes_[ClassOf(keys_.At(id).bytes)].queue; }
  std::uint64_t Capacity(const Class& c) const {
    return static_cast<std::uint64_t>(c.load.pages * rate_ * kPageBytes);
  }
  std::uint32_t UsedPages() const;
  // How many keys a key of the sample stands for where the balancer counts.
  std::uint64_t Weight() const;
  void SetPages(Class& c, std::uint32_t pages);
  void GrowFor(Class& c, std::uint32_t bytes);
  // Takes a page from the class that loses least by it. False if there is none.
  bool TakePageFor(std::size_t id);
  // Brings the load of a class up to date.
  void Update(Class& c);
  Loads MakeLoads();

  SampledKeys& keys_;
  std::uint32_t pages_ = 0;
  double rate_ = 1;
  // By class; [0] is a placeholder.
  std::array<Class, kClasses + 1> classes_;
  // Stores, and how many of all keys they stand for.
  std::uint64_t stores_ = 0;
  std::uint64_t seen_stores_ = 0;
  std::uint64_t weighted_stores_ = 0;
  PageBalancer balancer_;
};

template <class Evicted>
void MiniatureCache::Insert(SampledKeyId id, const Now& now, const Evicted& evicted) {
  ++stores_;
  const std::uint32_t bytes = keys_.At(id).bytes;
  // What is larger than the whole cache would empty it.
  if (bytes > static_cast<double>(pages_) * rate_ * kPageBytes) return;
  const std::size_t own = ClassOf(bytes);
  Class& c = classes_[own];
  GrowFor(c, bytes);
  // First what is there goes, then another class has to give pages.
  while (c.queue->bytes() + bytes > Capacity(c)) {
    if (c.queue->count() > 0) {
      evicted(c.queue->Evict(now));
    } else if (!TakePageFor(own)) {
      return;
    }
  }
  // Those that gave pages, or whose keys have grown, follow.
  for (Class& other : classes_) {
    if (other.queue == nullptr) continue;
    while (other.queue->count() > 0 && &other != &c && other.queue->bytes() > Capacity(other)) {
      evicted(other.queue->Evict(now));
    }
  }
  c.queue->Insert(id);
}

}  // namespace larder::slab
