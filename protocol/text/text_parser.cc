#include "protocol/text/text_parser.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>

#include "protocol/data_block.h"
#include "protocol/encoding/byte_search.h"
#include "protocol/meta/meta_flags.h"
#include "protocol/meta/meta_parser.h"
#include "protocol/text/key_list.h"
#include "protocol/text/text_parser_slow.h"
#include "protocol/text/text_verbs.h"

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

// Leaves the first three bytes of a word. starts_with() became a call, of 40 instructions.
constexpr Word kFirstThreeBytes = WordOf("\xff\xff\xff\0");

// The longest commands that the fast path knows, the space behind them included. Shorter inputs
// take the slow path, so that no comparison has to ask where the input ends.
constexpr std::size_t kFastInputBytesMin = sizeof("replace ") - 1;

// Enough digits for all that clients send in earnest, too few to overflow anything.
constexpr std::ptrdiff_t kFastDigitsMax = 18;

// What the strict grammar of <bytes> and of touch's <exptime> allows (see ParseStrictInt32()).
constexpr std::ptrdiff_t kStrictDigitsMax = 11;

struct Number {
  const char* end;  // nullptr: no plain number stood there.
  std::uint64_t value;
};

// Takes a space and a plain number of at most digits_max digits from the front of `at`.
//
// Always inlined, as TakeValue(): left to the compiler, edits elsewhere cost a set 20 instructions.
//
// REQUIRES: a '\n' lies ahead, which ends the loop at the latest.
[[gnu::always_inline]] inline Number TakeNumber(const char* at,
                                                std::ptrdiff_t digits_max) noexcept {
  const auto digit_at = [](const char* byte) {
    return static_cast<unsigned char>(*byte) - unsigned{'0'};
  };
  if (*at != ' ') return {nullptr, 0};
  const char* const first = ++at;
  unsigned digit = digit_at(at);
  if (digit > 9) return {nullptr, 0};
  std::uint64_t value = 0;
  do {
    value = value * 10 + digit;
    digit = digit_at(++at);
  } while (digit <= 9);
  if (at - first > digits_max) return {nullptr, 0};
  return {at, value};
}

// The end of a line behind its last number, at most ` noreply` and a '\r' before the '\n'.
struct Tail {
  bool is_plain;
  bool noreply;
};

// REQUIRES: `newline` is the first '\n' at or behind `at`.
inline Tail TakeTail(const char* at, const char* newline) noexcept {
  constexpr std::string_view kNoreply = " noreply";
  const bool noreply = std::memcmp(at, kNoreply.data(), kNoreply.size()) == 0;
  if (noreply) at += kNoreply.size();
  if (*at == '\r') ++at;
  return {at == newline, noreply};
}

// What the functions below answer to a line that is not as plain as they expect, or not all there:
// the slow parser is to look at it. None of them waits for more by itself.
constexpr ParseResult kNotPlain = {ParseStatus::kNeedMore, 0};

// The key of a line that goes on behind it, and ends within the input.
struct KeyedLine {
  std::string_view key;
  const char* key_end;
  const char* newline;  // nullptr: there is no such line.
};

inline KeyedLine FindKeyedLine(std::string_view input, std::size_t key_at) noexcept {
  const char* const end = input.data() + input.size();
  const char* const key = input.data() + key_at;
  const char* const key_end = FindSpaceOrNewline(key, end);
  const auto key_bytes = static_cast<std::size_t>(key_end - key);
  const char* const newline = FindNewline(key_end, end);
  if (newline == end || key_bytes - 1 >= kKeyBytesMax) return {{}, nullptr, nullptr};
  return {{key, key_bytes}, key_end, newline};
}

// `<command> <key> <flags> <exptime> <bytes>[ <unique>][ noreply]`; `key_at` is behind the command.
ParseResult ParsePlainStorage(std::string_view input, std::size_t key_at, Verb verb,
                              Request& request) noexcept {
  const KeyedLine line = FindKeyedLine(input, key_at);
  if (line.newline == nullptr) return kNotPlain;
  // Most stores set neither flags nor exptime: this saves 40 of 250 instructions.
  Number flags = {line.key_end + 2, 0};
  Number exptime = {line.key_end + 4, 0};
  if (LoadWord(line.key_end) != WordOf(" 0 0")) {
    flags = TakeNumber(line.key_end, kFastDigitsMax);
    if (flags.end == nullptr) return kNotPlain;
    exptime = TakeNumber(flags.end, kFastDigitsMax);
    if (exptime.end == nullptr) return kNotPlain;
  }
  const Number value_bytes = TakeNumber(exptime.end, kStrictDigitsMax);
  if (value_bytes.end == nullptr || value_bytes.value > kValueBytesMax) return kNotPlain;
  Number unique = {value_bytes.end, 0};
  if (verb == Verb::kCas) {
    unique = TakeNumber(value_bytes.end, kFastDigitsMax);
    if (unique.end == nullptr) return kNotPlain;
  }
  const Tail tail = TakeTail(unique.end, line.newline);
  if (!tail.is_plain) return kNotPlain;

  // As memcached, keep the low 32 bits of flags and exptime.
  request = Request{
      .key = line.key,
      .number = unique.value,
      .client_flags = static_cast<std::uint32_t>(flags.value),
      .exptime = static_cast<std::int32_t>(static_cast<std::uint32_t>(exptime.value)),
      .value_bytes = static_cast<std::uint32_t>(value_bytes.value),
      .verb = verb,
      .noreply = tail.noreply,
  };
  return TakeValue(input, static_cast<std::size_t>(line.newline + 1 - input.data()), request);
}

// `<command> <key> <number>[ noreply]`, the number being a delta, or the exptime of a touch.
ParseResult ParsePlainNumber(std::string_view input, std::size_t key_at, Verb verb,
                             Request& request) noexcept {
  const KeyedLine line = FindKeyedLine(input, key_at);
  if (line.newline == nullptr) return kNotPlain;
  const bool is_touch = verb == Verb::kTouch;
  const Number number = TakeNumber(line.key_end, is_touch ? kStrictDigitsMax : kFastDigitsMax);
  if (number.end == nullptr) return kNotPlain;
  if (is_touch && number.value > std::numeric_limits<std::int32_t>::max()) return kNotPlain;
  const Tail tail = TakeTail(number.end, line.newline);
  if (!tail.is_plain) return kNotPlain;
  request = Request{
      .key = line.key,
      .number = is_touch ? 0 : number.value,
      .exptime = is_touch ? static_cast<std::int32_t>(number.value) : 0,
      .verb = verb,
      .noreply = tail.noreply,
  };
  return {ParseStatus::kComplete, static_cast<std::size_t>(line.newline + 1 - input.data())};
}

// `delete <key>`.
ParseResult ParsePlainDelete(std::string_view input, std::size_t key_at,
                             Request& request) noexcept {
  const char* const end = input.data() + input.size();
  const char* const key = input.data() + key_at;
  const char* const newline = FindSpaceOrNewline(key, end);
  if (newline == end || *newline != '\n') return kNotPlain;
  auto key_bytes = static_cast<std::size_t>(newline - key);
  if (key_bytes > 0 && newline[-1] == '\r') --key_bytes;
  if (key_bytes - 1 >= kKeyBytesMax) return kNotPlain;
  request = Request{
      .key = {key, key_bytes},
      .verb = Verb::kDelete,
      .noreply = std::string_view(key, key_bytes) == "noreply",  // It is both, as in memcached.
  };
  return {ParseStatus::kComplete, static_cast<std::size_t>(newline + 1 - input.data())};
}

// `md <key> ...` and the like, if the line is whole.
ParseResult ParsePlainMeta(std::string_view input, std::size_t at, Verb verb,
                           Request& request) noexcept {
  const char* const end = input.data() + input.size();
  const char* const newline = FindNewline(input.data() + at, end);
  if (newline == end) return kNotPlain;
  const char* const line_end = newline[-1] == '\r' ? newline - 1 : newline;
  return ParseMeta(input, at, static_cast<std::size_t>(line_end - input.data()),
                   static_cast<std::size_t>(newline + 1 - input.data()), verb, request);
}

// The flags that ask for something and take no token, all but b.
constexpr std::uint64_t kPlainMetaFlags = [] {
  MetaFlagSet flags;
  for (const MetaFlagSpec& row : kMetaFlags) {
    if (row.token == MetaToken::kIgnored && row.letter != 'b') flags.Add(row.letter);
  }
  return flags.bits();
}();

// `mg <key>` with flags that take no token. It saves 260 of 950 instructions of a pipelined get.
[[gnu::noinline]] ParseResult ParseMetaGet(std::string_view input, KeyList& list,
                                           Request& request) noexcept {
  constexpr std::size_t kHeadBytes = 3;
  const char* const begin = input.data();
  const char* const end = begin + input.size();
  const char* const key = begin + kHeadBytes;
  const char* at = FindSpaceOrNewline(key, end);
  const auto to_the_space = static_cast<std::size_t>(at - key);
  const char* flags = at;
  std::uint64_t seen = 0;
  std::uint64_t unseen = kPlainMetaFlags;
  // What is behind the end is slack: at most all plain flags, as none comes twice.
  for (; at[0] == ' '; at += 2) {
    const unsigned letter = static_cast<unsigned char>(at[1]);
    const std::uint64_t bit = std::uint64_t{1} << (letter & 63);
    if (letter < 'A' || letter > 'z' || (unseen & bit) == 0) break;
    unseen ^= bit;
    seen |= bit;
  }
  const char* line_end = at;
  if (*at == '\r') ++at;
  std::size_t key_bytes = to_the_space;
  if (flags == line_end && key_bytes > 0 && *at == '\n' && line_end[-1] == '\r') --key_bytes;
  if (at >= end || *at != '\n' || key_bytes - 1 >= kKeyBytesMax) [[unlikely]] {
    const ParseResult plain = ParsePlainMeta(input, kHeadBytes, Verb::kMg, request);
    if (plain.status != kNotPlain.status) return plain;
    return ParseTextSlow(input, list, request);
  }
  request = Request{
      .key = {key, key_bytes},
      .arguments = {flags, line_end},
      .number = seen,
      .verb = Verb::kMg,
  };
  return {ParseStatus::kComplete, static_cast<std::size_t>(at + 1 - begin)};
}

// A command word that the fast path knows, told from the bytes at the front of the input.
struct Head {
  Shape shape;  // kNothing: no such word.
  Verb verb;
  std::size_t bytes;  // The space behind the word included.
};

// `mg ` and the like, by their second letter.
inline Head ReadMetaHead(char letter) noexcept {
  switch (letter) {
    case 's':
      return {Shape::kMeta, Verb::kMs, 3};
    case 'd':
      return {Shape::kMeta, Verb::kMd, 3};
    case 'a':
      return {Shape::kMeta, Verb::kMa, 3};
    default:
      return {Shape::kNothing, Verb::kError, 0};
  }
}

// REQUIRES: kFastInputBytesMin bytes at `begin`.
inline Head ReadHead(const char* begin) noexcept {
  switch (LoadWord(begin)) {
    case WordOf("set "):
      return {Shape::kValue, Verb::kSet, 4};
    case WordOf("add "):
      return {Shape::kValue, Verb::kAdd, 4};
    case WordOf("cas "):
      return {Shape::kValueAndUnique, Verb::kCas, 4};
    case WordOf("gat "):
      return {Shape::kExptimeAndKeys, Verb::kGat, 4};
    case WordOf("gats"):
      if (begin[4] != ' ') break;
      return {Shape::kExptimeAndKeys, Verb::kGats, 5};
    case WordOf("incr"):
      if (begin[4] != ' ') break;
      return {Shape::kKeyAndDelta, Verb::kIncr, 5};
    case WordOf("decr"):
      if (begin[4] != ' ') break;
      return {Shape::kKeyAndDelta, Verb::kDecr, 5};
    case WordOf("touc"):
      if (LoadWord(begin + 2) != WordOf("uch ")) break;
      return {Shape::kKeyAndExptime, Verb::kTouch, 6};
    case WordOf("dele"):
      if (LoadWord(begin + 3) != WordOf("ete ")) break;
      return {Shape::kKey, Verb::kDelete, 7};
    case WordOf("appe"):
      if (LoadWord(begin + 3) != WordOf("end ")) break;
      return {Shape::kValue, Verb::kAppend, 7};
    case WordOf("prep"):
      if (LoadWord(begin + 4) != WordOf("end ")) break;
      return {Shape::kValue, Verb::kPrepend, 8};
    case WordOf("repl"):
      if (LoadWord(begin + 4) != WordOf("ace ")) break;
      return {Shape::kValue, Verb::kReplace, 8};
    default:
      if (begin[0] == 'm' && begin[2] == ' ') return ReadMetaHead(begin[1]);
      break;
  }
  return {Shape::kNothing, Verb::kError, 0};
}

// Every command but get and gets. Kept apart, as the compiler would have those two save registers
// that only these need (measured: 20 of 130 instructions).
//
// REQUIRES: input.size() >= kFastInputBytesMin.
[[gnu::noinline]] ParseResult ParseCommand(std::string_view input, KeyList& list,
                                           Request& request) noexcept {
  const Head head = ReadHead(input.data());
  ParseResult plain = kNotPlain;
  if (head.shape == Shape::kValue || head.shape == Shape::kValueAndUnique) {
    plain = ParsePlainStorage(input, head.bytes, head.verb, request);
  } else if (head.shape == Shape::kKeyAndDelta || head.shape == Shape::kKeyAndExptime) {
    plain = ParsePlainNumber(input, head.bytes, head.verb, request);
  } else if (head.shape == Shape::kKey) {
    plain = ParsePlainDelete(input, head.bytes, request);
  } else if (head.shape == Shape::kMeta) {
    plain = ParsePlainMeta(input, head.bytes, head.verb, request);
  } else if (head.shape == Shape::kExptimeAndKeys) {
    return TakeExptimeAndKey(input, head.bytes, head.verb, list, request);
  }
  if (plain.status != kNotPlain.status) return plain;
  return ParseTextSlow(input, list, request);
}

}  // namespace

ParseResult ParseText(std::string_view input, KeyList& list, Request& request) noexcept {
  std::size_t at = 0;
  if (!list.is_open) {
    if (list.is_skipping || input.size() < kFastInputBytesMin) [[unlikely]] {
      return ParseTextSlow(input, list, request);
    }
    const Word word = LoadWord(input.data());
    if (word == WordOf("get ")) [[likely]] {
      at = 4;
      list = KeyList{.verb = Verb::kGet, .is_open = true};
    } else if (word == WordOf("gets") && input[4] == ' ') {
      at = 5;
      list = KeyList{.verb = Verb::kGets, .is_open = true};
    } else if ((word & kFirstThreeBytes) == (WordOf("mg  ") & kFirstThreeBytes)) {
      return ParseMetaGet(input, list, request);
    } else {
      return ParseCommand(input, list, request);
    }
  }
  return TakeKey(input, at, list, request);
}

}  // namespace larder::protocol
