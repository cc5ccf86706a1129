#include "protocol/text/text_verbs.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <string>
#include <vector>

#include "protocol/binary/opcodes.h"
#include "protocol/meta/meta_verbs.h"
#include "tests/protocol/parse_one.h"

namespace larder::protocol {
namespace {

TEST_CASE("every verb has one row, found by its name", "[protocol][verbs]") {
  std::vector<int> rows(kTextVerbs.size(), 0);
  for (const TextVerbSpec& spec : kTextVerbs) {
    ++rows.at(static_cast<std::size_t>(spec.verb));
    CHECK(FindTextVerb(spec.name) == &spec);
  }
  CHECK(std::ranges::count(rows, 1) == static_cast<std::ptrdiff_t>(rows.size()));
}

TEST_CASE("a word that is nearly a verb is none", "[protocol][verbs]") {
  CHECK(FindTextVerb("") == nullptr);
  CHECK(FindTextVerb("GET") == nullptr);
  for (const TextVerbSpec& spec : kTextVerbs) {
    const std::string name(spec.name);
    CHECK(FindTextVerb(name + "\r") == nullptr);
    CHECK(FindTextVerb(name + " ") == nullptr);
  }
}

TEST_CASE("no word is a command of both the text and the meta protocol", "[protocol][verbs]") {
  for (const TextVerbSpec& spec : kTextVerbs) CHECK(FindMetaVerb(spec.name) == nullptr);
  for (const MetaVerbSpec& spec : kMetaVerbs) CHECK(FindTextVerb(spec.name) == nullptr);
}

TEST_CASE("a row more is a command of the text protocol, and of no other", "[protocol][verbs]") {
  std::vector<TextVerbSpec> rows(kTextVerbs.begin(), kTextVerbs.end());
  constexpr auto kWobble = static_cast<TextVerb>(0x7f);
  rows.push_back({"wobble", kWobble, Shape::kKeyAndExptime, 3, true, false});
  const HostileInput input("wobble a 5 noreply\r\n", " ");
  KeyList list;
  LineRequest request;
  const ParseResult result = ParseTextSlow(input.view(), list, request, rows);
  CHECK(result.status == ParseStatus::kComplete);
  CHECK(result.consumed_bytes == input.view().size());
  CHECK(Keep(result.status, request) ==
        Parsed{.key = "a", .exptime = 5, .verb = kWobble, .noreply = true});
  CHECK(FindMetaVerb("wobble") == nullptr);
  CHECK(std::ranges::none_of(kOpcodes, [](const auto& row) { return row.name == "wobble"; }));
  CHECK(ParseLine("wobble a 5\r\n") == Refused(LineError::kUnknownCommand));
}

}  // namespace
}  // namespace larder::protocol
