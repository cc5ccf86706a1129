// Sweeps and page moves.
#include <string>
#include <vector>

#include "tests/model/one_key.h"
#include "tests/model/scenarios.h"

namespace larder::model {
namespace {

using slab::PageWalk;

// A dead item is swept, deleted and stored anew.
class SweepDead : public OneKey {
 public:
  SweepDead() : OneKey(2, std::nullopt) {
    cache_.Set(kKey, 'd', kMedium, main_, ModelCache::kLongAgoS);
  }
  Bodies Threads() override {
    return {[this] { cache_.Sweep(PageWalk(), lane(0)); }, [this] { Delete(lane(1)); },
            [this] { Set('a', kMedium, lane(2)); }};
  }
};

// A class with two pages: the first has room for three items, the second has only the key. The
// second is to go back to the arena.
class PageMove : public OneKey {
 public:
  explicit PageMove(std::uint32_t expires_at_s = 0)
      : OneKey(4, expires_at_s == 0 ? std::optional('i') : std::nullopt) {
    cache_.FillPage(kLarge, main_);
    cache_.Set(kKey, 'i', kLarge, main_, expires_at_s);
    for (int number = 100; number < 103; ++number) {
      (void)cache_.Delete("old" + std::to_string(number), main_);
    }
    cache_.AskForPage(kLarge);
  }

 protected:
  void Move() { cache_.cache().BalancePages(lane(0)); }
};

// The item is stored and read while its page is emptied.
class MoveStored : public PageMove {
 public:
  Bodies Threads() override {
    return {[this] { Move(); }, [this] { Set('a', kLarge, lane(1)); },
            [this] { GetPinned(lane(2)); }};
  }
};

// The item is deleted, and its chunk has another item.
class MoveReused : public PageMove {
 public:
  Bodies Threads() override {
    return {[this] { Move(); },
            [this] {
              Delete(lane(1));
              cache_.Set("other", 'o', kLarge, lane(1));
            },
            [this] { Get(lane(2)); }};
  }
};

// The item is dead, and swept.
class MoveSwept : public PageMove {
 public:
  MoveSwept() : PageMove(ModelCache::kLongAgoS) {}
  Bodies Threads() override {
    return {[this] { Move(); }, [this] { cache_.Sweep({.page = 1, .chunk = 0}, lane(1)); },
            [this] { Set('a', kLarge, lane(2)); }};
  }
};

// The page has chunks in a lane's magazine, and items that are not queued yet.
class MoveMagazine : public OneKey {
 public:
  MoveMagazine() : OneKey(4, std::nullopt) {
    cache_.FillPage(kSmall, main_);
    cache_.Set("last", 'i', kSmall, main_);
    for (int number = 100; number < 110; ++number) {
      (void)cache_.Delete("old" + std::to_string(number), main_);
    }
    cache_.AskForPage(kSmall);
  }
  Bodies Threads() override {
    return {[this] { cache_.cache().BalancePages(lane(0)); },
            [this] {
              Set('a', kSmall, lane(1));
              Set('b', kSmall, lane(1));
            }};
  }
};

}  // namespace

std::vector<NamedScenario> PageScenarios() {
  return {{"sweep_dead", MakeScenario<SweepDead>},
          {"move_stored", MakeScenario<MoveStored>},
          {"move_reused", MakeScenario<MoveReused>},
          {"move_swept", MakeScenario<MoveSwept>},
          {"move_magazine", MakeScenario<MoveMagazine>}};
}

}  // namespace larder::model
