#include "server/config/help_text.h"

#include <fmt/format.h>

#include <optional>

#include "server/config/split.h"
#include "server/config/version.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// The column in which descriptions begin.
constexpr std::size_t kHelpColumn = 32;

// Returns the heading of a section.
std::string_view Heading(Section section) {
  switch (section) {
    case Section::kSockets:
      return "Sockets";
    case Section::kMemory:
      return "Memory";
    case Section::kWork:
      return "Work";
    case Section::kCluster:
      return "Cluster";
    case Section::kProcess:
      return "Process";
    case Section::kHelp:
      return "Help";
    case Section::kUnsupported:
      return "Options of memcached that are refused";
  }
  LARDER_ASSERT(false && "a section without a heading");
  return "";
}

// Returns the left column of an option: its names and what its value is called.
std::string NamesOf(const Option& option) {
  // Options without a letter are indented, so that all long names begin in one column.
  std::string names = option.letter != 0 ? fmt::format("  -{}", option.letter) : "    ";
  if (!option.name.empty()) {
    names += fmt::format("{}--{}", option.letter != 0 ? ", " : "  ", option.name);
  }
  if (!option.value_name.empty()) {
    // "-D CHAR", but "--port=NUM".
    names += fmt::format("{}{}", option.name.empty() ? ' ' : '=', option.value_name);
  }
  return names;
}

// Returns the description of an option, with its default and further lines.
std::string HelpOf(const Option& option) {
  std::string help = WithDefault(option.help, option.show, option.setting);
  if (option.more_help != nullptr) help.append("\n").append(option.more_help());
  return help;
}

}  // namespace

std::string HelpText(std::span<const Option> options) {
  std::string text = fmt::format(
      "larder {}, a cache server that speaks memcached's protocol\n"
      "usage: larder [option]...\n",
      Version());
  // Nothing before the first option, so that its section gets a heading.
  std::optional<Section> section;
  for (const Option& option : options) {
    // The options of a section are neighbours in the table.
    if (option.section != section) {
      section = option.section;
      text += fmt::format("\n{}:\n", Heading(*section));
    }
    const std::string names = NamesOf(option);
    text += names;
    // The width of the text that stands in the line so far.
    std::size_t column = names.size();
    // Long names get a line of their own.
    if (column >= kHelpColumn) {
      text += '\n';
      column = 0;
    }
    const std::string help = HelpOf(option);
    // Every line of the description begins in the same column.
    for (std::string_view rest = help; !rest.empty(); column = 0) {
      LARDER_ASSERT(column < kHelpColumn);
      text += fmt::format("{:{}}{}\n", "", kHelpColumn - column, TakePiece(rest, "\n"));
    }
  }
  LARDER_ASSERT(text.ends_with('\n'));
  // The last newline is printed by the caller.
  text.pop_back();
  return text;
}

std::string WithDefault(std::string_view text, std::string (*show)(const Config&),
                        const Setting& setting) {
  constexpr std::string_view kPlace = "{}";
  std::string result(text);
  const std::size_t at = result.find(kPlace);
  if (at == std::string::npos) return result;
  LARDER_ASSERT(show != nullptr || setting.get != nullptr);
  // A value-initialised Config has the defaults.
  const Config defaults;
  return result.replace(
      at, kPlace.size(),
      show != nullptr ? show(defaults) : setting.get(SettingsSample(defaults, {})));
}

}  // namespace larder::server
