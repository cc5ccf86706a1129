// Stores, deletes, evictions and pins.
#include <string>
#include <utility>
#include <vector>

#include "tests/model/one_key.h"
#include "tests/model/scenarios.h"

namespace larder::model {
namespace {

// Two stores and a read of one key. One of the stores needs a chunk of another class.
class Overwrite : public OneKey {
 public:
  Overwrite() : OneKey(4, 'i') { cache_.Set(kKey, 'i', kSmall, main_); }
  Bodies Threads() override {
    return {[this] { Set('a', kSmall, lane(0)); }, [this] { Set('b', kMedium, lane(1)); },
            [this] { Get(lane(2)); }};
  }
};

// A pinned value that is overwritten and deleted, while others want its chunk.
class Pin : public OneKey {
 public:
  Pin() : OneKey(4, 'i') { cache_.Set(kKey, 'i', kMedium, main_); }
  Bodies Threads() override {
    return {[this] { GetPinned(lane(0)); },
            [this] {
              Delete(lane(1));
              cache_.Set("other", 'o', kMedium, lane(1));
            },
            [this] { Set('a', kMedium, lane(2)); }};
  }
};

// Pins that the item's header can just count, and ones that it cannot.
class ExtraPins : public OneKey {
 public:
  ExtraPins() : OneKey(4, 'i') {
    cache_.Set(kKey, 'i', kMedium, main_);
    while (pins_.size() + 2 < slab::kRefsMax) pins_.push_back(cache_.Pin(kKey, main_));
  }
  Bodies Threads() override {
    return {[this] { GetPinned(lane(0)); },
            [this] {
              pins_.pop_back();
              GetPinned(lane(1));
            },
            [this] { Delete(lane(2)); }};
  }
  void Check() override {
    pins_.clear();
    OneKey::Check();
  }

 private:
  std::vector<slab::ItemHandle> pins_;
};

// A store into a full class evicts the item that others store and read.
class Evict : public OneKey {
 public:
  Evict() : OneKey(1, 'i', History::Vanishing::kYes) {
    cache_.Set(kKey, 'i', kMedium, main_);
    cache_.FillUp(kMedium, main_);
  }
  Bodies Threads() override {
    return {[this] { cache_.Set("new", 'n', kMedium, lane(0)); },
            [this] { Set('a', kMedium, lane(1)); }, [this] { GetPinned(lane(2)); }};
  }
};

// A reader that locks the bucket to find the item, and pins it when the bucket is unlocked: a
// fault.
class LatePin : public OneKey {
 public:
  LatePin() : OneKey(4, 'i') { cache_.Set(kKey, 'i', kMedium, main_); }
  Bodies Threads() override {
    return {[this] {
              slab::Item* found = nullptr;
              cache_.cache().Visit(cache_.Key(kKey), lane(0),
                                   [&](slab::Item& item) { found = &item; });
              Pass();
              if (found != nullptr) (void)cache_.cache().Pin(*found);
            },
            [this] { Delete(lane(1)); }};
  }
};

}  // namespace

std::vector<NamedScenario> StoreScenarios() {
  return {{"overwrite", MakeScenario<Overwrite>},
          {"pin", MakeScenario<Pin>},
          {"extra_pins", MakeScenario<ExtraPins>},
          {"evict", MakeScenario<Evict>},
          {"late_pin", MakeScenario<LatePin>}};
}

}  // namespace larder::model
