// Drops beside writes.
#include <vector>

#include "tests/model/one_key.h"
#include "tests/model/scenarios.h"

namespace larder::model {
namespace {

// What is written depends on an old item that is dropped meanwhile.
class DropReplaced : public OneKey {
 public:
  DropReplaced() : OneKey(4, 'i') { cache_.Set(kKey, 'i', kMedium, main_); }
  Bodies Threads() override {
    return {[this] { Drop(); }, [this] { Replace('a', kMedium, lane(1)); },
            [this] { Get(lane(2)); }};
  }
};

// An item is changed in its place.
class DropChanged : public OneKey {
 public:
  DropChanged() : OneKey(4, 'i') { cache_.Set(kKey, 'i', kMedium, main_); }
  Bodies Threads() override {
    return {[this] { Drop(); }, [this] { Change('a', lane(1)); }, [this] { Get(lane(2)); }};
  }
};

}  // namespace

std::vector<NamedScenario> DropScenarios() {
  return {{"drop_replaced", MakeScenario<DropReplaced>},
          {"drop_changed", MakeScenario<DropChanged>}};
}

}  // namespace larder::model
