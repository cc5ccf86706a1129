#include "protocol/text/key_list.h"

#include <cassert>
#include <optional>

#include "protocol/encoding/numbers.h"

namespace larder::protocol {

namespace {

// Refuses the rest of the line with `error`. The first `consumed_bytes` are dropped now, and the
// bytes up to the '\n' by later calls, because the line may be longer than the input.
ParseResult RefuseRest(LineError error, std::size_t consumed_bytes, KeyList& list,
                       LineRequest& request) noexcept {
  assert(error != LineError::kNone);
  list = KeyList{.is_skipping = true};
  request = LineRequest{.verb = TextVerb::kNone, .error = error};
  return {ParseStatus::kComplete, consumed_bytes};
}

}  // namespace

ParseResult AwaitKeyEnd(std::string_view input, std::size_t key_at, KeyList& list,
                        LineRequest& request) noexcept {
  assert(key_at <= input.size());
  // A '\r' at the end of the input may belong to the line end, so it does not count as part of the
  // key.
  std::size_t key_bytes = input.size() - key_at;
  if (key_bytes > 0 && input.back() == '\r') --key_bytes;
  if (key_bytes <= kKeyBytesMax) return {ParseStatus::kNeedMore, key_at};
  return RefuseKey(input, key_at, list, request);
}

ParseResult AwaitNextKey(std::string_view input, std::size_t key_at) noexcept {
  assert(key_at <= input.size());
  // Whether a key is the last of its line depends on what follows its spaces, so the key must wait
  // for that, and waiting bytes need a limit.
  if (input.size() - key_at > kLineBytesMax) return {ParseStatus::kLineTooLong, key_at};
  return {ParseStatus::kNeedMore, key_at};
}

ParseResult RefuseKey(std::string_view input, std::size_t key_at, KeyList& list,
                      LineRequest& request) noexcept {
  assert(key_at <= input.size());
  const char* const begin = input.data();
  const AfterSpaces key = SkipSpaces(begin + key_at, begin + input.size());
  // The line goes on behind the bad key: the refusal also drops the rest of the line.
  if (key.kind != AfterSpaces::Kind::kLineEnd) {
    return RefuseRest(LineError::kBadLine, key_at + kKeyBytesMax, list, request);
  }
  // The line is over, so there is nothing to skip.
  list = KeyList{};
  request = LineRequest{.verb = TextVerb::kNone, .error = LineError::kBadLine};
  return {ParseStatus::kComplete, static_cast<std::size_t>(key.next - begin)};
}

ParseResult TakeExptimeAndKey(std::string_view input, std::size_t at, TextVerb verb, KeyList& list,
                              LineRequest& request) noexcept {
  assert(at < input.size());
  const char* const begin = input.data();
  const char* const end = begin + input.size();
  const char* token = begin + at;
  while (token != end && *token == ' ') ++token;
  const char* const token_end = FindSpaceOrNewline(token, end);
  // Until the first key is known, nothing of the line is consumed, so it has the limit of an
  // ordinary line.
  const ParseStatus if_open =
      input.size() > kLineBytesMax ? ParseStatus::kLineTooLong : ParseStatus::kNeedMore;
  if (token_end == end) return {if_open, 0};

  // memcached notices a missing key before it looks at the number.
  AfterSpaces after = SkipSpaces(token_end, end);
  if (after.kind == AfterSpaces::Kind::kLineEnd) {
    request = LineRequest{.verb = TextVerb::kNone, .error = LineError::kBadLine};
    return {ParseStatus::kComplete, static_cast<std::size_t>(after.next - begin)};
  }
  if (after.kind == AfterSpaces::Kind::kUnknown) return {if_open, 0};

  const std::optional<std::int32_t> exptime =
      ParseStrictInt32({token, static_cast<std::size_t>(token_end - token)});
  const auto consumed_bytes = static_cast<std::size_t>(after.next - begin);
  if (!exptime) return RefuseRest(LineError::kBadExptime, consumed_bytes, list, request);
  list = KeyList{.verb = verb, .is_open = true, .exptime = *exptime};
  return TakeKey(input, consumed_bytes, list, request);
}

}  // namespace larder::protocol
