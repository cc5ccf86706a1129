// The scenarios, by name.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "tests/model/checker.h"

namespace larder::model {

// Makes a scenario of this class.
template <class Made>
std::unique_ptr<Scenario> MakeScenario() {
  return std::make_unique<Made>();
}

struct NamedScenario {
  std::string_view name;
  std::unique_ptr<Scenario> (*make)();
};

// The scenarios of each file.
std::vector<NamedScenario> StoreScenarios();
std::vector<NamedScenario> MagazineScenarios();
std::vector<NamedScenario> PageScenarios();
std::vector<NamedScenario> IndexScenarios();
std::vector<NamedScenario> DropScenarios();

// Explores the scenario of this name, and prints what it has found. Ends the program if there is
// none. The environment variable LARDER_MODEL_PREEMPTIONS, if it is set, takes the place of
// `preemptions`.
Outcome ExploreNamed(std::string_view name, unsigned preemptions);

}  // namespace larder::model
