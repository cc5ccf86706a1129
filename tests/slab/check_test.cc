#include "slab/check.h"

#include <catch2/catch.hpp>

#include "tests/aborts.h"

namespace larder::slab {
namespace {

TEST_CASE("a broken invariant ends the process in every build", "[slab][check]") {
  CHECK(Aborts([] { LARDER_CHECK(1 + 1 == 3); }));
  CHECK_FALSE(Aborts([] { LARDER_CHECK(1 + 1 == 2); }));
}

TEST_CASE("a broken contract ends the process where contracts are checked", "[slab][check]") {
#if defined(LARDER_ASSERTS)
  CHECK(Aborts([] { LARDER_ASSERT(1 + 1 == 3); }));
#else
  CHECK_FALSE(Aborts([] { LARDER_ASSERT(1 + 1 == 3); }));
#endif
  CHECK_FALSE(Aborts([] { LARDER_ASSERT(1 + 1 == 2); }));
}

TEST_CASE("a contract is evaluated once where it is checked, else never", "[slab][check]") {
  int evaluated = 0;
  const auto holds = [&] { return ++evaluated > 0; };
  LARDER_ASSERT(holds());
#if defined(LARDER_ASSERTS)
  CHECK(evaluated == 1);
#else
  CHECK(evaluated == 0);
#endif
}

}  // namespace

}  // namespace larder::slab
