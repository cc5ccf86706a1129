#include "protocol/text_parser.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "protocol/byte_search.h"
#include "protocol/key_list.h"
#include "protocol/text_parser_slow.h"

namespace larder::protocol {
namespace {

// The front of a command as one number, so that a switch can tell the commands apart.
using Word = std::uint32_t;

Word LoadWord(const char* at) noexcept {
  Word word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

consteval Word WordOf(const char (&text)[sizeof(Word) + 1]) {
  return std::bit_cast<Word>(std::array{text[0], text[1], text[2], text[3]});
}

// The longest commands that the fast path knows, the space behind them included. Shorter inputs
// take the slow path, so that no comparison has to ask where the input ends.
constexpr std::size_t kFastInputBytesMin = sizeof("replace ") - 1;

// Enough digits for all that clients send in earnest, too few to overflow any check.
constexpr std::ptrdiff_t kFastDigitsMax = 18;

// Takes a space and a plain number from the front of `at`; false if there is anything else.
//
// REQUIRES: a '\n' lies ahead, which ends the loop at the latest.
bool TakeNumber(const char*& at, std::uint64_t& number) noexcept {
  if (*at != ' ') return false;
  const char* const first = ++at;
  number = 0;
  for (;; ++at) {
    const unsigned digit = static_cast<unsigned char>(*at) - unsigned{'0'};
    if (digit > 9) break;
    number = number * 10 + digit;
  }
  return at != first && at - first <= kFastDigitsMax;
}

// `<command> <key> <flags> <exptime> <bytes>[ <unique>][ noreply]` with single spaces and plain
// numbers; `key_at` is behind the command.
ParseResult ParseFastStorage(std::string_view input, std::size_t key_at, Verb verb, KeyList& list,
                             Request& request) noexcept {
  const char* const begin = input.data();
  const char* const end = begin + input.size();
  const char* const key = begin + key_at;
  const char* const key_end = FindSpaceOrNewline(key, end);
  const auto key_bytes = static_cast<std::size_t>(key_end - key);
  const char* const newline = FindNewline(key_end, end);
  if (newline == end || key_bytes == 0 || key_bytes > kKeyBytesMax) {
    return ParseTextSlow(input, list, request);
  }

  const char* at = key_end;
  std::uint64_t flags = 0, exptime = 0, value_bytes = 0, unique = 0;
  if (!TakeNumber(at, flags) || !TakeNumber(at, exptime) || !TakeNumber(at, value_bytes) ||
      (verb == Verb::kCas && !TakeNumber(at, unique)) || value_bytes > kValueBytesMax) {
    return ParseTextSlow(input, list, request);
  }
  constexpr std::string_view kNoreply = " noreply";
  const bool noreply = std::memcmp(at, kNoreply.data(), kNoreply.size()) == 0;
  if (noreply) at += kNoreply.size();
  if (*at == '\r') ++at;
  if (at != newline) return ParseTextSlow(input, list, request);

  // As memcached, keep the low 32 bits of flags and exptime.
  request = Request{
      .key = {key, key_bytes},
      .number = unique,
      .client_flags = static_cast<std::uint32_t>(flags),
      .exptime = static_cast<std::int32_t>(static_cast<std::uint32_t>(exptime)),
      .value_bytes = static_cast<std::uint32_t>(value_bytes),
      .verb = verb,
      .noreply = noreply,
  };
  return TakeValue(input, static_cast<std::size_t>(newline + 1 - begin), request);
}

// `delete <key>`; `key_at` is behind the command.
ParseResult ParseFastDelete(std::string_view input, std::size_t key_at, KeyList& list,
                            Request& request) noexcept {
  const char* const begin = input.data();
  const char* const end = begin + input.size();
  const char* const key = begin + key_at;
  const char* const key_end = FindSpaceOrNewline(key, end);
  if (key_end == end || *key_end != '\n') return ParseTextSlow(input, list, request);
  auto key_bytes = static_cast<std::size_t>(key_end - key);
  if (key_bytes > 0 && key_end[-1] == '\r') --key_bytes;
  if (key_bytes == 0 || key_bytes > kKeyBytesMax) return ParseTextSlow(input, list, request);
  request = Request{
      .key = {key, key_bytes},
      .verb = Verb::kDelete,
      .noreply = std::string_view(key, key_bytes) == "noreply",
  };
  return {ParseStatus::kComplete, static_cast<std::size_t>(key_end + 1 - begin)};
}

ParseResult OpenKeyList(std::string_view input, std::size_t key_at, Verb verb, KeyList& list,
                        Request& request) noexcept {
  list = KeyList{.verb = verb, .is_open = true};
  return TakeKey(input, key_at, list, request);
}

}  // namespace

ParseResult ParseText(std::string_view input, KeyList& list, Request& request) noexcept {
  if (list.is_open) return TakeKey(input, 0, list, request);
  if (list.is_skipping || input.size() < kFastInputBytesMin) [[unlikely]] {
    return ParseTextSlow(input, list, request);
  }
  const char* const begin = input.data();
  switch (LoadWord(begin)) {
    case WordOf("get "):
      return OpenKeyList(input, 4, Verb::kGet, list, request);
    case WordOf("gets"):
      if (begin[4] != ' ') break;
      return OpenKeyList(input, 5, Verb::kGets, list, request);
    case WordOf("gat "):
      return TakeExptimeAndKey(input, 4, Verb::kGat, list, request);
    case WordOf("gats"):
      if (begin[4] != ' ') break;
      return TakeExptimeAndKey(input, 5, Verb::kGats, list, request);
    case WordOf("set "):
      return ParseFastStorage(input, 4, Verb::kSet, list, request);
    case WordOf("add "):
      return ParseFastStorage(input, 4, Verb::kAdd, list, request);
    case WordOf("cas "):
      return ParseFastStorage(input, 4, Verb::kCas, list, request);
    case WordOf("repl"):
      if (LoadWord(begin + 4) != WordOf("ace ")) break;
      return ParseFastStorage(input, 8, Verb::kReplace, list, request);
    case WordOf("appe"):
      if (LoadWord(begin + 3) != WordOf("end ")) break;
      return ParseFastStorage(input, 7, Verb::kAppend, list, request);
    case WordOf("prep"):
      if (LoadWord(begin + 4) != WordOf("end ")) break;
      return ParseFastStorage(input, 8, Verb::kPrepend, list, request);
    case WordOf("dele"):
      if (LoadWord(begin + 3) != WordOf("ete ")) break;
      return ParseFastDelete(input, 7, list, request);
    default:
      break;
  }
  return ParseTextSlow(input, list, request);
}

}  // namespace larder::protocol
