#include "slab/engine/write_times.h"

#include "slab/check.h"

namespace larder::slab {

// Adds a row. The count is released last, so that a reader that sees it sees the row.
void WriteTimes::Append(Table& table, std::uint32_t second, std::uint64_t number) noexcept {
  const std::size_t count = table.count.load(std::memory_order_relaxed);
  LARDER_CHECK(count < kRowsMax);
  table.rows[count].number.store(number, std::memory_order_release);
  table.rows[count].second.store(second, std::memory_order_release);
  table.count.store(count + 1, std::memory_order_release);
}

// A row holds the first number that can be drawn in its second. Rows with the same number are
// merged.
void WriteTimes::Note(std::uint32_t now_s, std::uint64_t number) noexcept {
  Table& table = tables_[generation_.load(std::memory_order_relaxed) % 2];
  const std::size_t count = table.count.load(std::memory_order_relaxed);
  LARDER_ASSERT(count == 0 ||
                number >= table.rows[count - 1].number.load(std::memory_order_relaxed));
  if (count == 0) return Append(table, now_s, number);
  Row& last = table.rows[count - 1];
  if (now_s <= last.second.load(std::memory_order_relaxed)) return;
  if (number == last.number.load(std::memory_order_relaxed)) {
    // No number was drawn since: the next one will be drawn now or later.
    last.second.store(now_s, std::memory_order_release);
    return;
  }
  if (count < kRowsMax) return Append(table, now_s, number);
  // The table is full: make a thinner copy in the other table, which readers use from then on.
  Thin(now_s);
  Note(now_s, number);
}

// Copies the table without each row that can be spared: if the step from the row before it to the
// row behind it is no more than a sixteenth of the latter's age. Two steps that are left exceed
// that together, so 2 * 16 * ln(age) rows are left: fewer than 700 after a century.
void WriteTimes::Thin(std::uint32_t now_s) noexcept {
  const std::uint32_t generation = generation_.load(std::memory_order_relaxed);
  const Table& full = tables_[generation % 2];
  Table& thin = tables_[(generation + 1) % 2];
  const auto second_of = [&](std::size_t row) {
    return full.rows[row].second.load(std::memory_order_relaxed);
  };
  thin.count.store(0, std::memory_order_release);
  std::uint32_t kept_s = second_of(0);
  for (std::size_t row = 0; row < kRowsMax; ++row) {
    const bool is_at_an_end = row == 0 || row + 1 == kRowsMax;
    if (!is_at_an_end) {
      const std::uint32_t next_s = second_of(row + 1);
      if (next_s - kept_s <= (now_s - next_s) / kErrorDivisor) continue;
    }
    kept_s = second_of(row);
    Append(thin, kept_s, full.rows[row].number.load(std::memory_order_relaxed));
  }
  // From here on readers use the new table.
  generation_.store(generation + 1, std::memory_order_release);
}

std::uint32_t WriteTimes::SecondOf(std::uint64_t number) const noexcept {
  for (;;) {
    const std::uint32_t generation = generation_.load(std::memory_order_acquire);
    const Table& table = tables_[generation % 2];
    // Binary search for the last row whose number is not greater; if there is none, the first row,
    // which has second 0 before the first note. A count of 0 may also be that of a table that is
    // being rewritten.
    std::size_t left = table.count.load(std::memory_order_acquire);
    std::size_t at = 0;
    while (left > 1) {
      const std::size_t half = left / 2;
      if (table.rows[at + half].number.load(std::memory_order_acquire) <= number) at += half;
      left -= half;
    }
    const std::uint32_t second = table.rows[at].second.load(std::memory_order_acquire);
    // Otherwise a whole table was filled meanwhile, which takes minutes: search again.
    if (generation_.load(std::memory_order_relaxed) == generation) return second;
  }
}

}  // namespace larder::slab
