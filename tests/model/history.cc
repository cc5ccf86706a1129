#include "tests/model/history.h"

#include <algorithm>
#include <cstddef>

namespace larder::model {
namespace {

// True if the call has this result when the key has the value `now`. Sets `now` to the value after
// it.
bool Explains(const History::Call& call, std::optional<Letter>& now) {
  switch (call.kind) {
    case History::Kind::kSet:
      now = call.letter;
      return true;
    case History::Kind::kReplace:
      if (now.has_value() != call.letter.has_value()) return false;
      now = call.letter;
      return true;
    case History::Kind::kGet:
      return now == call.letter;
    case History::Kind::kDrop:
      now.reset();
      return true;
    case History::Kind::kDelete: {
      const bool was_there = now.has_value();
      now.reset();
      return was_there == call.letter.has_value();
    }
  }
  return false;
}

}  // namespace

// Tries each call that may be the first of those that are left.
bool History::HasOrder(const std::vector<Call>& left, std::optional<Letter> now) const {
  if (left.empty()) return true;
  const std::uint64_t first_end =
      std::ranges::min_element(left, {}, [](const Call& call) { return call.end; })->end;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (left[i].begin > first_end) continue;
    std::vector<Call> rest = left;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
    std::optional<Letter> after = now;
    if (Explains(left[i], after) && HasOrder(rest, after)) return true;
    if (vanishing_ == Vanishing::kNo || !now) continue;
    after.reset();
    if (Explains(left[i], after) && HasOrder(rest, after)) return true;
  }
  return false;
}

void History::Check() const {
  Require(HasOrder(calls_, initially_), "no order of the calls explains their results");
}

}  // namespace larder::model
