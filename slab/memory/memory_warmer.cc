#include "slab/memory/memory_warmer.h"

#include <chrono>
#include <utility>

#include "slab/sync/thread.h"

namespace larder::slab {
namespace {

// After this time without growth, spare memory is given back.
constexpr std::chrono::seconds kPauseOfGrowth{1};

}  // namespace

MemoryWarmer::MemoryWarmer(std::vector<GrowingMemory*> memories) : memories_(std::move(memories)) {
  // The thread is started first, because the system may refuse it. It waits until one of the
  // memories asks.
  thread_ = StartThread([this] { Run(); });
  for (GrowingMemory* memory : memories_) memory->SetWarmer(*this);
}

MemoryWarmer::~MemoryWarmer() {
  is_stopping_.store(true, std::memory_order_release);
  wake_.release();
  thread_.join();
}

void MemoryWarmer::Run() {
  bool has_spare = false;
  for (;;) {
    bool is_growing = true;
    // With spare memory, wait for growth for a limited time; otherwise there is nothing to give
    // back.
    if (has_spare) {
      is_growing = wake_.try_acquire_for(kPauseOfGrowth);
    } else {
      wake_.acquire();
    }
    if (is_stopping_.load(std::memory_order_acquire)) return;
    // Before the work, so that a request during it wakes the thread again.
    is_asked_.store(false, std::memory_order_release);
    for (GrowingMemory* memory : memories_) {
      is_growing ? memory->WarmAhead() : memory->GiveBackSpare();
    }
    has_spare = is_growing;
  }
}

}  // namespace larder::slab
