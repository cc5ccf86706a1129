// What the options of the command line do with their values.
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

inline constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;
inline constexpr std::uint64_t kItemBytesCeiling = std::uint64_t{1} << 30;

// Each of these takes the value of an option into `config`, or says what is wrong with it.

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

template <std::string Config::*kText>
StepResult ReadText(Config& config, std::string_view value) {
  config.*kText = value;
  return Done{};
}

// A file that is opened after the process may have left the folder it was started in.
template <std::string Config::*kPath>
StepResult ReadPath(Config& config, std::string_view value) {
  std::error_code error;
  config.*kPath = std::filesystem::absolute(value, error).string();
  if (value.empty() || error) {
    return ConfigExit::BadValue(fmt::format("\"{}\" is no path of a file", value));
  }
  return Done{};
}

template <std::uint32_t Config::*kNumber, std::uint32_t kMax>
StepResult ReadUpTo(Config& config, std::string_view value) {
  const auto number = ParseNumber<std::uint32_t>(value);
  if (!number || *number == 0 || *number > kMax) {
    return ConfigExit::BadValue(fmt::format("\"{}\" is no whole number from 1 to {}", value, kMax));
  }
  config.*kNumber = *number;
  return Done{};
}

StepResult ReadPort(Config& config, std::string_view value);
StepResult ReadUdpPort(Config& config, std::string_view value);
StepResult AddListen(Config& config, std::string_view value);
StepResult ReadUnixMask(Config& config, std::string_view value);
StepResult ReadBacklog(Config& config, std::string_view value);
StepResult ReadConnectionsMax(Config& config, std::string_view value);
StepResult ReadProtocol(Config& config, std::string_view value);
StepResult ReadMemory(Config& config, std::string_view value);
StepResult ReadItemBytesMax(Config& config, std::string_view value);
StepResult ReadGrowthFactor(Config& config, std::string_view value);
StepResult ReadChunkBytesMin(Config& config, std::string_view value);
StepResult ReadThreads(Config& config, std::string_view value);
StepResult ReadRequestsPerTurn(Config& config, std::string_view value);
StepResult ReadPrefixDelimiter(Config& config, std::string_view value);
StepResult ReadClusterDns(Config& config, std::string_view value);

}  // namespace larder::server
