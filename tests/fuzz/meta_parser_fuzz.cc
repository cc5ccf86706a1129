// Fuzzes the parser of meta commands. The first byte of each line chooses the command, so that
// hardly an input goes astray among the others. What the parser accepts must be as promised: a key
// of legal length, flags that are all known, each once, with tokens that can be read.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/encoding/base64.h"
#include "protocol/meta/meta_flags.h"
#include "tests/fuzz/stream.h"

namespace larder::protocol {
namespace {

constexpr std::array<std::string_view, 5> kCommands = {"mg", "ms", "md", "ma", "me"};

std::string MetaLines(std::string_view text) {
  std::string lines;
  bool is_at_start = true;
  for (const char byte : text) {
    if (is_at_start) {
      lines += kCommands[static_cast<unsigned char>(byte) % kCommands.size()];
      lines += ' ';
    } else {
      lines += byte;
    }
    is_at_start = byte == '\n' && !is_at_start;
  }
  return lines;
}

void CheckFlags(const Parsed& parsed) {
  MetaFlagSet seen;
  for (MetaFlags flags(parsed.arguments); flags.Next();) {
    const MetaFlagSpec* const row = FindMetaFlag(flags.letter());
    Require(row != nullptr && !seen.has(row->letter));
    seen.Add(row->letter);
    Require(row->token != MetaToken::kOpaque || flags.token().size() <= kOpaqueBytesMax);
    Require(MetaTokenOf(parsed.arguments, row->letter) == flags.token());
    if (row->token == MetaToken::kUint64) {
      Require(MetaNumberOf(parsed.arguments, row->letter).has_value());
    }
    if (row->token == MetaToken::kInt32) {
      Require(MetaExptimeOf(parsed.arguments, row->letter).has_value());
    }
  }
  Require(seen == parsed.flags);
}

void CheckMeta(const Parsed& parsed) {
  if (parsed.verb != TextVerb::kMeta || parsed.meta_verb == MetaVerb::kNoop ||
      parsed.meta_verb == MetaVerb::kExplain) {
    return;
  }
  Require(!parsed.key.empty() && parsed.key.size() <= kKeyBytesMax);
  Require(parsed.key.find_first_of(" \n") == std::string::npos);
  if (parsed.flags.has('b')) {
    std::array<char, DecodedBytesMax(kKeyBytesMax)> room;
    Require(!DecodeBase64(room.data(), parsed.key).empty());
  }
  if (parsed.meta_verb != MetaVerb::kDebug) CheckFlags(parsed);
}

void TestOneText(std::uint8_t choice, std::string_view text) {
  const Feed feed = FeedText(choice, MetaLines(text));
  for (const Parsed& parsed : feed.parsed()) CheckMeta(parsed);
}

}  // namespace
}  // namespace larder::protocol

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  if (bytes == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, bytes - 1);
  larder::protocol::TestOneText(data[0], text);
  return 0;
}
