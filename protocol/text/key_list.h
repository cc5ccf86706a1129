// The key lists of get, gets, gat and gats. The keys are taken off the input one by one, because
// such a line has no length limit. The fast and the general text parser share these functions.
//
// In all functions `at` and `key_at` are offsets in `input`, and consumed_bytes of the result
// counts from the front of `input`. The results are those of ParseText() (see
// protocol/text/text_parser.h).
//
// REQUIRES: kInputSlackBytes behind input.end() are readable.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/encoding/byte_search.h"
#include "protocol/parse_result.h"
#include "protocol/text/line_request.h"
#include "protocol/text/text_parser.h"

namespace larder::protocol {

// What follows a run of spaces. That decides whether the word before the spaces was the last of its
// line, and it is unknown while the input ends within the spaces.
struct AfterSpaces {
  // kToken: another word. kLineEnd: a '\n', or a '\r' and a '\n'. kUnknown: the input ends
  // within the spaces.
  enum class Kind : std::uint8_t { kToken, kLineEnd, kUnknown };
  // The first byte of the word, or the byte behind the line end.
  const char* next;
  Kind kind;
};

// Skips spaces from `at` on. A '\r' that no '\n' follows begins a word.
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

// The case of TakeKey() in which the key that begins at `key_at` does not end within the input.
// Returns kNeedMore, or a refusal if the key is too long already.
ParseResult AwaitKeyEnd(std::string_view input, std::size_t key_at, KeyList& list,
                        LineRequest& request) noexcept;

// The case of TakeKey() in which the spaces behind the key that begins at `key_at` do not end
// within the input. Returns kNeedMore; kLineTooLong if more than kLineBytesMax bytes are waiting.
ParseResult AwaitNextKey(std::string_view input, std::size_t key_at) noexcept;

// The case of TakeKey() in which the key is too long, or empty because the line ends without a key.
// Returns kComplete with a refused request.
ParseResult RefuseKey(std::string_view input, std::size_t key_at, KeyList& list,
                      LineRequest& request) noexcept;

// Takes the next key of the open `list`. If it is the last one of its line, the line end is
// consumed with it, is_last_key is set, and `list` is closed.
//
// Always inlined into ParseText(), because a pipelined get spends most of its parsing here.
//
// REQUIRES: list.is_open, at <= input.size().
[[gnu::always_inline]] inline ParseResult TakeKey(std::string_view input, std::size_t at,
                                                  KeyList& list, LineRequest& request) noexcept {
  assert(list.is_open);
  assert(at <= input.size());
  const char* const begin = input.data();
  const char* const end = begin + input.size();
  const char* key = begin + at;
  // The first byte may be slack, if the input is empty; `key` does not move then.
  while (*key == ' ' && key != end) ++key;
  const auto key_at = static_cast<std::size_t>(key - begin);

  const char* const key_end = FindSpaceOrNewline(key, end);
  if (key_end == end) [[unlikely]]
    return AwaitKeyEnd(input, key_at, list, request);
  // Builds the request for a key that is valid. `next` is the first byte that is not consumed.
  const auto answer = [&](std::size_t key_bytes, const char* next, AfterSpaces::Kind follows) {
    request.BeginKeyed(list.verb, {key, key_bytes});
    request.exptime = list.exptime;
    request.is_last_key = follows == AfterSpaces::Kind::kLineEnd;
    if (request.is_last_key) list = KeyList{};
    return ParseResult{ParseStatus::kComplete, static_cast<std::size_t>(next - begin)};
  };
  auto key_bytes = static_cast<std::size_t>(key_end - key);
  if (*key_end == '\n') {
    if (key_bytes > 0 && key_end[-1] == '\r') --key_bytes;
    // A key of no bytes wraps around to a large number, so one comparison refuses both kinds.
    if (key_bytes - 1 >= kKeyBytesMax) [[unlikely]]
      return RefuseKey(input, key_at, list, request);
    return answer(key_bytes, key_end + 1, AfterSpaces::Kind::kLineEnd);
  }
  if (key_bytes > kKeyBytesMax) [[unlikely]]
    return RefuseKey(input, key_at, list, request);
  const AfterSpaces after = SkipSpaces(key_end + 1, end);
  if (after.kind == AfterSpaces::Kind::kUnknown) return AwaitNextKey(input, key_at);
  return answer(key_bytes, after.next, after.kind);
}

// Opens the list of a `gat` or `gats` and takes its first key. `at` is the position behind the
// command word.
//
// Returns the result of TakeKey() once the exptime and the first byte of a key are there; before
// that kNeedMore, or kLineTooLong if the input is longer than kLineBytesMax. A line without a key,
// or with a bad exptime, is refused.
//
// REQUIRES: at < input.size().
ParseResult TakeExptimeAndKey(std::string_view input, std::size_t at, TextVerb verb, KeyList& list,
                              LineRequest& request) noexcept;

}  // namespace larder::protocol
