#include "server/config/prefix_share.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "server/config/option_number.h"
#include "slab/policies.h"

namespace larder::server {
namespace {

constexpr std::uint32_t kAll = 100;

// "10%": a whole number of percent, from 1 to 100.
std::optional<std::uint32_t> ReadPercent(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  const auto percent = ParseNumber<std::uint32_t>(text);
  return percent && *percent >= 1 && *percent <= kAll ? percent : std::nullopt;
}

// The part behind the name.
std::optional<slab::PrefixShare> ReadBounds(std::string_view text) {
  constexpr std::string_view kDots = "..";
  slab::PrefixShare share;
  const std::size_t dots = text.find(kDots);
  if (dots != 0) {
    const auto floor = ReadPercent(text.substr(0, dots));
    if (!floor) return std::nullopt;
    share.floor_percent = *floor;
  }
  if (dots != text.npos) {
    const auto ceiling = ReadPercent(text.substr(dots + kDots.size()));
    if (!ceiling) return std::nullopt;
    share.ceiling_percent = *ceiling;
  }
  return share;
}

}  // namespace

StepResult AddPrefixShare(Config& config, std::string_view value) {
  const auto refuse = [&](std::string_view why) {
    return ConfigExit::BadValue(fmt::format("--prefix-share {}: {}", value, why));
  };
  const std::size_t end = std::min(value.rfind('='), value.size());
  const std::string_view name = value.substr(0, end);
  if (name.empty() || end == value.size()) {
    return refuse("needs the form name=10%..30%, name=10% or name=..30%");
  }
  auto share = ReadBounds(value.substr(end + 1));
  if (!share) {
    return refuse("needs the form name=10%..30%, name=10% or name=..30%, of 1% to 100%");
  }
  if (share->floor_percent > share->ceiling_percent)
    return refuse("the floor is above the ceiling");
  if (name.size() > slab::kPrefixBytesMax) {
    return refuse(fmt::format("the prefix is longer than {} bytes", slab::kPrefixBytesMax));
  }
  if (!std::ranges::all_of(name, [](unsigned char c) { return c > ' ' && c != 0x7f; })) {
    return refuse("the prefix has a byte that keys of the text protocol cannot have");
  }
  if (std::ranges::count(config.prefix_shares, name, &slab::PrefixShare::prefix) != 0) {
    return refuse("the prefix has a share already");
  }
  if (config.prefix_shares.size() == slab::kPrefixSharesMax) {
    return refuse(fmt::format("there are {} shares already", slab::kPrefixSharesMax));
  }
  config.count_prefixes = true;
  share->prefix = name;
  config.prefix_shares.push_back(std::move(*share));
  return Done{};
}

StepResult CheckPrefixShares(const Config& config) {
  std::uint32_t floors = 0;
  for (const slab::PrefixShare& share : config.prefix_shares) {
    floors += share.floor_percent;
    if (share.prefix.find(config.prefix_delimiter) != share.prefix.npos) {
      return ConfigExit::Refused(
          fmt::format("--prefix-share {}: a prefix ends before the first '{}'", share.prefix,
                      config.prefix_delimiter));
    }
  }
  if (floors > kAll) {
    return ConfigExit::Refused(
        fmt::format("--prefix-share: the floors come to {}%, more than all memory", floors));
  }
  if (!config.prefix_shares.empty() && !config.count_prefixes) {
    return ConfigExit::Refused("--prefix-share needs the statistics that no_prefix_stats stops");
  }
  return Done{};
}

}  // namespace larder::server
