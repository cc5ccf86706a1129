#include "protocol/meta/meta_verbs.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <string>
#include <vector>

namespace larder::protocol {
namespace {

TEST_CASE("every meta command has one row, found by its name", "[protocol][verbs]") {
  std::vector<int> rows(kMetaVerbs.size(), 0);
  for (const MetaVerbSpec& spec : kMetaVerbs) {
    ++rows.at(static_cast<std::size_t>(spec.verb));
    CHECK(FindMetaVerb(spec.name) == &spec);
    CHECK(FindMetaVerb(std::string(spec.name) + " ") == nullptr);
  }
  CHECK(std::ranges::count(rows, 1) == static_cast<std::ptrdiff_t>(rows.size()));
}

}  // namespace
}  // namespace larder::protocol
