// OneKey: what the scenarios with a cache have in common.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "tests/model/checker.h"
#include "tests/model/history.h"
#include "tests/model/model_cache.h"

namespace larder::model {

using Bodies = std::vector<std::function<void()>>;

// OneKey is a scenario with a cache, a lane for each of its threads, and the history of the key
// "k". After each execution the cache must be sound, and the history explained by an order of its
// calls and of a last get.
//
// Threads:    fibers of one exploration, of which one runs at a time.
// Owns:       the cache.
class OneKey : public Scenario {
 public:
  OneKey(std::uint32_t pages, std::optional<Letter> initially,
         History::Vanishing vanishing = History::Vanishing::kNo)
      : cache_(pages), main_(cache_.NewLane()), history_(initially, vanishing) {
    for (slab::Lane*& lane : lanes_) lane = &cache_.NewLane();
    // Maps all memory that a check reads: no copy of the process has to do that then.
    cache_.Check();
  }

  void Check() override {
    Get(main_);
    history_.Check();
    cache_.Check();
  }

 protected:
  static constexpr const char* kKey = "k";

  // These note in the history what they do.
  void Set(Letter letter, Size size, slab::Lane& lane) {
    history_.Note(History::Kind::kSet, [&] {
      cache_.Set(kKey, letter, size, lane);
      return std::optional(letter);
    });
  }
  void Get(slab::Lane& lane) {
    history_.Note(History::Kind::kGet, [&] { return cache_.Get(kKey, lane); });
  }
  void GetPinned(slab::Lane& lane) {
    history_.Note(History::Kind::kGet, [&] { return cache_.GetPinned(kKey, lane); });
  }
  void Delete(slab::Lane& lane) {
    history_.Note(History::Kind::kDelete,
                  [&] { return cache_.Delete(kKey, lane) ? std::optional('x') : std::nullopt; });
  }
  void Replace(Letter letter, Size size, slab::Lane& lane) {
    history_.Note(History::Kind::kReplace, [&] {
      return cache_.Replace(kKey, letter, size, lane) ? std::optional(letter) : std::nullopt;
    });
  }
  void Change(Letter letter, slab::Lane& lane) {
    history_.Note(History::Kind::kReplace, [&] {
      return cache_.Change(kKey, letter, lane) ? std::optional(letter) : std::nullopt;
    });
  }
  void Drop() {
    history_.Note(History::Kind::kDrop, [&] {
      cache_.Drop(kKey);
      return std::optional<Letter>();
    });
  }
  slab::Lane& lane(std::size_t thread) { return *lanes_.at(thread); }

  ModelCache cache_;
  // For what is done before and after the threads.
  slab::Lane& main_;

 private:
  History history_;
  std::array<slab::Lane*, 3> lanes_{};
};

}  // namespace larder::model
