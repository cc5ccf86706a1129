// Parses one unit with both text parsers and every hostile slack, all of which must agree.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "tests/protocol/feed.h"

namespace larder::protocol {

// The answer to the front of `text`, and where the parser stands after it.
struct OneUnit {
  Parsed parsed = {};
  std::size_t consumed_bytes = 0;
  KeyList list = {};
};

inline OneUnit ParseOne(std::string_view text, KeyList list = {}) {
  OneUnit first;
  bool is_first = true;
  for (const Parser parser : {ParseText, ParseTextSlow}) {
    for (const std::string_view slack : kHostileSlacks) {
      const HostileInput input(text, slack);
      OneUnit one = {.list = list};
      LineRequest request;
      const ParseResult result = parser(input.view(), one.list, request);
      one.parsed = Keep(result.status, request);
      one.consumed_bytes = result.consumed_bytes;
      if (is_first) first = one;
      is_first = false;
      CAPTURE(std::string(text), std::string(slack), parser == ParseText);
      REQUIRE(one.parsed == first.parsed);
      REQUIRE(one.consumed_bytes == first.consumed_bytes);
      REQUIRE(one.list.is_open == first.list.is_open);
      REQUIRE(one.list.is_skipping == first.list.is_skipping);
      REQUIRE(one.list.exptime == first.list.exptime);
    }
  }
  return first;
}

// The only request on a line of its own, all of which it must consume.
inline Parsed ParseLine(std::string_view text) {
  const OneUnit one = ParseOne(text);
  CAPTURE(std::string(text));
  REQUIRE(one.parsed.status == ParseStatus::kComplete);
  REQUIRE(one.consumed_bytes == text.size());
  return one.parsed;
}

// How ParseLine() shows a refusal.
inline Parsed Refused(LineError error) { return {.verb = TextVerb::kNone, .error = error}; }

inline ParseStatus StatusOf(std::string_view text) { return ParseOne(text).parsed.status; }

}  // namespace larder::protocol
