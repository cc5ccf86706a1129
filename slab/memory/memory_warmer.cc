#include "slab/memory/memory_warmer.h"

#include <chrono>
#include <utility>

namespace larder::slab {
namespace {

constexpr std::chrono::seconds kPauseOfGrowth{1};

}  // namespace

MemoryWarmer::MemoryWarmer(std::vector<GrowingMemory*> memories) : memories_(std::move(memories)) {
  // First, as the system may refuse it. It waits for the first of them to ask.
  thread_ = std::thread([this] { Run(); });
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
    if (has_spare) {
      is_growing = wake_.try_acquire_for(kPauseOfGrowth);
    } else {
      wake_.acquire();
    }
    if (is_stopping_.load(std::memory_order_acquire)) return;
    is_asked_.store(false, std::memory_order_release);
    for (GrowingMemory* memory : memories_) {
      is_growing ? memory->WarmAhead() : memory->GiveBackSpare();
    }
    has_spare = is_growing;
  }
}

}  // namespace larder::slab
