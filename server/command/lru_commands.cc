#include "server/command/lru_commands.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "protocol/text/text_reply.h"
#include "protocol/text/tokens.h"
#include "server/config/option_number.h"
#include "server/config/split.h"
#include "slab/check.h"

namespace larder::server {
namespace {

using protocol::Tokens;

// The limits of memcached for these settings: the shares of both segments together in percent, and
// the pause in microseconds.
constexpr std::uint64_t kTunedPercentMax = 80;
constexpr std::uint64_t kCrawlerSleepUsMax = 1'000'000;

// `lru tune <hot> <warm> <factor> <factor>`.
std::string_view Tune(const Tokens& words, slab::Cache& cache) {
  const auto hot = ParseNumber<std::uint32_t>(words[1]);
  const auto warm = ParseNumber<std::uint32_t>(words[2]);
  const auto hot_factor = ParseNumber<double>(words[3]);
  const auto warm_factor = ParseNumber<double>(words[4]);
  if (!hot || !warm || !hot_factor || !warm_factor) return protocol::kError;
  if (std::uint64_t{*hot} + *warm > kTunedPercentMax) return protocol::kLruPercentTooHigh;
  // Written so that a factor that is not a number is refused, too.
  if (!(*hot_factor > 0) || !(*warm_factor > 0)) return protocol::kLruFactorTooLow;
  cache.SetProbationShare(*hot / 100.0);
  return protocol::kOk;
}

// `lru mode flat|segmented`.
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

// `lru temp_ttl <n>`.
std::string_view SetTempTtl(std::string_view text) {
  const auto ttl_s = ParseNumber<std::int32_t>(text);
  if (!ttl_s) return protocol::kError;
  return *ttl_s < 0 ? protocol::kOk : protocol::kNoTempLru;
}

// Parses a list of slab classes, numbers with commas between, or "all". Nothing if an element is
// not the number of a possible class.
std::optional<slab::ClassSet> ParseClasses(std::string_view list) {
  slab::ClassSet classes;
  if (list == "all") return classes.set();
  // TakePiece() would not report the empty last element.
  if (list.ends_with(',')) return std::nullopt;
  do {
    const auto id = ParseNumber<std::uint32_t>(TakePiece(list, ","));
    if (!id || *id == 0 || *id > slab::kClassesMax) return std::nullopt;
    classes.set(*id);
  } while (!list.empty());
  return classes;
}

// `lru_crawler sleep <us>` and `lru_crawler tocrawl <n>`.
std::string_view SetCrawlerNumber(std::string_view what, std::string_view text,
                                  slab::ExpirySweep& sweep) {
  const auto number = ParseNumber<std::uint32_t>(text);
  if (!number) return protocol::ErrorText(protocol::LineError::kBadLine);
  if (what == "tocrawl") {
    sweep.set_slice_max(*number);
    return protocol::kOk;
  }
  LARDER_ASSERT(what == "sleep");
  if (*number > kCrawlerSleepUsMax) return protocol::kCrawlerSleepTooLong;
  sweep.set_pause_min_us(*number);
  return protocol::kOk;
}

// `lru_crawler crawl <classes>`. The classes are checked but not used: a pass covers all of them.
std::string_view Crawl(std::string_view classes, slab::ExpirySweep& sweep) {
  if (!sweep.is_enabled()) return protocol::kCrawlerDisabled;
  if (!ParseClasses(classes)) return protocol::kBadCrawlerClass;
  return sweep.RequestPass() ? protocol::kOk : protocol::kCrawlerBusy;
}

}  // namespace

std::string_view RunLru(std::string_view arguments, slab::Cache& cache) {
  const Tokens words(arguments);
  if (words[0] == "tune") return Tune(words, cache);
  if (words[0] == "mode") return SetMode(words[1], cache);
  if (words[0] == "temp_ttl") return SetTempTtl(words[1]);
  return protocol::kError;
}

std::string_view RunLruCrawler(std::string_view arguments, slab::ExpirySweep& sweep) {
  const Tokens words(arguments);
  const std::string_view what = words[0];
  if (words.count() == 1) {
    if (what == "enable") return sweep.Enable() ? protocol::kOk : protocol::kCrawlerNotStarted;
    if (what == "disable") {
      sweep.Disable();
      return protocol::kOk;
    }
  }
  // Any further word, even `noreply`, makes the command an unknown one.
  if (words.count() != 2) return protocol::kError;
  if (what == "sleep" || what == "tocrawl") return SetCrawlerNumber(what, words[1], sweep);
  if (what == "crawl") return Crawl(words[1], sweep);
  return protocol::kError;
}

bool AskForDump(std::string_view arguments) {
  const Tokens words(arguments);
  return words.count() == 2 && (words[0] == "metadump" || words[0] == "mgdump");
}

Result<DumpOrder, std::string_view> ReadDumpOrder(std::string_view arguments,
                                                  const Shared& shared) {
  LARDER_ASSERT(AskForDump(arguments));
  const Tokens words(arguments);
  const bool is_meta = words[0] == "metadump";
  if (!shared.sweep.is_enabled()) return Failure{protocol::kCrawlerDisabled};
  if (!shared.config.dump_enabled) {
    return Failure{is_meta ? protocol::kMetadumpNotAllowed : protocol::kMgdumpNotAllowed};
  }
  // `hash` asks memcached to walk its hash table, which lists the same items in another order.
  const auto classes = ParseClasses(words[1] == "hash" ? "all" : words[1]);
  if (!classes) return Failure{protocol::kBadCrawlerClass};
  return DumpOrder{.format = is_meta ? DumpFormat::kMetadump : DumpFormat::kMgdump,
                   .classes = *classes,
                   .shows_cas = shared.config.use_cas};
}

}  // namespace larder::server
