// The thread that touches memory before it is needed.
#pragma once

#include <atomic>
#include <semaphore>
#include <thread>
#include <vector>

#include "slab/memory/growing_memory.h"

namespace larder::slab {

// MemoryWarmer sleeps until one of its memories grows, and once more when none has grown for a
// second, to give back what was not needed after all.
//
// Threads: Ask: any thread, never waits. Everything else: the one that creates it.
// Owns:    its thread. The memories must outlive it.
class MemoryWarmer {
 public:
  // Throws std::system_error when the system has no thread left.
  explicit MemoryWarmer(std::vector<GrowingMemory*> memories);
  ~MemoryWarmer();
  MemoryWarmer(const MemoryWarmer&) = delete;
  MemoryWarmer& operator=(const MemoryWarmer&) = delete;

  void Ask() noexcept {
    if (!is_asked_.exchange(true, std::memory_order_acq_rel)) wake_.release();
  }

 private:
  void Run();

  const std::vector<GrowingMemory*> memories_;
  std::atomic<bool> is_asked_{false};     // wake_ was released for a request not yet looked at.
  std::atomic<bool> is_stopping_{false};  // Written by the destructor.
  std::counting_semaphore<> wake_{0};
  std::thread thread_;
};

}  // namespace larder::slab
