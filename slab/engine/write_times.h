// WriteTimes: when a write was made, found by the number of the write.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace larder::slab {

// WriteTimes stores which number was the next to be drawn at which second. So items need no field
// for the time of their write: it follows from their number.
//
//   row   |number|second|     one for each second in which numbers were drawn; older ones thin out
//
// The second of a number of the last 16 seconds is exact; an older number may seem older than it
// is, by a sixteenth of its age at most.
//
// Threads:    Note: one thread. SecondOf and count: any thread, without a lock; they never wait.
// Owns:       32 KB of rows, whatever happens.
// Invariants: rows are in the order of their numbers and of their seconds. One of the two tables is
//             read; when it is full, the other one is written and then takes its place.
class WriteTimes {
 public:
  // The error of an age is at most the age divided by this.
  static constexpr std::uint32_t kErrorDivisor = 16;

  // Notes that the clock shows `now_s` and that no number from `number` on was drawn yet. A clock
  // that falls is not believed. REQUIRES: `number` does not fall from call to call.
  void Note(std::uint32_t now_s, std::uint64_t number) noexcept;
  // The second in which the number was drawn; 0 if nothing was noted yet. A number from before the
  // first note has the second of that note.
  std::uint32_t SecondOf(std::uint64_t number) const noexcept;

  // The number of rows in use.
  std::size_t count() const noexcept {
    return tables_[generation_.load(std::memory_order_acquire) % 2].count.load(
        std::memory_order_acquire);
  }

 private:
  // Rows of a table.
  static constexpr std::size_t kRowsMax = 1024;

  // Released by Note and acquired by readers: a reader that sees a row of a table that is being
  // rewritten then also sees that another table is to be read.
  struct Row {
    std::atomic<std::uint64_t> number{0};
    std::atomic<std::uint32_t> second{0};
  };
  struct Table {
    // Rows in use.
    std::atomic<std::size_t> count{0};
    std::array<Row, kRowsMax> rows;
  };

  // Adds a row at the end of a table.
  static void Append(Table& table, std::uint32_t second, std::uint64_t number) noexcept;
  // Copies the rows that are needed to the other table, which is read from then on.
  void Thin(std::uint32_t now_s) noexcept;

  std::array<Table, 2> tables_;
  // Counts the changes of tables. Its last bit says which table is read.
  std::atomic<std::uint32_t> generation_{0};
};

}  // namespace larder::slab
