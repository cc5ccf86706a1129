// The functions that store the values of options in a Config.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "server/config/config.h"
#include "server/config/config_exit.h"
#include "server/config/option_number.h"

namespace larder::server {

// The unit of -m, and of the suffix m of -I, in bytes.
inline constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;
// The upper limit of -I, in bytes.
inline constexpr std::uint64_t kItemBytesCeiling = std::uint64_t{1} << 30;

// Each function below is the `apply` of one or several options (see server/config/option.h): it
// stores `value` in `config`, or fails with the message and the exit code for the user.

// Switches without a value.
template <bool Config::*kSwitch>
StepResult SwitchOn(Config& config, std::string_view) {
  config.*kSwitch = true;
  return Done{};
}

template <bool Config::*kSwitch>
StepResult SwitchOff(Config& config, std::string_view) {
  config.*kSwitch = false;
  return Done{};
}

// Any text, also an empty one.
template <std::string Config::*kText>
StepResult ReadText(Config& config, std::string_view value) {
  config.*kText = value;
  return Done{};
}

// The path of a file, made absolute: the file may be opened after the process has changed its
// directory.
template <std::string Config::*kPath>
StepResult ReadPath(Config& config, std::string_view value) {
  std::error_code error;
  config.*kPath = std::filesystem::absolute(value, error).string();
  if (value.empty() || error) {
    return ConfigExit::BadValue(fmt::format("\"{}\" is no path of a file", value));
  }
  return Done{};
}

// A whole number from 1 to kMax.
template <std::uint32_t Config::*kNumber, std::uint32_t kMax>
StepResult ReadUpTo(Config& config, std::string_view value) {
  static_assert(kMax > 0);
  const auto number = ParseNumber<std::uint32_t>(value);
  if (!number || *number == 0 || *number > kMax) {
    return ConfigExit::BadValue(fmt::format("\"{}\" is no whole number from 1 to {}", value, kMax));
  }
  config.*kNumber = *number;
  return Done{};
}

// -p: a number from -1 to kPortMax.
StepResult ReadPort(Config& config, std::string_view value);
// -U: only 0, because UDP is not served.
StepResult ReadUdpPort(Config& config, std::string_view value);
// -l: adds a list of addresses. An item that is malformed is reported like an address that the
// system refuses.
StepResult AddListen(Config& config, std::string_view value);
// -a: an octal number up to 777.
StepResult ReadUnixMask(Config& config, std::string_view value);
// -b: any whole number; the system limits it.
StepResult ReadBacklog(Config& config, std::string_view value);
// -c: a positive number.
StepResult ReadConnectionsMax(Config& config, std::string_view value);
// -B: auto, ascii or binary.
StepResult ReadProtocol(Config& config, std::string_view value);
// -m: megabytes, or a share such as 75%.
StepResult ReadMemory(Config& config, std::string_view value);
// -I: bytes, or a number with k or m. The range is checked later, by ParseConfig().
StepResult ReadItemBytesMax(Config& config, std::string_view value);
// -f: a number above 1.
StepResult ReadGrowthFactor(Config& config, std::string_view value);
// -n: a positive number.
StepResult ReadChunkBytesMin(Config& config, std::string_view value);
// -t: a number from 1 to kThreadsMax; a high one adds a warning.
StepResult ReadThreads(Config& config, std::string_view value);
// -R: a positive number.
StepResult ReadRequestsPerTurn(Config& config, std::string_view value);
// -D: the first byte of the value. Also switches `stats detail` on.
StepResult ReadPrefixDelimiter(Config& config, std::string_view value);
// --cluster-dns: host:port.
StepResult ReadClusterDns(Config& config, std::string_view value);

}  // namespace larder::server
