// The key lists of get, gets, gat and gats: taken off the input key by key, since such a line has
// no limit. Shared by the fast and the general text parser.
//
// All functions take `at`, the offset in `input` where their part begins, and answer with a
// ParseResult that counts from the front of `input`.
//
// REQUIRES: kInputSlackBytes behind input.end() are readable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>

#include "protocol/encoding/byte_search.h"
#include "protocol/parse_result.h"
#include "protocol/text/line_request.h"
#include "protocol/text/text_parser.h"

namespace larder::protocol {

// What comes behind a run of spaces: at the end of the input that can be open, and then it decides
// whether the word before was the last of its line.
struct AfterSpaces {
  enum class Kind : std::uint8_t { kToken, kLineEnd, kUnknown };
  const char* next;  // The token, or what follows the line end.
  Kind kind;
};

inline AfterSpaces SkipSpaces(const char* at, const char* end) noexcept {
  while (at != end && *at == ' ') ++at;
  if (at == end) return {at, AfterSpaces::Kind::kUnknown};
  if (*at == '\n') return {at + 1, AfterSpaces::Kind::kLineEnd};
  if (*at != '\r') [[likely]]
    return {at, AfterSpaces::Kind::kToken};
  if (at + 1 == end) return {at, AfterSpaces::Kind::kUnknown};
  if (at[1] == '\n') return {at + 2, AfterSpaces::Kind::kLineEnd};
  return {at, AfterSpaces::Kind::kToken};
}

// TakeKey() where the key that begins at `key_at` does not end within the input.
ParseResult AwaitKeyEnd(std::string_view input, std::size_t key_at, KeyList& list,
                        LineRequest& request) noexcept;

// TakeKey() where the spaces behind the key that begins at `key_at` do not end within the input.
ParseResult AwaitNextKey(std::string_view input, std::size_t key_at) noexcept;

// TakeKey() where the key is too long, or empty because the line ends without any.
ParseResult RefuseKey(std::string_view input, std::size_t key_at, KeyList& list,
                      LineRequest& request) noexcept;

// Takes the next key of the open `list`, the whole line end with it if it is the last.
//
// REQUIRES: list.is_open, at <= input.size().
[[gnu::always_inline]] inline ParseResult TakeKey(std::string_view input, std::size_t at,
                                                  KeyList& list, LineRequest& request) noexcept {
  const char* const begin = input.data();
  const char* const end = begin + input.size();
  const char* key = begin + at;
  while (*key == ' ' && key != end) ++key;  // The first byte may be slack.
  const auto key_at = static_cast<std::size_t>(key - begin);

  const char* const key_end = FindSpaceOrNewline(key, end);
  if (key_end == end) [[unlikely]]
    return AwaitKeyEnd(input, key_at, list, request);
  const auto answer = [&](std::size_t key_bytes, const char* next, bool is_last_key) {
    new (&request) LineRequest{
        .key = {key, key_bytes},
        .exptime = list.exptime,
        .verb = list.verb,
        .is_last_key = is_last_key,
    };
    if (is_last_key) list = KeyList{};
    return ParseResult{ParseStatus::kComplete, static_cast<std::size_t>(next - begin)};
  };
  auto key_bytes = static_cast<std::size_t>(key_end - key);
  if (*key_end == '\n') {
    if (key_bytes > 0 && key_end[-1] == '\r') --key_bytes;
    if (key_bytes - 1 >= kKeyBytesMax) [[unlikely]]
      return RefuseKey(input, key_at, list, request);
    return answer(key_bytes, key_end + 1, true);
  }
  if (key_bytes > kKeyBytesMax) [[unlikely]]
    return RefuseKey(input, key_at, list, request);
  const AfterSpaces after = SkipSpaces(key_end + 1, end);
  if (after.kind == AfterSpaces::Kind::kUnknown) return AwaitNextKey(input, key_at);
  return answer(key_bytes, after.next, after.kind == AfterSpaces::Kind::kLineEnd);
}

// Opens the list of a `gat` or `gats` and takes its first key. `at` is behind the command word.
//
// REQUIRES: at < input.size(), and the line does not end right there.
ParseResult TakeExptimeAndKey(std::string_view input, std::size_t at, TextVerb verb, KeyList& list,
                              LineRequest& request) noexcept;

}  // namespace larder::protocol
