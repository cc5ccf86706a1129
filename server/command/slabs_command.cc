#include "server/command/slabs_command.h"

#include <cstdint>

#include "protocol/text/text_reply.h"
#include "protocol/text/tokens.h"
#include "server/config/option_number.h"
#include "slab/check.h"

namespace larder::server {
namespace {

using protocol::Tokens;

// The range of `automove window` that memcached accepts.
constexpr std::uint32_t kWindowMin = 3;
constexpr std::uint32_t kWindowMax = 1800;
static_assert(kWindowMin < kWindowMax);
// The reply to a number that cannot be parsed.
constexpr std::string_view kBadLine = protocol::ErrorText(protocol::LineError::kBadLine);

// `slabs reassign <from> <to>`. The page moves later: see Cache::BalancePages.
std::string_view Reassign(const Tokens& words, const Config& config, slab::Cache& cache) {
  if (words.count() != 3) return protocol::kError;
  if (!config.slab_reassign) return protocol::kReassignDisabled;
  const auto from = ParseNumber<std::int32_t>(words[1]);
  const auto to = ParseNumber<std::int32_t>(words[2]);
  if (!from || !to) return kBadLine;
  switch (cache.page_mover().Reassign(*from, *to)) {
    case slab::ReassignStatus::kStarted:
      return protocol::kOk;
    case slab::ReassignStatus::kBusy:
      return protocol::kReassignBusy;
    case slab::ReassignStatus::kBadClass:
      return protocol::kReassignBadClass;
    case slab::ReassignStatus::kNoSpare:
      return protocol::kReassignNoSpare;
    case slab::ReassignStatus::kSame:
      return protocol::kReassignSame;
  }
  LARDER_ASSERT(false && "a status without a reply");
  return protocol::kError;
}

// `slabs automove ...`. Settings that this server does not have are checked as memcached checks
// them, so that scripts written for memcached work.
std::string_view Automove(const Tokens& words, const Config& config, slab::Cache& cache) {
  const std::string_view what = words[1];
  if (what.empty()) return protocol::kError;
  if (what == "ratio" || what == "freeratio") {
    return ParseNumber<double>(words[2]) ? protocol::kOk : protocol::kError;
  }
  if (what == "window") {
    const auto window = ParseNumber<std::uint32_t>(words[2]);
    if (!window) return kBadLine;
    const bool is_right = *window >= kWindowMin && *window <= kWindowMax;
    return is_right ? protocol::kOk : protocol::kBadAutomoveWindow;
  }
  const auto mode = ParseNumber<std::uint32_t>(what);
  if (!mode) return kBadLine;
  if (*mode > static_cast<std::uint32_t>(slab::PageMoves::kEager)) return protocol::kError;
  // Accepted without effect otherwise.
  if (config.slab_reassign) cache.page_mover().set_moves(static_cast<slab::PageMoves>(*mode));
  return protocol::kOk;
}

}  // namespace

std::string_view RunSlabs(std::string_view arguments, const Config& config, slab::Cache& cache) {
  const Tokens words(arguments);
  if (words[0] == "reassign") return Reassign(words, config, cache);
  if (words[0] == "automove") return Automove(words, config, cache);
  return protocol::kError;
}

}  // namespace larder::server
