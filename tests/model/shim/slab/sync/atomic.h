// In place of slab/sync/atomic.h: atomics whose accesses are steps of the checker.
#pragma once

#include <atomic>
#include <cstddef>

#include "tests/model/steps.h"

namespace larder::slab {

// Atomic has the methods of std::atomic that the sources use. All its accesses are sequentially
// consistent.
//
// Threads:    fibers of one exploration, of which one runs at a time.
template <class T>
class Atomic {
 public:
  constexpr Atomic() noexcept = default;
  constexpr Atomic(T value) noexcept : value_(value) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load(std::memory_order = std::memory_order_seq_cst, const char* file = __builtin_FILE(),
         int line = __builtin_LINE()) const noexcept {
    model::BeforeAccess(this, model::Access::kRead, {file, line});
    return value_;
  }
  operator T() const noexcept { return load(); }
  void store(T value, std::memory_order = std::memory_order_seq_cst,
             const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept {
    (void)exchange(value, std::memory_order_seq_cst, file, line);
  }
  T exchange(T value, std::memory_order = std::memory_order_seq_cst,
             const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept {
    model::BeforeAccess(this, model::Access::kWrite, {file, line});
    const T before = value_;
    value_ = value;
    model::Wrote(this);
    return before;
  }
  T fetch_add(T n, std::memory_order = std::memory_order_seq_cst,
              const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept {
    model::BeforeAccess(this, model::Access::kWrite, {file, line});
    const T before = value_;
    value_ = static_cast<T>(before + n);
    model::Wrote(this);
    return before;
  }
  T fetch_or(T bits, std::memory_order = std::memory_order_seq_cst,
             const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept {
    model::BeforeAccess(this, model::Access::kWrite, {file, line});
    const T before = value_;
    value_ = static_cast<T>(before | bits);
    model::Wrote(this);
    return before;
  }
  // Fails only if the value is another one.
  bool compare_exchange_weak(T& expected, T value, std::memory_order, std::memory_order,
                             const char* file = __builtin_FILE(),
                             int line = __builtin_LINE()) noexcept {
    model::BeforeAccess(this, model::Access::kWrite, {file, line});
    if (value_ != expected) {
      expected = value_;
      return false;
    }
    value_ = value;
    model::Wrote(this);
    return true;
  }
  T fetch_sub(T n, std::memory_order order = std::memory_order_seq_cst,
              const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept {
    return fetch_add(static_cast<T>(0 - n), order, file, line);
  }

 private:
  T value_{};
};

}  // namespace larder::slab
