// Faults that were put into the sources, see larder_model_fault in CMakeLists.txt: each program has
// one, and runs the test of one scenario.
#include <catch2/catch.hpp>

#include "tests/model/checker.h"
#include "tests/model/scenarios.h"

namespace larder::model {
namespace {

void FindFault(std::string_view scenario) { CHECK(ExploreNamed(scenario, 2).has_failed); }

TEST_CASE("the fault shows beside a pin", "[pin]") { FindFault("pin"); }
TEST_CASE("the fault shows beside an eviction", "[evict]") { FindFault("evict"); }
TEST_CASE("the fault shows when a sweep meets a magazine", "[sweep_magazine]") {
  FindFault("sweep_magazine");
}
TEST_CASE("the fault shows when a page move meets a pin", "[move_stored]") {
  FindFault("move_stored");
}
TEST_CASE("the fault shows when a page move meets a sweep", "[move_swept]") {
  FindFault("move_swept");
}
TEST_CASE("the fault shows beside a drop", "[drop_replaced]") { FindFault("drop_replaced"); }
TEST_CASE("the fault shows when a bucket is split", "[split_bucket]") { FindFault("split_bucket"); }

}  // namespace
}  // namespace larder::model
