// MemoryWarmer: the thread that touches memory before it is needed.
#pragma once

#include <atomic>
#include <semaphore>
#include <thread>
#include <vector>

#include "slab/memory/growing_memory.h"

namespace larder::slab {

// MemoryWarmer sleeps until one of its memories grows, and touches memory ahead of it. When none
// has grown for a second, it gives the memory that was not needed back.
//
// Threads:    Ask: any thread, never waits. Constructor and destructor: one thread.
// Owns:       its thread. The memories must outlive it.
class MemoryWarmer {
 public:
  // Throws std::system_error when the system has no thread left.
  explicit MemoryWarmer(std::vector<GrowingMemory*> memories);
  ~MemoryWarmer();
  MemoryWarmer(const MemoryWarmer&) = delete;
  MemoryWarmer& operator=(const MemoryWarmer&) = delete;

  // Wakes the thread, because a memory has grown.
  void Ask() noexcept {
    if (!is_asked_.exchange(true, std::memory_order_acq_rel)) wake_.release();
  }

 private:
  // The loop of the thread.
  void Run();

  const std::vector<GrowingMemory*> memories_;
  // wake_ was released for a request that the thread has not seen yet.
  std::atomic<bool> is_asked_{false};
  // Set by the destructor: the thread ends.
  std::atomic<bool> is_stopping_{false};
  std::counting_semaphore<> wake_{0};
  std::thread thread_;
};

}  // namespace larder::slab
