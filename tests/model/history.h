// History: the calls of all threads for one key, and whether some order explains their results.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tests/model/checker.h"

namespace larder::model {

// A value is a letter, of which the bytes of the item consist.
using Letter = char;

// History notes what each thread has asked for one key, when it began and ended, and what came of
// it.
//
// Threads:    fibers of one exploration, of which one runs at a time.
class History {
 public:
  enum class Kind : std::uint8_t { kSet, kReplace, kGet, kDelete, kDrop };
  struct Call {
    Kind kind;
    std::uint64_t begin;
    std::uint64_t end;
    // kSet: what was stored; kReplace: the same, if there was an item. kGet: what was found, if
    // anything. kDelete: any letter if there was an item.
    std::optional<Letter> letter;
  };
  // Whether items may vanish by themselves, because memory is full.
  enum class Vanishing : bool { kNo, kYes };

  explicit History(std::optional<Letter> initially, Vanishing vanishing = Vanishing::kNo)
      : initially_(initially), vanishing_(vanishing) {}

  // Notes a call: `act` makes it and returns the letter of the Call.
  template <class Act>
  void Note(Kind kind, Act&& act);

  // Fails the execution unless the calls are linearizable: in some order, in which no call comes
  // before one that had ended when it began, each has the result that it would have had alone.
  void Check() const;

 private:
  bool HasOrder(const std::vector<Call>& left, std::optional<Letter> now) const;

  const std::optional<Letter> initially_;
  const Vanishing vanishing_;
  std::vector<Call> calls_;
};

template <class Act>
void History::Note(Kind kind, Act&& act) {
  Call call{.kind = kind, .begin = Tick(), .end = 0, .letter = {}};
  call.letter = act();
  call.end = Tick();
  calls_.push_back(call);
}

}  // namespace larder::model
