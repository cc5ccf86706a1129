#include "server/config/options.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <string_view>

#include "server/config/extended_options.h"
#include "server/config/help_text.h"
#include "server/config/settings.h"
#include "tests/server/config/command_line.h"

namespace larder::server {
namespace {

TEST_CASE("every option has a name or a letter of its own, and a line of help", "[options]") {
  std::set<std::string_view> names;
  std::set<char> letters;
  for (const Option& option : Options()) {
    CAPTURE(option.letter, option.name);
    CHECK((option.letter != 0 || !option.name.empty()));
    if (!option.name.empty()) CHECK(names.insert(option.name).second);
    if (option.letter != 0) CHECK(letters.insert(option.letter).second);
    CHECK_FALSE(option.help.empty());
    CHECK(option.apply != nullptr);
  }
}

TEST_CASE("every name that -o takes is there once, with a complaint if its value is missing",
          "[options]") {
  std::set<std::string_view> names;
  for (const ExtendedOption& option : ExtendedOptions()) {
    CAPTURE(option.name);
    CHECK(names.insert(option.name).second);
    const bool needs_value =
        option.kind != ValueKind::kNone && option.kind != ValueKind::kOptionalInteger;
    CHECK(option.missing_text.empty() != needs_value);
    CHECK((option.effect == Effect::kRecorded || option.apply != nullptr));
  }
}

TEST_CASE("rows that accepted options change are rows of stats settings", "[options]") {
  for (const ExtendedOption& option : ExtendedOptions()) {
    for (const AcceptedRow& change : option.changes) {
      if (change.shown == Shown::kNot) continue;
      CAPTURE(option.name, change.row);
      CHECK(std::ranges::count(SettingsMetrics(), change.row, &Setting::name) == 1);
    }
  }
}

TEST_CASE("the help text shows the defaults of the configuration", "[options]") {
  const std::string help = HelpText(Options());
  CHECK(help.find("{}") == help.npos);
  for (const char* text : {"(default 11211)", "(default 700)", "(default 64)", "(default 1m)",
                           "(default auto: ", "(default 1.10, ", "(default :)",
                           "eviction=segmented ", "upload_memory=3 ", "upload_timeout=120 "}) {
    CAPTURE(text);
    CHECK(help.find(text) != help.npos);
  }
}

TEST_CASE("a default given as the help text has it changes no setting", "[options]") {
  const SettingsSample defaults(Config{}, {});
  for (const Option& option : Options()) {
    if (option.help.find("{}") == option.help.npos || option.letter == 'D') continue;
    const std::string value = WithDefault("{}", option.show, option.setting);
    const std::string argument = option.name.empty()
                                     ? "-" + std::string(1, option.letter) + value
                                     : "--" + std::string(option.name) + "=" + value;
    CAPTURE(argument);
    const SettingsSample given(ParseGood({argument.c_str()}), {});
    for (const Setting& row : SettingsMetrics()) {
      CAPTURE(row.name);
      CHECK(row.get(given) == row.get(defaults));
    }
  }
}

}  // namespace
}  // namespace larder::server
