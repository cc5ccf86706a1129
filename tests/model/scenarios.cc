#include "tests/model/scenarios.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace larder::model {
namespace {

NamedScenario Named(std::string_view name) {
  for (const auto& scenarios : {StoreScenarios(), MagazineScenarios(), PageScenarios(),
                                IndexScenarios(), DropScenarios()}) {
    for (const NamedScenario& scenario : scenarios) {
      if (scenario.name == name) return scenario;
    }
  }
  std::fprintf(stderr, "model: no such scenario\n");
  std::exit(1);
}

}  // namespace

Outcome ExploreNamed(std::string_view name, unsigned preemptions) {
  if (const char* const given = std::getenv("LARDER_MODEL_PREEMPTIONS")) {
    preemptions = static_cast<unsigned>(std::atoi(given));
  }
  const Outcome outcome = Explore(Named(name).make, {.preemptions = preemptions});
  std::printf("%s, %u preemptions: %llu executions of up to %llu steps\n%s",
              std::string(name).c_str(), preemptions,
              static_cast<unsigned long long>(outcome.executions),
              static_cast<unsigned long long>(outcome.steps_max), outcome.report.c_str());
  std::fflush(stdout);
  return outcome;
}

}  // namespace larder::model
