// All orders of a few threads that use one cache.
#include <catch2/catch.hpp>

#include "tests/model/checker.h"
#include "tests/model/scenarios.h"

namespace larder::model {
namespace {

// Nothing fails in any order. The exploration was not cut off.
void CheckAll(std::string_view name, unsigned preemptions) {
  const Outcome outcome = ExploreNamed(name, preemptions);
  CHECK_FALSE(outcome.has_failed);
  CHECK(outcome.is_finished);
  CHECK(outcome.executions > 1);
}

TEST_CASE("two stores of one key and a read", "[store]") { CheckAll("overwrite", 2); }
TEST_CASE("a pin and a delete and a store that wants the chunk", "[store]") { CheckAll("pin", 2); }
TEST_CASE("pins beyond what a header counts", "[store]") { CheckAll("extra_pins", 2); }
TEST_CASE("an eviction and a store and a pin of the item", "[store]") { CheckAll("evict", 2); }

TEST_CASE("a sweep and a store that evicts by its magazine", "[magazine]") {
  CheckAll("sweep_magazine", 2);
}
TEST_CASE("a dump and a store that evicts by its magazine", "[magazine]") {
  CheckAll("dump_magazine", 2);
}
TEST_CASE("two magazines and a store of the key that is to go", "[magazine]") {
  CheckAll("two_magazines", 1);
}
TEST_CASE("a leaving item and a pin and a delete", "[magazine]") { CheckAll("leaving_item", 2); }
TEST_CASE("an arriving item and a delete and statistics", "[magazine]") {
  CheckAll("arriving_item", 2);
}

TEST_CASE("a sweep and a delete and a store of a dead item", "[page]") {
  CheckAll("sweep_dead", 2);
}
TEST_CASE("a page move and a store and a pin", "[page]") { CheckAll("move_stored", 1); }
TEST_CASE("a page move and another item in the chunk", "[page]") { CheckAll("move_reused", 1); }
TEST_CASE("a page move and a sweep and a store", "[page]") { CheckAll("move_swept", 1); }
TEST_CASE("a page move and a magazine", "[page]") { CheckAll("move_magazine", 2); }

TEST_CASE("a drop and a store that needs the old item and a read", "[store]") {
  CheckAll("drop_replaced", 2);
}
TEST_CASE("a drop and a change in place and a read", "[store]") { CheckAll("drop_changed", 2); }

TEST_CASE("the split of a bucket and changes in it", "[page]") { CheckAll("split_bucket", 2); }

TEST_CASE("the exploration finds a pin that comes too late", "[page]") {
  CHECK(ExploreNamed("late_pin", 1).has_failed);
}

}  // namespace
}  // namespace larder::model
