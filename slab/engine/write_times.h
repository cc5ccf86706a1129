// When a write was made, by its number.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace larder::slab {

// WriteTimes remembers which number was the next to be drawn at which second. So items need no
// field for the time of their write: it follows from their number.
//
//   row   |number|second|     a row for each second in which numbers were drawn; older ones thin
//   out
//
// A number of the last 16 seconds is known to the second; an older one may seem older than it is,
// by a sixteenth of its age at most.
//
// Threads: Note: one thread. SecondOf: any thread, without a lock; it never waits.
// Owns:    32 KB, whatever happens.
// Invariants: rows are in the order of their numbers and of their seconds. Of the two tables one is
//             read; the other is written when that is full, and then takes its place.
class WriteTimes {
 public:
  static constexpr std::uint32_t kErrorDivisor = 16;

  // The clock shows `now_s`, and no number from `number` on was drawn yet. Neither ever falls.
  void Note(std::uint32_t now_s, std::uint64_t number) noexcept;
  // 0 if nothing was noted yet. A number from before the first note has that one's second.
  std::uint32_t SecondOf(std::uint64_t number) const noexcept;

  // Rows in use.
  std::size_t count() const noexcept {
    return tables_[generation_.load(std::memory_order_acquire) % 2].count.load(
        std::memory_order_acquire);
  }

 private:
  static constexpr std::size_t kRowsMax = 1024;

  // Released by Note and acquired by readers, so that who sees a row of a table that was read
  // before sees that another is read now.
  struct Row {
    std::atomic<std::uint64_t> number{0};
    std::atomic<std::uint32_t> second{0};
  };
  struct Table {
    std::atomic<std::size_t> count{0};
    std::array<Row, kRowsMax> rows;
  };

  static void Append(Table& table, std::uint32_t second, std::uint64_t number) noexcept;
  void Thin(std::uint32_t now_s) noexcept;

  std::array<Table, 2> tables_;
  std::atomic<std::uint32_t> generation_{0};  // Its last bit: the table that is read.
};

}  // namespace larder::slab
