// Threads that run at once, for tests of concurrency.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

namespace larder::slab {

// The threads that tests of concurrency start.
inline constexpr std::size_t kWorkers = 4;

// Runs the functions at once, a thread for each.
inline void RunTogether(const std::vector<std::function<void()>>& all) {
  std::atomic<std::size_t> ready{0};
  std::vector<std::thread> threads;
  for (const auto& each : all) {
    threads.emplace_back([&] {
      ++ready;
      while (ready < all.size()) std::this_thread::yield();
      each();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace larder::slab
