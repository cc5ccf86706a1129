// Magazines: what lanes have taken from a class, and others want.
#include <array>
#include <vector>

#include "tests/model/one_key.h"
#include "tests/model/scenarios.h"

namespace larder::model {
namespace {

using slab::PageWalk;

// A full class of one page. The key is the next to be evicted.
class FullSmall : public OneKey {
 public:
  explicit FullSmall(std::uint32_t pages) : OneKey(pages, 'i', History::Vanishing::kYes) {
    cache_.Set(kKey, 'i', kSmall, main_);
    cache_.FillUp(kSmall, main_);
  }
};

// A store fills its magazine with items that are to go, and makes an item that is dead at once in
// the first chunk. Meanwhile a sweep walks over these chunks.
class SweepMagazine : public FullSmall {
 public:
  SweepMagazine() : FullSmall(1) {}
  Bodies Threads() override {
    return {[this] { cache_.Set("dead", 'd', kSmall, lane(0), ModelCache::kLongAgoS); },
            [this] { cache_.Sweep(PageWalk(), lane(1)); }};
  }
};

// As SweepMagazine, with a dump instead of the sweep. It shows each item once.
class DumpMagazine : public FullSmall {
 public:
  DumpMagazine() : FullSmall(1) {}
  Bodies Threads() override {
    return {[this] { cache_.Set("new", 'n', kSmall, lane(0)); },
            [this] { cache_.Dump(PageWalk(), lane(1)); }};
  }
};

// Two lanes have magazines. Both evict, one of them the key that a third thread stores.
class TwoMagazines : public FullSmall {
 public:
  TwoMagazines() : FullSmall(3) {}
  Bodies Threads() override {
    return {[this] { cache_.Set("new1", 'n', kSmall, lane(0)); },
            [this] { cache_.Set("new2", 'm', kSmall, lane(1)); },
            [this] { Set('a', kSmall, lane(2)); }};
  }
};

// An item that is to go is pinned, and deleted.
class LeavingItem : public FullSmall {
 public:
  LeavingItem() : FullSmall(1) {}
  Bodies Threads() override {
    return {[this] { cache_.Set("new", 'n', kSmall, lane(0)); }, [this] { GetPinned(lane(1)); },
            [this] { Delete(lane(2)); }};
  }
};

// An item in a magazine, not queued yet, is deleted, and queued by another thread that empties all
// magazines.
class ArrivingItem : public OneKey {
 public:
  ArrivingItem() : OneKey(2, std::nullopt) {
    for (const char* key : {"old1", "old2", "old3"}) cache_.Set(key, 'o', kSmall, main_);
  }
  Bodies Threads() override {
    return {[this] { Set('a', kSmall, lane(0)); },
            [this] {
              Delete(lane(1));
              Get(lane(1));
            },
            [this] { cache_.EmptyMagazines(kSmall); }};
  }
};

}  // namespace

std::vector<NamedScenario> MagazineScenarios() {
  return {{"sweep_magazine", MakeScenario<SweepMagazine>},
          {"dump_magazine", MakeScenario<DumpMagazine>},
          {"two_magazines", MakeScenario<TwoMagazines>},
          {"leaving_item", MakeScenario<LeavingItem>},
          {"arriving_item", MakeScenario<ArrivingItem>}};
}

}  // namespace larder::model
