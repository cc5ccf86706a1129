// ReferenceRing: the sampled references on their way from the workers to the simulations.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "slab/mrc/reference.h"

namespace larder::slab {

// ReferenceRing is a queue of kSlots references at most; what finds it full is dropped and noted.
// All threads share one, so that references come out in the order in which they happened: a get
// that misses and the set that follows may come over two connections, of two workers.
//
//   slot   |turn|reference|    turn: the number of the reference that may be written here, or that
//                              number + 1 when it was written
//
// Threads:    Add: any thread; it never waits. Take and TookDrops: one thread at a time.
// Owns:       the queue: 48 KiB.
// Source:     the bounded queue of Dmitry Vyukov (1024cores.net), with one consumer.
class ReferenceRing {
 public:
  static constexpr std::uint32_t kSlots = 2048;

  ReferenceRing() {
    for (std::uint32_t i = 0; i < kSlots; ++i) {
      slots_[i].turn.store(i, std::memory_order_relaxed);
    }
  }
  ReferenceRing(const ReferenceRing&) = delete;
  ReferenceRing& operator=(const ReferenceRing&) = delete;

  void Add(const Reference& reference) noexcept {
    std::uint32_t at = end_.load(std::memory_order_relaxed);
    for (;;) {
      Slot& slot = slots_[at % kSlots];
      const std::uint32_t turn = slot.turn.load(std::memory_order_acquire);
      if (turn == at) {
        // Relaxed: it is the slot's turn that publishes the reference.
        if (!end_.compare_exchange_weak(at, at + 1, std::memory_order_relaxed)) continue;
        slot.reference = reference;
        slot.turn.store(at + 1, std::memory_order_release);
        return;
      }
      // A turn behind: the slot has an older reference, so the ring is full.
      if (static_cast<std::int32_t>(turn - at) < 0) return NoteDrop();
      at = end_.load(std::memory_order_relaxed);
    }
  }

  // References that are in the ring now, or are being added.
  std::uint32_t count() const noexcept { return end_.load(std::memory_order_relaxed) - begin_; }
  // Takes the oldest reference out; nothing if there is none, or if it is being written.
  std::optional<Reference> Take() noexcept {
    Slot& slot = slots_[begin_ % kSlots];
    if (slot.turn.load(std::memory_order_acquire) != begin_ + 1) return std::nullopt;
    const Reference reference = slot.reference;
    slot.turn.store(begin_ + kSlots, std::memory_order_release);
    ++begin_;
    return reference;
  }
  // Whether references were dropped since the last call.
  bool TookDrops() noexcept {
    return has_dropped_.load(std::memory_order_relaxed) &&
           has_dropped_.exchange(false, std::memory_order_relaxed);
  }

 private:
  struct Slot {
    std::atomic<std::uint32_t> turn;
    Reference reference;
  };

  // Written once only, so that workers do not fight for its cache line.
  void NoteDrop() noexcept {
    if (has_dropped_.load(std::memory_order_relaxed)) return;
    has_dropped_.store(true, std::memory_order_relaxed);
  }

  std::array<Slot, kSlots> slots_;
  // The number of the next reference; wraps. Written by all threads that add.
  alignas(64) std::atomic<std::uint32_t> end_{0};
  std::atomic<bool> has_dropped_{false};
  // The number of the oldest reference; wraps. For the thread that takes.
  alignas(64) std::uint32_t begin_ = 0;
};

}  // namespace larder::slab
