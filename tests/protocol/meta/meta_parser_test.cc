#include "protocol/meta/meta_parser.h"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "protocol/meta/meta_flags.h"
#include "tests/protocol/parse_one.h"

namespace larder::protocol {
namespace {

LineError LineErrorOf(const std::string& line) {
  const OneUnit one = ParseOne(line + "\r\n");
  CAPTURE(line);
  REQUIRE(one.consumed_bytes == line.size() + 2);
  CHECK_FALSE(one.parsed.noreply);
  return one.parsed.verb == TextVerb::kNone ? one.parsed.error : LineError::kNone;
}

std::string FlagsIn(const Parsed& parsed) {
  std::string letters;
  for (const MetaFlagSpec& row : kMetaFlags) {
    if (parsed.flags.has(row.letter)) letters += row.letter;
  }
  return letters;
}

TEST_CASE("a meta get has a key and its flags", "[protocol][meta]") {
  const Parsed parsed = ParseLine("mg  key  v  t Oab \r\n");
  CHECK(parsed.verb == TextVerb::kMeta);
  CHECK(parsed.meta_verb == MetaVerb::kGet);
  CHECK(parsed.key == "key");
  CHECK(FlagsIn(parsed) == "Otv");
  MetaFlags flags(parsed.arguments);
  for (const std::string_view text : {"v", "t", "Oab"}) {
    REQUIRE(flags.Next());
    CHECK(flags.text() == text);
  }
  CHECK_FALSE(flags.Next());
  CHECK(ParseLine("mg key\r\n").key == "key");
  CHECK(ParseLine("mg key\n").key == "key");
  CHECK(FlagsIn(ParseLine("mg key v\n")) == "v");
  CHECK(FlagsIn(ParseLine("mg key vfoo s10 t\r\n")) == "stv");
  CHECK(ParseLine("mg a\tv\r\n").key == "a\tv");
}

TEST_CASE("every flag of the table is accepted by every meta command, but p by md alone",
          "[protocol][meta]") {
  for (const MetaFlagSpec& row : kMetaFlags) {
    const bool is_number = row.token == MetaToken::kInt32 || row.token == MetaToken::kUint32 ||
                           row.token == MetaToken::kUint64;
    std::string flag = std::string(" ") + row.letter;
    if (is_number) flag += "1";
    for (const std::string head : {"mg YWI=", "md YWI=", "ma YWI="}) {
      if (row.letter == 'M' && head.starts_with("ma")) continue;
      if (row.letter == kPrefixFlag && !head.starts_with("md")) {
        CHECK(LineErrorOf(head + flag) ==
              (head.starts_with("ma") ? LineError::kBadArithmeticFlag : LineError::kInvalidFlag));
        continue;
      }
      CHECK(LineErrorOf(head + flag) == LineError::kNone);
      if (!is_number) continue;
      const bool is_ma = head.starts_with("ma");
      for (const std::string bad : {"", "x", "1x", "18446744073709551616"}) {
        CHECK(LineErrorOf(head + " " + row.letter + bad) ==
              (is_ma ? LineError::kBadArithmeticFlag : row.bad_token));
      }
    }
  }
}

TEST_CASE("letters that are no flags are invalid, other bytes make the line bad",
          "[protocol][meta]") {
  for (int byte = 0x21; byte < 0x100; ++byte) {
    const char letter = static_cast<char>(byte);
    const bool is_odd = byte < '0' || (byte > '9' && byte < 'A') || byte > 'z';
    CAPTURE(byte);
    const LineError error = LineErrorOf(std::string("mg a q ") + letter + "1");
    if (is_odd) {
      CHECK(error == LineError::kBadLine);
    } else if (letter == 'q') {
      CHECK(error == LineError::kDuplicateFlag);
    } else if (letter == 'b') {
      CHECK(error == LineError::kBadBase64);
    } else {
      const bool is_flag = FindMetaFlag(letter) != nullptr && letter != kPrefixFlag;
      CHECK(error == (is_flag ? LineError::kNone : LineError::kInvalidFlag));
    }
  }
}

TEST_CASE("of several errors the one that memcached reports", "[protocol][meta]") {
  CHECK(LineErrorOf("mg a Tx Dx") == LineError::kBadMetaDelta);
  CHECK(LineErrorOf("mg a Dx Tx") == LineError::kBadMetaToken);
  CHECK(LineErrorOf("mg a Tx Z") == LineError::kInvalidFlag);
  CHECK(LineErrorOf("mg a Tx v v") == LineError::kDuplicateFlag);
  CHECK(LineErrorOf("mg a Z {") == LineError::kBadLine);
  const std::string long_key(kKeyBytesMax + 1, 'k');
  CHECK(LineErrorOf("mg " + long_key + " Z") == LineError::kBadLine);
  CHECK(LineErrorOf("ma " + long_key) == LineError::kBadArithmeticFlag);
  CHECK(LineErrorOf("mg " + long_key.substr(1)) == LineError::kNone);
  CHECK(LineErrorOf("ma a Z") == LineError::kBadArithmeticFlag);
  CHECK(LineErrorOf("ma a {") == LineError::kBadLine);
  CHECK(LineErrorOf("ma a M") == LineError::kBadArithmeticMode);
  CHECK(LineErrorOf("ma a Md") == LineError::kBadArithmeticMode);
  CHECK(LineErrorOf("mg a O" + std::string(31, 'o')) == LineError::kNone);
  CHECK(LineErrorOf("mg a O" + std::string(32, 'o')) == LineError::kOpaqueTooLong);
  CHECK(LineErrorOf("ma a M O" + std::string(32, 'o')) == LineError::kBadArithmeticMode);
  CHECK(LineErrorOf("mg a T+5") == LineError::kBadMetaToken);
  CHECK(LineErrorOf("mg a T2147483648") == LineError::kBadMetaToken);
  CHECK(LineErrorOf("mg a E-1") == LineError::kBadMetaToken);
  CHECK(LineErrorOf("mg a F4294967296") == LineError::kBadLine);
  CHECK(LineErrorOf("mg abc b") == LineError::kBadBase64);
  for (const std::string verb : {"mg", "ms", "md", "ma", "me"}) {
    CHECK(LineErrorOf(verb + " ") == LineError::kBadLine);
    CHECK(LineErrorOf(verb) == LineError::kBadLine);
  }
  CHECK(LineErrorOf("mgg a") == LineError::kUnknownCommand);
  CHECK(LineErrorOf("mx a") == LineError::kUnknownCommand);
}

TEST_CASE("a line may have 20 words", "[protocol][meta]") {
  const std::string flags = " v t k s f c q u O1 T0 R0 N0 P L MS F1 D1 J1";
  CHECK(LineErrorOf("mg a" + flags) == LineError::kNone);
  CHECK(LineErrorOf("mg a" + flags + " I") == LineError::kTooManyFlags);
  CHECK(LineErrorOf("ma a" + flags + " I") == LineError::kBadArithmeticFlag);
  CHECK(ParseOne("ms a 1" + flags + "\r\nx\r\n").parsed.error == LineError::kTooManyFlags);
}

TEST_CASE("a meta set has a value, exptime and client flags", "[protocol][meta]") {
  const Parsed parsed = ParseLine("ms key 3 T-1 F9 c\r\na\nb\r\n");
  CHECK(parsed.verb == TextVerb::kMeta);
  CHECK(parsed.meta_verb == MetaVerb::kSet);
  CHECK(parsed.value == "a\nb");
  CHECK(parsed.exptime == -1);
  CHECK(parsed.client_flags == 9);
  CHECK(FlagsIn(parsed) == "cFT");
  CHECK(ParseLine("ms key 0\r\n\r\n").value.empty());
  CHECK(StatusOf("ms key 3\r\nab") == ParseStatus::kNeedValue);
  CHECK(StatusOf("ms key 3 q\r\nabcdef\r\n") == ParseStatus::kNeedValue);
}

TEST_CASE("a refused meta set takes its data along if its length is known", "[protocol][meta]") {
  const auto swallowed = [](std::string_view line) { return ParseOne(line).parsed.swallow_bytes; };
  CHECK(swallowed("ms a 2 Z\r\n") == 4);
  CHECK(swallowed("ms a 2 F\r\n") == 4);
  CHECK(swallowed("ms a 2 MX\r\n") == 4);
  CHECK(swallowed("ms abc 2 b\r\n") == 4);
  CHECK(swallowed("ms " + std::string(251, 'k') + " 2147483645\r\n") == 2147483647);
  CHECK(swallowed("ms a 2147483646\r\n") == 0);
  CHECK(swallowed("ms a -1\r\n") == 0);
  CHECK(swallowed("ms a x\r\n") == 0);
  CHECK(swallowed("ms a S2\r\n") == 0);
  CHECK(swallowed("ms a 2 {\r\n") == 0);
  CHECK(swallowed("mg a Z\r\n") == 0);
}

TEST_CASE("a base64 key waits to be decoded", "[protocol][meta]") {
  for (const std::string_view line : {"mg YWI= b v\r\n", "md YWI= b\r\n", "ma YWI= b\r\n",
                                      "me YWI= b\r\n", "ms YWI= 1 b\r\nx\r\n"}) {
    CAPTURE(std::string(line));
    const OneUnit one = ParseOne(line);
    CHECK(one.parsed.status == ParseStatus::kEncodedKey);
    CHECK(one.parsed.key == "YWI=");
    CHECK(one.parsed.flags.has('b'));
  }
  const OneUnit waiting = ParseOne("ms YWI= 5 b\r\nx");
  CHECK(waiting.parsed.status == ParseStatus::kNeedValue);
  CHECK(waiting.parsed.flags.has('b'));
  CHECK(ParseOne("ms YWI= 1 b\r\nxyz\r\n").parsed.status == ParseStatus::kNeedValue);
}

TEST_CASE("me looks at b only", "[protocol][meta]") {
  CHECK(LineErrorOf("me a zzz 1 2 T v v O" + std::string(40, 'o')) == LineError::kNone);
  CHECK(LineErrorOf("me a {") == LineError::kBadLine);
  CHECK(LineErrorOf("me abc b") == LineError::kBadLine);
  CHECK(LineErrorOf("me abc bb") == LineError::kNone);
  CHECK(LineErrorOf("me " + std::string(251, 'k')) == LineError::kBadLine);
}

}  // namespace
}  // namespace larder::protocol
