#include "server/lru_commands.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "protocol/reply.h"
#include "protocol/tokens.h"
#include "server/option_number.h"

namespace larder::server {
namespace {

using protocol::Tokens;

constexpr std::uint64_t kTunedPercentMax = 80;
constexpr std::uint64_t kCrawlerSleepUsMax = 1'000'000;
constexpr std::uint64_t kCrawlerClassEnd = 64;  // memcached's, whatever classes there are.

std::string_view Tune(const Tokens& words, slab::Cache& cache) {
  const auto hot = ParseNumber<std::uint32_t>(words[1]);
  const auto warm = ParseNumber<std::uint32_t>(words[2]);
  const auto hot_factor = ParseNumber<double>(words[3]);
  const auto warm_factor = ParseNumber<double>(words[4]);
  if (!hot || !warm || !hot_factor || !warm_factor) return protocol::kError;
  if (std::uint64_t{*hot} + *warm > kTunedPercentMax) return protocol::kLruPercentTooHigh;
  if (!(*hot_factor > 0) || !(*warm_factor > 0)) return protocol::kLruFactorTooLow;
  cache.SetProbationShare(*hot / 100.0);
  return protocol::kOk;
}

std::string_view SetMode(std::string_view mode, slab::Cache& cache) {
  if (mode == "flat") {
    cache.SetEvictionPolicy(slab::EvictionPolicy::kLru);
  } else if (mode == "segmented") {
    cache.SetEvictionPolicy(slab::EvictionPolicy::kSegmented);
  } else {
    return protocol::kError;
  }
  return protocol::kOk;
}

std::string_view SetTempTtl(std::string_view text) {
  const auto ttl_s = ParseNumber<std::int32_t>(text);
  if (!ttl_s) return protocol::kError;
  return *ttl_s < 0 ? protocol::kOk : protocol::kNoTempLru;
}

bool AreClasses(std::string_view list) {
  if (list == "all") return true;
  for (;;) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const auto id = ParseNumber<std::uint32_t>(list.substr(0, comma));
    if (!id || *id == 0 || *id >= kCrawlerClassEnd) return false;
    if (comma == list.size()) return true;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace

std::string_view RunLru(std::string_view arguments, slab::Cache& cache) {
  const Tokens words(arguments);
  if (words[0] == "tune") return Tune(words, cache);
  if (words[0] == "mode") return SetMode(words[1], cache);
  if (words[0] == "temp_ttl") return SetTempTtl(words[1]);
  return protocol::kError;
}

std::string_view AnswerLruCrawler(std::string_view arguments) {
  const Tokens words(arguments);
  const std::string_view what = words[0];
  if (words.count() == 1) {
    if (what == "enable") return protocol::kCrawlerNotStarted;
    if (what == "disable") return protocol::kOk;
  }
  // Another word, `noreply` too, makes it another command.
  if (words.count() != 2) return protocol::kError;
  if (what == "sleep" || what == "tocrawl") {
    const auto number = ParseNumber<std::uint32_t>(words[1]);
    if (!number) return protocol::ErrorText(protocol::RequestError::kBadLine);
    if (what == "sleep" && *number > kCrawlerSleepUsMax) return protocol::kCrawlerSleepTooLong;
    return protocol::kOk;
  }
  const bool is_dump = what == "metadump" || what == "mgdump";
  if (what == "crawl" || is_dump) {
    if (!AreClasses(words[1]) && !(is_dump && words[1] == "hash"))
      return protocol::kBadCrawlerClass;
    return protocol::kCrawlerDisabled;
  }
  return protocol::kError;
}

}  // namespace larder::server
