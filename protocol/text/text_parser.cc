#include "protocol/text/text_parser.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>

#include "protocol/data_block.h"
#include "protocol/encoding/byte_search.h"
#include "protocol/meta/meta_flags.h"
#include "protocol/meta/meta_verbs.h"
#include "protocol/text/key_list.h"
#include "protocol/text/text_parser_slow.h"
#include "protocol/text/text_verbs.h"

namespace larder::protocol {
namespace {

// The front of a command as one number, which is quick to compare.
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
ParseResult ParsePlainStorage(std::string_view input, std::size_t key_at, TextVerb verb,
                              LineRequest& request) noexcept {
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
  if (verb == TextVerb::kCas) {
    unique = TakeNumber(value_bytes.end, kFastDigitsMax);
    if (unique.end == nullptr) return kNotPlain;
  }
  const Tail tail = TakeTail(unique.end, line.newline);
  if (!tail.is_plain) return kNotPlain;

  // As memcached, keep the low 32 bits of flags and exptime.
  new (&request) LineRequest{
      .key = line.key,
      .cas_unique = unique.value,
      .client_flags = static_cast<std::uint32_t>(flags.value),
      .exptime = static_cast<std::int32_t>(static_cast<std::uint32_t>(exptime.value)),
      .value_bytes = static_cast<std::uint32_t>(value_bytes.value),
      .verb = verb,
      .noreply = tail.noreply,
  };
  return TakeValue(input, static_cast<std::size_t>(line.newline + 1 - input.data()),
                   request.value_bytes, request.value);
}

// `<command> <key> <number>[ noreply]`, the number being a delta, or the exptime of a touch.
ParseResult ParsePlainNumber(std::string_view input, std::size_t key_at, TextVerb verb,
                             LineRequest& request) noexcept {
  const KeyedLine line = FindKeyedLine(input, key_at);
  if (line.newline == nullptr) return kNotPlain;
  const bool is_touch = verb == TextVerb::kTouch;
  const Number number = TakeNumber(line.key_end, is_touch ? kStrictDigitsMax : kFastDigitsMax);
  if (number.end == nullptr) return kNotPlain;
  if (is_touch && number.value > std::numeric_limits<std::int32_t>::max()) return kNotPlain;
  const Tail tail = TakeTail(number.end, line.newline);
  if (!tail.is_plain) return kNotPlain;
  new (&request) LineRequest{
      .key = line.key,
      .delta = is_touch ? 0 : number.value,
      .exptime = is_touch ? static_cast<std::int32_t>(number.value) : 0,
      .verb = verb,
      .noreply = tail.noreply,
  };
  return {ParseStatus::kComplete, static_cast<std::size_t>(line.newline + 1 - input.data())};
}

// `delete <key>`.
ParseResult ParsePlainDelete(std::string_view input, std::size_t key_at,
                             LineRequest& request) noexcept {
  const char* const end = input.data() + input.size();
  const char* const key = input.data() + key_at;
  const char* const newline = FindSpaceOrNewline(key, end);
  if (newline == end || *newline != '\n') return kNotPlain;
  auto key_bytes = static_cast<std::size_t>(newline - key);
  if (key_bytes > 0 && newline[-1] == '\r') --key_bytes;
  if (key_bytes - 1 >= kKeyBytesMax) return kNotPlain;
  new (&request) LineRequest{
      .key = {key, key_bytes},
      .verb = TextVerb::kDelete,
      .noreply = std::string_view(key, key_bytes) == "noreply",  // It is both, as in memcached.
  };
  return {ParseStatus::kComplete, static_cast<std::size_t>(newline + 1 - input.data())};
}

// `md <key> ...` and the like, if the line is whole. `at` is behind the command word.
ParseResult ParsePlainMeta(std::string_view input, std::size_t at, const MetaVerbSpec& spec,
                           LineRequest& request) noexcept {
  const char* const end = input.data() + input.size();
  const char* const newline = FindNewline(input.data() + at, end);
  if (newline == end) return kNotPlain;
  const char* const line_end = newline[-1] == '\r' ? newline - 1 : newline;
  return TakeMetaLine(input, {input.data() + at, line_end},
                      static_cast<std::size_t>(newline + 1 - input.data()), spec, request);
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
                                           LineRequest& request) noexcept {
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
    constexpr const MetaVerbSpec& kSpec = *FindMetaVerb("mg");
    const ParseResult plain = ParsePlainMeta(input, kHeadBytes, kSpec, request);
    if (plain.status != kNotPlain.status) return plain;
    return ParseTextSlow(input, list, request);
  }
  new (&request) LineRequest{
      .key = {key, key_bytes},
      .arguments = {flags, line_end},
      .flags = MetaFlagSet(seen),
      .verb = TextVerb::kMeta,
      .meta_verb = MetaVerb::kGet,
  };
  return {ParseStatus::kComplete, static_cast<std::size_t>(at + 1 - begin)};
}

// --- Command words -----------------------------------------------------------------------------

// A row of a table of words, as the fast path finds it: by the first eight bytes of the input.
struct Head {
  std::uint64_t text = 0;   // The word and the space behind it.
  std::uint64_t mask = 0;   // All ones where it has bytes. 0: no word.
  std::uint16_t front = 0;  // Its first two bytes.
  std::uint8_t bytes = 0;
  Shape shape = Shape::kNothing;
  TextVerb verb = TextVerb::kNone;
  const MetaVerbSpec* meta = nullptr;  // kMeta.
};

// The lines of these are parsed here, if they are plain.
constexpr bool HasFastLine(Shape shape) {
  switch (shape) {
    case Shape::kValue:
    case Shape::kValueAndUnique:
    case Shape::kKey:
    case Shape::kKeyAndExptime:
    case Shape::kKeyAndDelta:
    case Shape::kExptimeAndKeys:
      return true;
    case Shape::kKeys:  // ParseText() knows these.
    case Shape::kOptionalExptime:
    case Shape::kLevel:
    case Shape::kMegabytes:
    case Shape::kArguments:
    case Shape::kConfig:
    case Shape::kNothing:
      return false;
  }
  return false;
}

// Words are found by a hash of their first two bytes, in its place or the one behind it.
using Front = std::uint16_t;
constexpr std::size_t kHeadPlaces = 64;
constexpr std::size_t PlaceOf(Front front, std::uint32_t factor) { return front * factor >> 26; }

struct Heads {
  std::array<Head, kHeadPlaces + 1> places = {};
  std::uint32_t factor = 0;  // 0: it has no room for all words.
};

consteval Head HeadOf(std::string_view name) {
  std::array<char, sizeof(Head::text)> text{};
  std::array<char, sizeof(Head::mask)> mask{};
  for (std::size_t at = 0; at <= name.size(); ++at) {
    text[at] = at < name.size() ? name[at] : ' ';
    mask[at] = '\xff';
  }
  return {.text = std::bit_cast<std::uint64_t>(text),
          .mask = std::bit_cast<std::uint64_t>(mask),
          .front = std::bit_cast<Front>(std::array{text[0], text[1]}),
          .bytes = static_cast<std::uint8_t>(name.size() + 1)};
}

consteval bool Put(const Head& head, Heads& heads) {
  const std::size_t place = PlaceOf(head.front, heads.factor);
  for (std::size_t at = place; at <= place + 1; ++at) {
    if (heads.places[at].mask != 0) continue;
    heads.places[at] = head;
    return true;
  }
  return false;
}

consteval Heads HeadsWith(std::uint32_t factor) {
  Heads heads{.factor = factor};
  for (const TextVerbSpec& spec : kTextVerbs) {
    if (!HasFastLine(spec.shape)) continue;
    Head head = HeadOf(spec.name);
    head.shape = spec.shape;
    head.verb = spec.verb;
    if (!Put(head, heads)) return {};
  }
  for (const MetaVerbSpec& spec : kMetaVerbs) {
    if (spec.flags != MetaFlagUse::kAll) continue;
    Head head = HeadOf(spec.name);
    head.verb = TextVerb::kMeta;
    head.meta = &spec;
    if (!Put(head, heads)) return {};
  }
  return heads;
}

consteval Heads MakeHeads() {
  for (std::uint32_t factor = 0x9e3779b1;; factor += 0x61c88646) {
    const Heads heads = HeadsWith(factor);
    if (heads.factor != 0) return heads;
  }
}

constexpr Heads kHeads = MakeHeads();

// The command word at the front of the input; one without a mask if it is none of kHeads.
//
// REQUIRES: kFastInputBytesMin bytes at `begin`.
inline const Head& ReadHead(const char* begin) noexcept {
  static_assert(kFastInputBytesMin >= sizeof(std::uint64_t));
  static constexpr Head kNone;
  std::uint64_t text;
  std::memcpy(&text, begin, sizeof text);
  Front front;
  std::memcpy(&front, begin, sizeof front);
  const Head* const head = &kHeads.places[PlaceOf(front, kHeads.factor)];
  if (head[0].mask != 0 && (text & head[0].mask) == head[0].text) return head[0];
  if (head[1].mask != 0 && (text & head[1].mask) == head[1].text) return head[1];
  return kNone;
}

// Every command but get and gets. Kept apart, as the compiler would have those two save registers
// that only these need (measured: 20 of 130 instructions).
//
// REQUIRES: input.size() >= kFastInputBytesMin.
[[gnu::noinline]] ParseResult ParseCommand(std::string_view input, KeyList& list,
                                           LineRequest& request) noexcept {
  const Head& head = ReadHead(input.data());
  ParseResult plain = kNotPlain;
  if (head.shape == Shape::kValue || head.shape == Shape::kValueAndUnique) {
    plain = ParsePlainStorage(input, head.bytes, head.verb, request);
  } else if (head.shape == Shape::kKeyAndDelta || head.shape == Shape::kKeyAndExptime) {
    plain = ParsePlainNumber(input, head.bytes, head.verb, request);
  } else if (head.shape == Shape::kKey) {
    plain = ParsePlainDelete(input, head.bytes, request);
  } else if (head.meta != nullptr) {
    plain = ParsePlainMeta(input, head.bytes, *head.meta, request);
  } else if (head.shape == Shape::kExptimeAndKeys) {
    return TakeExptimeAndKey(input, head.bytes, head.verb, list, request);
  }
  if (plain.status != kNotPlain.status) return plain;
  return ParseTextSlow(input, list, request);
}

}  // namespace

ParseResult ParseText(std::string_view input, KeyList& list, LineRequest& request) noexcept {
  std::size_t at = 0;
  if (!list.is_open) {
    if (list.is_skipping || input.size() < kFastInputBytesMin) [[unlikely]] {
      return ParseTextSlow(input, list, request);
    }
    const Word word = LoadWord(input.data());
    if (word == WordOf("get ")) [[likely]] {
      at = 4;
      list = KeyList{.verb = TextVerb::kGet, .is_open = true};
    } else if (word == WordOf("gets") && input[4] == ' ') {
      at = 5;
      list = KeyList{.verb = TextVerb::kGets, .is_open = true};
    } else if ((word & kFirstThreeBytes) == (WordOf("mg  ") & kFirstThreeBytes)) {
      return ParseMetaGet(input, list, request);
    } else {
      return ParseCommand(input, list, request);
    }
  }
  return TakeKey(input, at, list, request);
}

}  // namespace larder::protocol
