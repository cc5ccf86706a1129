// The thread for work that nobody waits for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "server/authenticator.h"
#include "server/clock.h"
#include "slab/cache.h"
#include "slab/expiry_sweep.h"

namespace larder::server {

// Background looks after the cache and the files of passwords in short turns, with a pause behind
// each; slices of the sweep come in between.
//
// Threads: Start, Release and Stop: one thread; FinishTurn: any thread.
// Owns:    its thread. What it is made with must outlive it.
class Background {
 public:
  Background(slab::Cache& cache, const Clock& clock, slab::ExpirySweep& sweep,
             Authenticator& authenticator);
  ~Background() { Stop(); }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // The thread, which does nothing yet. Throws std::system_error when the system refuses it.
  void Start();
  // Has it begin.
  void Release();
  // Ends the turn that is under way, and the thread.
  void Stop();

  // Tests: has a turn begin now, and returns behind it and a slice of the sweep. REQUIRES:
  // Release was called.
  void FinishTurn();

 private:
  void Run();
  void Turn();

  slab::Cache& cache_;
  const Clock& clock_;
  slab::ExpirySweep& sweep_;
  Authenticator& authenticator_;
  slab::Lane& lane_;
  std::thread thread_;

  std::mutex mutex_;  // Guards all below.
  std::condition_variable changed_;
  bool is_released_ = false;
  bool is_stopping_ = false;
  bool is_wanted_ = false;  // A turn, without a pause before it.
  std::uint64_t turns_begun_ = 0;
  std::uint64_t turns_ended_ = 0;
};

}  // namespace larder::server
