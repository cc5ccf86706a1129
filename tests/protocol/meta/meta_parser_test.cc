#include "protocol/meta/meta_parser.h"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "protocol/meta/meta_flags.h"
#include "tests/protocol/parse_one.h"

namespace larder::protocol {
namespace {

RequestError ErrorOf(const std::string& line) {
  const One one = ParseOne(line + "\r\n");
  CAPTURE(line);
  REQUIRE(one.consumed_bytes == line.size() + 2);
  CHECK_FALSE(one.parsed.noreply);
  return one.parsed.verb == Verb::kError ? one.parsed.error : RequestError::kNone;
}

std::string FlagsIn(const Parsed& parsed) {
  std::string letters;
  for (const MetaFlagSpec& row : kMetaFlags) {
    if (MetaFlagSet(parsed.number).has(row.letter)) letters += row.letter;
  }
  return letters;
}

TEST_CASE("a meta get has a key and its flags", "[protocol][meta]") {
  const Parsed parsed = ParseLine("mg  key  v  t Oab \r\n");
  CHECK(parsed.verb == Verb::kMg);
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

TEST_CASE("every flag of the table is accepted by every meta command", "[protocol][meta]") {
  for (const MetaFlagSpec& row : kMetaFlags) {
    const bool is_number = row.token == MetaToken::kInt32 || row.token == MetaToken::kUint32 ||
                           row.token == MetaToken::kUint64;
    std::string flag = std::string(" ") + row.letter;
    if (is_number) flag += "1";
    for (const std::string head : {"mg YWI=", "md YWI=", "ma YWI="}) {
      if (row.letter == 'M' && head.starts_with("ma")) continue;
      CHECK(ErrorOf(head + flag) == RequestError::kNone);
      if (!is_number) continue;
      const bool is_ma = head.starts_with("ma");
      for (const std::string bad : {"", "x", "1x", "18446744073709551616"}) {
        CHECK(ErrorOf(head + " " + row.letter + bad) ==
              (is_ma ? RequestError::kBadArithmeticFlag : row.bad_token));
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
    const RequestError error = ErrorOf(std::string("mg a q ") + letter + "1");
    if (is_odd) {
      CHECK(error == RequestError::kBadLine);
    } else if (letter == 'q') {
      CHECK(error == RequestError::kDuplicateFlag);
    } else if (letter == 'b') {
      CHECK(error == RequestError::kBadBase64);
    } else {
      CHECK(error ==
            (FindMetaFlag(letter) != nullptr ? RequestError::kNone : RequestError::kInvalidFlag));
    }
  }
}

TEST_CASE("of several errors the one that memcached reports", "[protocol][meta]") {
  CHECK(ErrorOf("mg a Tx Dx") == RequestError::kBadMetaDelta);
  CHECK(ErrorOf("mg a Dx Tx") == RequestError::kBadMetaToken);
  CHECK(ErrorOf("mg a Tx Z") == RequestError::kInvalidFlag);
  CHECK(ErrorOf("mg a Tx v v") == RequestError::kDuplicateFlag);
  CHECK(ErrorOf("mg a Z {") == RequestError::kBadLine);
  const std::string long_key(kKeyBytesMax + 1, 'k');
  CHECK(ErrorOf("mg " + long_key + " Z") == RequestError::kBadLine);
  CHECK(ErrorOf("ma " + long_key) == RequestError::kBadArithmeticFlag);
  CHECK(ErrorOf("mg " + long_key.substr(1)) == RequestError::kNone);
  CHECK(ErrorOf("ma a Z") == RequestError::kBadArithmeticFlag);
  CHECK(ErrorOf("ma a {") == RequestError::kBadLine);
  CHECK(ErrorOf("ma a M") == RequestError::kBadArithmeticMode);
  CHECK(ErrorOf("ma a Md") == RequestError::kBadArithmeticMode);
  CHECK(ErrorOf("mg a O" + std::string(31, 'o')) == RequestError::kNone);
  CHECK(ErrorOf("mg a O" + std::string(32, 'o')) == RequestError::kOpaqueTooLong);
  CHECK(ErrorOf("ma a M O" + std::string(32, 'o')) == RequestError::kBadArithmeticMode);
  CHECK(ErrorOf("mg a T+5") == RequestError::kBadMetaToken);
  CHECK(ErrorOf("mg a T2147483648") == RequestError::kBadMetaToken);
  CHECK(ErrorOf("mg a E-1") == RequestError::kBadMetaToken);
  CHECK(ErrorOf("mg a F4294967296") == RequestError::kBadLine);
  CHECK(ErrorOf("mg abc b") == RequestError::kBadBase64);
  for (const std::string verb : {"mg", "ms", "md", "ma", "me"}) {
    CHECK(ErrorOf(verb + " ") == RequestError::kBadLine);
    CHECK(ErrorOf(verb) == RequestError::kBadLine);
  }
  CHECK(ErrorOf("mgg a") == RequestError::kUnknownCommand);
  CHECK(ErrorOf("mx a") == RequestError::kUnknownCommand);
}

TEST_CASE("a line may have 20 words", "[protocol][meta]") {
  const std::string flags = " v t k s f c q u O1 T0 R0 N0 P L MS F1 D1 J1";
  CHECK(ErrorOf("mg a" + flags) == RequestError::kNone);
  CHECK(ErrorOf("mg a" + flags + " I") == RequestError::kTooManyFlags);
  CHECK(ErrorOf("ma a" + flags + " I") == RequestError::kBadArithmeticFlag);
  CHECK(ParseOne("ms a 1" + flags + "\r\nx\r\n").parsed.error == RequestError::kTooManyFlags);
}

TEST_CASE("a meta set has a value, exptime and client flags", "[protocol][meta]") {
  const Parsed parsed = ParseLine("ms key 3 T-1 F9 c\r\na\nb\r\n");
  CHECK(parsed.verb == Verb::kMs);
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
    const One one = ParseOne(line);
    CHECK(one.parsed.status == ParseStatus::kEncodedKey);
    CHECK(one.parsed.key == "YWI=");
    CHECK(MetaFlagSet(one.parsed.number).has('b'));
  }
  const One waiting = ParseOne("ms YWI= 5 b\r\nx");
  CHECK(waiting.parsed.status == ParseStatus::kNeedValue);
  CHECK(MetaFlagSet(waiting.parsed.number).has('b'));
  CHECK(ParseOne("ms YWI= 1 b\r\nxyz\r\n").parsed.status == ParseStatus::kNeedValue);
}

TEST_CASE("me looks at b only", "[protocol][meta]") {
  CHECK(ErrorOf("me a zzz 1 2 T v v O" + std::string(40, 'o')) == RequestError::kNone);
  CHECK(ErrorOf("me a {") == RequestError::kBadLine);
  CHECK(ErrorOf("me abc b") == RequestError::kBadLine);
  CHECK(ErrorOf("me abc bb") == RequestError::kNone);
  CHECK(ErrorOf("me " + std::string(251, 'k')) == RequestError::kBadLine);
}

}  // namespace
}  // namespace larder::protocol
