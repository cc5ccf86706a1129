// SparePages: whether a slab class has a page that it could do without.
#pragma once

#include <atomic>
#include <cstdint>

#include "slab/check.h"

namespace larder::slab {

// SparePages counts the classes whose free chunks would fill a page. Such a class can give a page
// away and lose nothing. A store asks here before something that is alive is evicted for it.
//
// Threads:    any thread. The answers are hints: they may be out of date when they are used.
class SparePages {
 public:
  // Whether a class offers a page. Always false while offers are suspended.
  bool any() const {
    return offers_.load(std::memory_order_relaxed) != 0 &&
           !is_suspended_.load(std::memory_order_relaxed);
  }

  // Called by a class when it has a page to spare, and when it has none any more, in turn.
  void Offer() { offers_.fetch_add(1, std::memory_order_relaxed); }
  void Withdraw() {
    const std::uint32_t before = offers_.fetch_sub(1, std::memory_order_relaxed);
    LARDER_ASSERT(before > 0);
  }

  // No page can be had at the moment, because each has a chunk that is in use. Until Resume, stores
  // shall not look for one again and again.
  void Suspend() { is_suspended_.store(true, std::memory_order_relaxed); }
  void Resume() { is_suspended_.store(false, std::memory_order_relaxed); }

 private:
  // The classes that have a page to spare.
  std::atomic<std::uint32_t> offers_{0};
  std::atomic<bool> is_suspended_{false};
};

}  // namespace larder::slab
