// Background, the thread for work that no client waits for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "server/authenticator.h"
#include "server/certificates.h"
#include "server/clock.h"
#include "server/shared.h"
#include "slab/lane.h"

namespace larder::slab {
class Cache;
class ExpirySweep;
}  // namespace larder::slab

namespace larder::server {

// Background maintains the cache, the password files and the certificates in short turns, with a
// pause after each. Between the turns it executes slices of the sweep for expired items.
//
// Threads: Start, Begin and Stop: one thread; FinishTurn: any thread.
// Owns:    its thread. The arguments of the constructor must outlive it.
class Background {
 public:
  // Adds a lane to the cache. Does not start the thread. `certificates` is null without TLS.
  Background(slab::Cache& cache, const Clock& clock, slab::ExpirySweep& sweep,
             Authenticator& authenticator, WatchHub& watch, Certificates* certificates);
  ~Background() { Stop(); }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Starts the thread, which waits for Begin(). Throws std::system_error if the system refuses.
  void Start();
  // Lets the thread begin its work.
  void Begin();
  // Returns when the turn that is under way, and the thread, have ended. Without Start() it does
  // nothing.
  void Stop();

  // For tests: makes a turn begin at once, and returns after that turn and a slice of the sweep.
  // REQUIRES: Begin was called, and Stop was not.
  void FinishTurn();

 private:
  // The function of the thread.
  void Run();
  // One turn.
  void Turn();

  slab::Cache& cache_;
  const Clock& clock_;
  slab::ExpirySweep& sweep_;
  Authenticator& authenticator_;
  Certificates* const certificates_;
  // The lane of the thread, which no other thread uses.
  slab::Lane& lane_;
  std::thread thread_;

  std::mutex mutex_;  // Guards all below.
  // Signals every change of the fields below.
  std::condition_variable changed_;
  bool has_begun_ = false;
  bool is_stopping_ = false;
  // FinishTurn() wants a turn without a pause before it.
  bool is_wanted_ = false;
  // How many turns have begun and ended since the start; equal between two turns.
  std::uint64_t turns_begun_ = 0;
  std::uint64_t turns_ended_ = 0;
};

}  // namespace larder::server
