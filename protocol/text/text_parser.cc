#include "protocol/text/text_parser.h"

#include <array>
#include <bit>
#include <cassert>
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

// The first four bytes of a command as one number, which is compared in one instruction.
using Word = std::uint32_t;

// Reads a Word from `at`, which needs no alignment.
//
// REQUIRES: four readable bytes at `at`.
Word LoadWord(const char* at) noexcept {
  Word word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

// The Word of a literal of four characters.
consteval Word WordOf(const char (&text)[sizeof(Word) + 1]) {
  return std::bit_cast<Word>(std::array{text[0], text[1], text[2], text[3]});
}

// Selects the first three bytes of a word. A comparison with starts_with() became a call, of 40
// instructions.
constexpr Word kFirstThreeBytes = WordOf("\xff\xff\xff\0");

// The length of the longest command word of the fast path, with the space behind it. Shorter inputs
// go to the slow parser, so that no comparison has to check for the end of the input.
constexpr std::size_t kFastInputBytesMin = sizeof("replace ") - 1;

// The most digits that the fast path reads: enough for every number in practice, too few to
// overflow 64 bits. Longer numbers go to the slow parser.
constexpr std::ptrdiff_t kFastDigitsMax = 18;
static_assert(kFastDigitsMax <= std::numeric_limits<std::uint64_t>::digits10);

// The most digits of <bytes> and of touch's <exptime>, which have the strict grammar (see
// ParseStrictInt32()).
constexpr std::ptrdiff_t kStrictDigitsMax = 11;

// The result of TakeNumber().
struct Number {
  // The position behind the number; nullptr if there is no plain number.
  const char* end;
  std::uint64_t value;
};

// Takes a space and a plain number of at most digits_max digits, which begin at `at`. "Plain" means
// digits only. Everything else is left to the slow parser.
//
// Always inlined, like TakeValue(): when the compiler decides, edits elsewhere cost a set 20
// instructions.
//
// REQUIRES: a '\n' is ahead, which ends the loop at the latest.
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

// What stands between the last number of a line and its '\n': nothing, ` noreply`, '\r', or both.
struct Tail {
  // True if there is nothing else.
  bool is_plain;
  bool noreply;
};

// Reads the end of a line from `at` on.
//
// REQUIRES: `newline` is the first '\n' at or behind `at`.
inline Tail TakeTail(const char* at, const char* newline) noexcept {
  assert(at <= newline && *newline == '\n');
  constexpr std::string_view kNoreply = " noreply";
  const bool noreply = std::memcmp(at, kNoreply.data(), kNoreply.size()) == 0;
  if (noreply) at += kNoreply.size();
  if (*at == '\r') ++at;
  return {at == newline, noreply};
}

// The result of the functions below for a line that is not as plain as they expect, or not
// complete: the slow parser must look at it. None of these functions waits for more bytes by
// itself, so kNeedMore is free for this meaning.
constexpr ParseResult kNotPlain = {ParseStatus::kNeedMore, 0};

// The key of a line that has something behind its key, and that ends within the input.
struct KeyedLine {
  std::string_view key;
  // The byte behind the key: a space, or the '\n'.
  const char* key_end;
  // The end of the line; nullptr: there is no such line.
  const char* newline;
};

// Finds the key at `key_at` and the end of its line. A key that is empty or too long counts as "no
// such line" here.
inline KeyedLine FindKeyedLine(std::string_view input, std::size_t key_at) noexcept {
  assert(key_at <= input.size());
  const char* const end = input.data() + input.size();
  const char* const key = input.data() + key_at;
  const char* const key_end = FindSpaceOrNewline(key, end);
  const auto key_bytes = static_cast<std::size_t>(key_end - key);
  const char* const newline = FindNewline(key_end, end);
  if (newline == end || key_bytes - 1 >= kKeyBytesMax) return {{}, nullptr, nullptr};
  return {{key, key_bytes}, key_end, newline};
}

// Parses `<command> <key> <flags> <exptime> <bytes>[ <unique>][ noreply]`, if the line is plain.
// `key_at` is the position behind the command and its space.
ParseResult ParsePlainStorage(std::string_view input, std::size_t key_at, TextVerb verb,
                              LineRequest& request) noexcept {
  const KeyedLine line = FindKeyedLine(input, key_at);
  if (line.newline == nullptr) return kNotPlain;
  // Most storage commands set neither flags nor exptime: this shortcut saves 40 of 250
  // instructions.
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

  // As in memcached, only the low 32 bits of flags and exptime count.
  request.BeginKeyed(verb, line.key);
  request.value = {};
  request.cas_unique = unique.value;
  request.client_flags = static_cast<std::uint32_t>(flags.value);
  request.exptime = static_cast<std::int32_t>(static_cast<std::uint32_t>(exptime.value));
  request.value_bytes = static_cast<std::uint32_t>(value_bytes.value);
  request.noreply = tail.noreply;
  return TakeValue(input, static_cast<std::size_t>(line.newline + 1 - input.data()),
                   request.value_bytes, request.value);
}

// Parses `<command> <key> <number>[ noreply]`, if the line is plain. The number is a delta, or the
// exptime of a touch.
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

// Parses `delete <key>` and the other commands with a key alone, if nothing follows the key.
ParseResult ParsePlainKey(std::string_view input, std::size_t key_at, TextVerb verb,
                          LineRequest& request) noexcept {
  assert(key_at <= input.size());
  const char* const end = input.data() + input.size();
  const char* const key = input.data() + key_at;
  const char* const newline = FindSpaceOrNewline(key, end);
  if (newline == end || *newline != '\n') return kNotPlain;
  auto key_bytes = static_cast<std::size_t>(newline - key);
  // A '\r' before the '\n' belongs to the line end.
  if (key_bytes > 0 && newline[-1] == '\r') --key_bytes;
  if (key_bytes - 1 >= kKeyBytesMax) return kNotPlain;
  new (&request) LineRequest{
      .key = {key, key_bytes},
      .verb = verb,
      // It is the key and also the word noreply, as in memcached.
      .noreply = std::string_view(key, key_bytes) == "noreply",
  };
  return {ParseStatus::kComplete, static_cast<std::size_t>(newline + 1 - input.data())};
}

// Parses `md <key> ...` and the other meta commands, if the line is complete. `at` is the position
// behind the command word.
ParseResult ParsePlainMeta(std::string_view input, std::size_t at, const MetaVerbSpec& spec,
                           LineRequest& request) noexcept {
  assert(at > 0 && at <= input.size());
  const char* const end = input.data() + input.size();
  const char* const newline = FindNewline(input.data() + at, end);
  if (newline == end) return kNotPlain;
  const char* const line_end = newline[-1] == '\r' ? newline - 1 : newline;
  return TakeMetaLine(input, {input.data() + at, line_end},
                      static_cast<std::size_t>(newline + 1 - input.data()), spec, request);
}

// The flags of mg that request something and have no token, except b. As bits of a MetaFlagSet.
constexpr std::uint64_t kPlainMetaFlags = [] {
  MetaFlagSet flags;
  for (const MetaFlagSpec& row : kMetaFlags) {
    if (row.token == MetaToken::kIgnored && row.letter != 'b' && row.letter != kPrefixFlag) {
      flags.Add(row.letter);
    }
  }
  return flags.bits();
}();
// ParseMetaGet() reads two bytes for each of them, and one more, behind the end of its input.
static_assert(2 * std::popcount(kPlainMetaFlags) + 2 <= static_cast<int>(kInputSlackBytes));

// Parses `mg <key>` with flags that have no token; other lines go to the general parsers. It saves
// 260 of 950 instructions of a pipelined get.
//
// Not inlined, so that ParseText() stays small for get.
[[gnu::noinline]] ParseResult ParseMetaGet(std::string_view input, KeyList& list,
                                           LineRequest& request) noexcept {
  constexpr std::size_t kHeadBytes = 3;
  assert(input.size() >= kFastInputBytesMin && input.starts_with("mg "));
  const char* const begin = input.data();
  const char* const end = begin + input.size();
  const char* const key = begin + kHeadBytes;
  const char* at = FindSpaceOrNewline(key, end);
  const auto to_the_space = static_cast<std::size_t>(at - key);
  const char* flags = at;
  std::uint64_t seen = 0;
  std::uint64_t unseen = kPlainMetaFlags;
  // Behind the end of the input this loop reads slack. It ends within the slack, because no plain
  // flag is accepted twice, and there are fewer of them than kInputSlackBytes / 2.
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
  // Anything unexpected, or a line that is not complete (then `at` is in the slack): start again
  // with the general parsers.
  if (at >= end || *at != '\n' || key_bytes - 1 >= kKeyBytesMax) [[unlikely]] {
    constexpr const MetaVerbSpec& kSpec = *FindMetaVerb("mg");
    const ParseResult plain = ParsePlainMeta(input, kHeadBytes, kSpec, request);
    if (plain.status != kNotPlain.status) return plain;
    return ParseTextSlow(input, list, request);
  }
  request.BeginKeyed(TextVerb::kMeta, {key, key_bytes});
  request.arguments = {flags, line_end};
  request.flags = MetaFlagSet(seen);
  request.meta_verb = MetaVerb::kGet;
  return {ParseStatus::kComplete, static_cast<std::size_t>(at + 1 - begin)};
}

// --- Command words -----------------------------------------------------------------------------

// A row of a table of command words, in the form in which the fast path finds it: by the first
// eight bytes of the input.
struct Head {
  // The word and the space behind it; the other bytes are 0.
  std::uint64_t text = 0;
  // All ones in the bytes that `text` uses. 0: this place of the table is free.
  std::uint64_t mask = 0;
  // The first two bytes of the word, which are hashed.
  std::uint16_t front = 0;
  // The length of the word with its space, which is where the key begins.
  std::uint8_t bytes = 0;
  // How the line is parsed; kNothing for the meta protocol.
  Shape shape = Shape::kNothing;
  // The command; kMeta for every command of the meta protocol.
  TextVerb verb = TextVerb::kNone;
  // kMeta: the row of the command; otherwise nullptr.
  const MetaVerbSpec* meta = nullptr;
};

// Returns true if lines of this shape have a fast path here, which serves the plain ones.
constexpr bool HasFastLine(Shape shape) {
  switch (shape) {
    case Shape::kValue:
    case Shape::kValueAndUnique:
    case Shape::kKey:
    case Shape::kKeyAlone:
    case Shape::kKeyAndExptime:
    case Shape::kKeyAndDelta:
    case Shape::kExptimeAndKeys:
      return true;
    // get and gets: ParseText() handles them itself.
    case Shape::kKeys:
    case Shape::kOptionalExptime:
    case Shape::kLevel:
    case Shape::kMegabytes:
    case Shape::kArguments:
    case Shape::kConfig:
    case Shape::kNothing:
      return false;
  }
  assert(false && "a shape that is neither fast nor slow");
  return false;
}

// Command words are found by a hash of their first two bytes: a word is in the place of its hash or
// in the next one.
using Front = std::uint16_t;
// The number of places; the hash has six bits.
constexpr std::size_t kHeadPlaces = 64;
// The hash: the upper bits of a product modulo 2^32.
constexpr std::size_t PlaceOf(Front front, std::uint32_t factor) { return front * factor >> 26; }

// The hash table of command words. The additional place is the next one of the last.
struct Heads {
  std::array<Head, kHeadPlaces + 1> places = {};
  // The factor of the hash; 0: with this factor the words do not fit.
  std::uint32_t factor = 0;
};

// Returns the place for a word, without shape and verb.
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

// Puts a word into the table. Returns false if both of its places are taken.
consteval bool Put(const Head& head, Heads& heads) {
  const std::size_t place = PlaceOf(head.front, heads.factor);
  for (std::size_t at = place; at <= place + 1; ++at) {
    if (heads.places[at].mask != 0) continue;
    heads.places[at] = head;
    return true;
  }
  return false;
}

// Builds the table with a certain factor of the hash. A result with factor 0 means failure.
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

// Tries factors until all words fit. All this runs in the compiler.
consteval Heads MakeHeads() {
  for (std::uint32_t factor = 0x9e3779b1;; factor += 0x61c88646) {
    const Heads heads = HeadsWith(factor);
    if (heads.factor != 0) return heads;
  }
}

constexpr Heads kHeads = MakeHeads();
static_assert(kHeads.factor != 0);

// Returns the row of the command word at the front of the input; a row without a mask if the word
// is not in kHeads.
//
// REQUIRES: kFastInputBytesMin bytes are readable at `begin`.
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

// Parses every command except get, gets and mg. It is not inlined, because the compiler would
// otherwise make the path of get save registers that only this function needs (measured: 20 of 130
// instructions).
//
// REQUIRES: input.size() >= kFastInputBytesMin.
[[gnu::noinline]] ParseResult ParseCommand(std::string_view input, KeyList& list,
                                           LineRequest& request) noexcept {
  assert(input.size() >= kFastInputBytesMin);
  const Head& head = ReadHead(input.data());
  ParseResult plain = kNotPlain;
  if (head.shape == Shape::kValue || head.shape == Shape::kValueAndUnique) {
    plain = ParsePlainStorage(input, head.bytes, head.verb, request);
  } else if (head.shape == Shape::kKeyAndDelta || head.shape == Shape::kKeyAndExptime) {
    plain = ParsePlainNumber(input, head.bytes, head.verb, request);
  } else if (head.shape == Shape::kKey || head.shape == Shape::kKeyAlone) {
    plain = ParsePlainKey(input, head.bytes, head.verb, request);
  } else if (head.meta != nullptr) {
    plain = ParsePlainMeta(input, head.bytes, *head.meta, request);
  } else if (head.shape == Shape::kExptimeAndKeys) {
    return TakeExptimeAndKey(input, head.bytes, head.verb, list, request);
  }
  // Not plain, not complete or not a known word: the slow parser decides.
  if (plain.status != kNotPlain.status) return plain;
  return ParseTextSlow(input, list, request);
}

}  // namespace

ParseResult ParseText(std::string_view input, KeyList& list, LineRequest& request) noexcept {
  std::size_t at = 0;
  // An open list continues without a command word.
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
