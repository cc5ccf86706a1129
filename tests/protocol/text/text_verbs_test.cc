#include "protocol/text/text_verbs.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <string>
#include <vector>

namespace larder::protocol {
namespace {

TEST_CASE("every verb has one row, found by its name", "[protocol][verbs]") {
  std::vector<int> rows(kVerbs.size(), 0);
  for (const VerbSpec& spec : kVerbs) {
    ++rows.at(static_cast<std::size_t>(spec.verb));
    CHECK(FindVerb(spec.name) == &spec);
  }
  CHECK(std::ranges::count(rows, 1) == static_cast<std::ptrdiff_t>(rows.size()));
}

TEST_CASE("a word that is nearly a verb is none", "[protocol][verbs]") {
  CHECK(FindVerb("") == nullptr);
  CHECK(FindVerb("GET") == nullptr);
  for (const VerbSpec& spec : kVerbs) {
    const std::string name(spec.name);
    CHECK(FindVerb(name + "\r") == nullptr);
    CHECK(FindVerb(name + " ") == nullptr);
  }
}

}  // namespace
}  // namespace larder::protocol
