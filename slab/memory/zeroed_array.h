// ZeroedArray: a large array that takes memory only for the parts that are touched.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "slab/check.h"

namespace larder::slab {

// Bytes of a huge page.
inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

// Makes the kernel back `bytes` of memory; the contents do not change. Returns false if it cannot:
// before Linux 5.14, or without memory.
inline bool Populate(void* memory, std::size_t bytes) {
#ifdef MADV_POPULATE_WRITE
  return madvise(memory, bytes, MADV_POPULATE_WRITE) == 0;
#else
  (void)memory;
  (void)bytes;
  return false;
#endif
}

// Makes the kernel back `bytes` of fresh memory now, so that no thread waits for it later: the
// first touch of a huge page takes 0.3 ms, and was seen to take 10 and more on virtual machines.
// REQUIRES: the memory was never written to.
inline void Prefault(void* memory, std::size_t bytes) {
  constexpr std::size_t kPageBytesMin = 4096;
  if (Populate(memory, bytes)) return;
  for (std::size_t at = 0; at < bytes; at += kPageBytesMin) {
    static_cast<volatile char*>(memory)[at] = 0;
  }
}

// Whether the kernel is asked to use huge pages.
enum class HugePages : bool { kNo, kAdvise };

// ZeroedArray<T> maps room for elements that the kernel fills with zeros when they are first
// touched.
//
// Threads:    immutable; the elements as T says.
// Owns:       the mapping. Elements are never constructed nor destroyed, so all-zero bytes must be
//             a valid T.
template <class T>
class ZeroedArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  // An array without room; ok() is false.
  ZeroedArray() = default;
  // Maps room for `size` elements. REQUIRES: the caller checks ok() before use: it is false if the
  // kernel refused, with the reason in errno.
  ZeroedArray(std::uint64_t size, HugePages huge) : bytes_(RoundUp(size * sizeof(T))) {
    void* range = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) return;
    if (huge == HugePages::kAdvise && bytes_ > kSmallBytes) {
      (void)madvise(static_cast<char*>(range) + kSmallBytes, bytes_ - kSmallBytes, MADV_HUGEPAGE);
    }
    elements_ = static_cast<T*>(range);
  }
  ZeroedArray(ZeroedArray&& other) noexcept
      : elements_(std::exchange(other.elements_, nullptr)), bytes_(other.bytes_) {}
  ZeroedArray& operator=(ZeroedArray&&) = delete;
  ~ZeroedArray() {
    if (elements_ != nullptr) munmap(elements_, bytes_);
  }

  // True if there is a mapping.
  bool ok() const { return elements_ != nullptr; }
  // Takes the memory of the first `count` elements from the system now.
  void PrefaultFirst(std::uint64_t count) const {
    Prefault(elements_, std::min(bytes_, static_cast<std::size_t>(count * sizeof(T))));
  }
  // The element; const, because the array itself does not change. REQUIRES: ok(); index is less
  // than the size.
  T& operator[](std::uint64_t index) const {
    LARDER_ASSERT(ok());
    LARDER_ASSERT(index < bytes_ / sizeof(T));
    return elements_[index];
  }
  // The first element; nullptr if not ok().
  T* data() const { return elements_; }
  // Bytes of the mapping: the size of the elements, rounded up to huge pages.
  std::size_t bytes() const { return bytes_; }

 private:
  // Huge pages begin behind this many bytes, so that a small cache does not pay 2 MiB for its last
  // few bytes.
  static constexpr std::size_t kSmallBytes = std::size_t{4} << 20;

  static std::size_t RoundUp(std::uint64_t bytes) {
    return (bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  }

  T* elements_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace larder::slab
