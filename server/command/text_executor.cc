#include "server/command/text_executor.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "protocol/encoding/numbers.h"
#include "protocol/text/text_reply.h"
#include "protocol/text/tokens.h"
#include "server/command/cachedump.h"
#include "server/command/dump.h"
#include "server/command/lru_commands.h"
#include "server/command/slabs_command.h"
#include "server/config/version.h"
#include "server/reporter.h"
#include "server/stats.h"

namespace larder::server {
namespace {

using protocol::LineRequest;
using protocol::TextVerb;
using protocol::WriteText;
using slab::Item;
using slab::Presence;
using slab::StoreMode;
using slab::StoreStatus;

constexpr std::uint32_t kMemlimitMegabytesMin = 8;
constexpr std::uint64_t kMemlimitMegabytesMax = 1000000000;
static_assert(kTailBytesMax >= protocol::kCrlf.size() + protocol::kEnd.size());

std::string_view ReplyTo(StoreStatus status) {
  switch (status) {
    case StoreStatus::kStored:
      return protocol::kStored;
    case StoreStatus::kNotStored:
    case StoreStatus::kForbidden:
      return protocol::kNotStored;
    case StoreStatus::kExists:
      return protocol::kExists;
    case StoreStatus::kNotFound:
      return protocol::kNotFound;
    case StoreStatus::kTooLarge:
      return protocol::kTooLarge;
    case StoreStatus::kNoMemory:
      return protocol::kNoMemoryStoring;
  }
  return protocol::kError;
}

// How a storage request is stored.
StoreMode ModeOf(TextVerb verb) {
  switch (verb) {
    case TextVerb::kAdd:
      return StoreMode::kAdd;
    case TextVerb::kReplace:
      return StoreMode::kReplace;
    case TextVerb::kAppend:
      return StoreMode::kAppend;
    case TextVerb::kPrepend:
      return StoreMode::kPrepend;
    case TextVerb::kCas:
      return StoreMode::kCas;
    default:
      return StoreMode::kSet;
  }
}

// A set that is refused removes the old item; the other commands leave it.
OldItem IfRefused(StoreMode mode) {
  return mode == StoreMode::kSet ? OldItem::kIsRemoved : OldItem::kStays;
}

// Commands that change how the server works take several times as long as one that asks for a key,
// and answer as little: what one of them adds to the work of a turn.
constexpr std::size_t kOperatorWorkBytes = 1024;

bool IsForOperators(TextVerb verb) {
  switch (verb) {
    case TextVerb::kVerbosity:
    case TextVerb::kCacheMemlimit:
    case TextVerb::kConfig:
    case TextVerb::kLru:
    case TextVerb::kLruCrawler:
    case TextVerb::kSlabs:
      return true;
    default:
      return false;
  }
}

}  // namespace

Next TextExecutor::Execute(const LineRequest& request, std::uint64_t hash) {
  switch (request.verb) {
    case TextVerb::kGet:
    case TextVerb::kGets:
      Get(request, hash);
      break;
    case TextVerb::kSet:
    case TextVerb::kAdd:
    case TextVerb::kReplace:
    case TextVerb::kAppend:
    case TextVerb::kPrepend:
    case TextVerb::kCas:
      Store(request, hash);
      break;
    case TextVerb::kMeta:
      meta_.Execute(request, hash);
      break;
    default:  // ExecuteRarer() names them all.
      return ExecuteRarer(request, hash);
  }
  return Next::kGoOn;
}

// Kept apart: the compiler would have retrievals save registers that only these need.
Next TextExecutor::ExecuteRarer(const LineRequest& request, std::uint64_t hash) {
  if (IsForOperators(request.verb)) output_.AddWork(kOperatorWorkBytes);
  switch (request.verb) {
    case TextVerb::kDelete:
      Delete(request, hash);
      break;
    case TextVerb::kGat:
    case TextVerb::kGats:
      return GetAndTouch(request, hash);
    case TextVerb::kTouch:
      Touch(request, hash);
      break;
    case TextVerb::kIncr:
    case TextVerb::kDecr:
      Arithmetic(request, hash);
      break;
    case TextVerb::kFlushAll:
      FlushAll(request);
      break;
    case TextVerb::kVersion:
      AnswerVersion();
      break;
    case TextVerb::kVerbosity:
      Verbosity(request);
      break;
    case TextVerb::kQuit:
      return Next::kClose;
    case TextVerb::kShutdown:
      return Shutdown(request);
    case TextVerb::kCacheMemlimit:
      CacheMemlimit(request);
      break;
    case TextVerb::kStats:
      return Next::kStream;
    case TextVerb::kConfig:
      Config(request);
      break;
    case TextVerb::kLru:
      Answer(RunLru(request.arguments, cache_), request.noreply);
      break;
    case TextVerb::kLruCrawler:
      if (AskForDump(request.arguments)) return Next::kStream;
      Answer(RunLruCrawler(request.arguments, shared_.sweep), request.noreply);
      break;
    case TextVerb::kSlabs:
      Answer(RunSlabs(request.arguments, shared_.config, cache_), request.noreply);
      break;
    case TextVerb::kRefreshCerts:
      output_.Append(protocol::kTlsNotEnabled);
      break;
    case TextVerb::kGet:
    case TextVerb::kGets:
    case TextVerb::kSet:
    case TextVerb::kAdd:
    case TextVerb::kReplace:
    case TextVerb::kAppend:
    case TextVerb::kPrepend:
    case TextVerb::kCas:
    case TextVerb::kMeta:
      break;  // Done by Execute().
    case TextVerb::kNone:
      Answer(protocol::ErrorText(request.error), request.noreply);
      break;
  }
  return Next::kGoOn;
}

// --- Retrieval ---------------------------------------------------------------------------------

// Inlined into both look-ups: a call costs every get 50 instructions.
[[gnu::always_inline]] inline char* TextExecutor::WriteHit(Item& item, std::uint32_t value_bytes,
                                                           const LineRequest& request, char* out) {
  const bool with_cas = request.verb == TextVerb::kGets || request.verb == TextVerb::kGats;
  out = with_cas
            ? protocol::WriteValueHeadWithCas(out, request.key, item.client_flags(), value_bytes,
                                              shared_.config.use_cas ? item.cas() : 0)
            : protocol::WriteValueHead(out, request.key, item.client_flags(), value_bytes);
  return WriteText(WriteValue(item, value_bytes, out), protocol::kCrlf);
}

[[gnu::always_inline]] inline void TextExecutor::Get(const LineRequest& request,
                                                     std::uint64_t hash) {
  // Enough for every value that is copied, so that there is one check for the whole reply.
  char* out = output_.Room(protocol::kValueHeadBytesMax + kPinBytesMin + kTailBytesMax);
  const auto write = [&](Item & item, std::uint32_t value_bytes, const auto& note_use)
      __attribute__((always_inline)) {
    note_use();
    out = WriteHit(item, value_bytes, request, out);
  };
  const Presence presence = Commands::Get({.bytes = request.key, .hash = hash}, write);
  if (presence != Presence::kHit) out = Miss(request, Operation::kGet, presence, out);
  EndGet(request, out);
}

Next TextExecutor::GetAndTouch(const LineRequest& request, std::uint64_t hash) {
  char* out = output_.Room(protocol::kValueHeadBytesMax + kPinBytesMin + kTailBytesMax);
  const auto write = [&](Item & item, std::uint32_t value_bytes, const auto& note_use)
      __attribute__((always_inline)) {
    note_use();
    out = WriteHit(item, value_bytes, request, out);
  };
  const Presence presence = Commands::GetAndTouch({.bytes = request.key, .hash = hash},
                                                  SignedExpiresAt(request.exptime), write);
  if (presence == Presence::kNoRoom) {
    // An error ends the reply to a line: if more keys are to be answered, the connection ends too.
    output_.Append(protocol::kNoMemoryWriting);
    return request.is_last_key ? Next::kGoOn : Next::kClose;
  }
  if (presence != Presence::kHit) out = Miss(request, Operation::kGetAndTouch, presence, out);
  EndGet(request, out);
  return Next::kGoOn;
}

// Inlined, as WriteHit().
[[gnu::always_inline]] inline void TextExecutor::EndGet(const LineRequest& request, char* out) {
  if (request.is_last_key) out = WriteText(out, protocol::kEnd);
  output_.Commit(out);
}

char* TextExecutor::Miss(const LineRequest& request, Operation operation, Presence presence,
                         char* out) {
  const auto cluster = SeeMiss(request.key, operation, presence);
  if (cluster == nullptr) return out;
  output_.Commit(out);
  const std::string& value = cluster->value;
  out = output_.Room(protocol::kValueHeadBytesMax + value.size() + kTailBytesMax);
  const auto value_bytes = static_cast<std::uint32_t>(value.size());
  const bool with_cas = request.verb == TextVerb::kGets || request.verb == TextVerb::kGats;
  out = with_cas
            ? protocol::WriteValueHeadWithCas(out, request.key, 0, value_bytes, cluster->version)
            : protocol::WriteValueHead(out, request.key, 0, value_bytes);
  return WriteText(WriteText(out, value), protocol::kCrlf);
}

// --- Storage -----------------------------------------------------------------------------------

slab::ItemSpec TextExecutor::SpecOf(const LineRequest& request, std::uint64_t hash) const {
  return {.key = {.bytes = request.key, .hash = hash},
          .client_flags = request.client_flags,
          .expiry = SignedExpiresAt(request.exptime),
          .value_bytes = request.value_bytes};
}

StorePlan TextExecutor::PlanStore(const LineRequest& request, std::uint64_t hash) const {
  const StoreMode mode = ModeOf(request.verb);
  // A number of 0 fits no item: with CAS off every cas on a present key is EXISTS.
  return {.spec = SpecOf(request, hash),
          .terms = {.mode = mode, .cas_unique = shared_.config.use_cas ? request.cas_unique : 0},
          .if_refused = IfRefused(mode)};
}

[[gnu::always_inline]] inline void TextExecutor::AnswerStore(StoreStatus status, bool noreply) {
  if (status != StoreStatus::kStored) [[unlikely]]
    return AnswerRefusedStore(status, noreply);
  if (!noreply)
    output_.Commit(WriteText(output_.Room(protocol::kStored.size()), protocol::kStored));
}

void TextExecutor::AnswerRefusedStore(StoreStatus status, bool noreply) {
  Answer(ReplyTo(status), noreply);
}

void TextExecutor::Store(const LineRequest& request, std::uint64_t hash) {
  const StoreMode mode = ModeOf(request.verb);
  // As PlanStore().
  const slab::StoreOutcome outcome =
      Commands::Store({.mode = mode,
                       .cas_unique = shared_.config.use_cas ? request.cas_unique : 0,
                       .if_refused = IfRefused(mode)},
                      SpecOf(request, hash), request.value);
  AnswerStore(outcome.status, request.noreply);
}

std::unique_ptr<Upload> TextExecutor::BeginUpload(const LineRequest& request, std::uint64_t hash) {
  if (request.verb == TextVerb::kMeta) return meta_.BeginUpload(request, hash);
  auto upload =
      std::make_unique<Upload>(PlanStore(request, hash), UploadOrigin{.noreply = request.noreply});
  const auto refusal = RefusalOf(*upload);
  if (!refusal) return upload;
  AnswerStore(*refusal, request.noreply);
  return nullptr;
}

bool TextExecutor::ReserveUpload(Upload& upload, UploadMemory::Share share) {
  if (upload.origin.is_meta) return meta_.ReserveUpload(upload, std::move(share));
  const auto refusal = ReserveRoom(upload, std::move(share));
  if (refusal) AnswerStore(*refusal, upload.origin.noreply);
  return !refusal;
}

void TextExecutor::FinishUpload(Upload& upload) {
  if (upload.origin.is_meta) return meta_.FinishUpload(upload);
  AnswerStore(Commands::Store(upload).status, upload.origin.noreply);
}

void TextExecutor::RejectUpload(const Upload& upload) {
  Answer(protocol::kBadDataChunk, upload.origin.noreply);
}

// --- Single keys -------------------------------------------------------------------------------

void TextExecutor::Delete(const LineRequest& request, std::uint64_t hash) {
  const CommandResult result = Commands::Delete({.bytes = request.key, .hash = hash}, std::nullopt);
  Answer(result == CommandResult::kDone ? protocol::kDeleted : protocol::kNotFound,
         request.noreply);
}

void TextExecutor::Touch(const LineRequest& request, std::uint64_t hash) {
  const Presence presence =
      Commands::Touch({.bytes = request.key, .hash = hash}, SignedExpiresAt(request.exptime),
                      [](Item&, std::uint32_t, const auto& note_use) { note_use(); });
  if (presence == Presence::kNoRoom) return Answer(protocol::kNoMemory, request.noreply);
  Answer(presence == Presence::kHit ? protocol::kTouched : protocol::kNotFound, request.noreply);
}

void TextExecutor::Arithmetic(const LineRequest& request, std::uint64_t hash) {
  const ChangeOutcome outcome =
      Change({.bytes = request.key, .hash = hash},
             {.is_incr = request.verb == TextVerb::kIncr, .delta = request.delta});
  switch (outcome.result) {
    case CommandResult::kDone: {
      std::array<char, protocol::kDecimalBytesMax + protocol::kCrlf.size()> text;
      char* const end =
          WriteText(protocol::WriteDecimal(text.data(), outcome.number), protocol::kCrlf);
      return Answer({text.data(), end}, request.noreply);
    }
    case CommandResult::kMiss:
      return Answer(protocol::kNotFound, request.noreply);
    case CommandResult::kNotNumeric:
      return Answer(protocol::kNonNumeric, request.noreply);
    default:  // No other is possible without a CAS.
      return Answer(protocol::kNoMemory, request.noreply);
  }
}

// --- Administration ----------------------------------------------------------------------------

void TextExecutor::FlushAll(const LineRequest& request) {
  counters_.Add(Stat::kCmdFlush);
  if (!shared_.config.flush_enabled) {
    return Answer(protocol::kFlushNotAllowed, request.noreply);
  }
  FlushAt(request.exptime > 0 ? SignedExpiresAt(request.exptime) : slab::Expiry());
  Answer(protocol::kOk, request.noreply);
}

void TextExecutor::AnswerVersion() {
  output_.Append(protocol::kVersionHead);
  output_.Append(WireVersion());
  output_.Append(protocol::kCrlf);
}

void TextExecutor::Verbosity(const LineRequest& request) {
  shared_.verbosity.store(static_cast<int>(std::min<std::uint32_t>(request.setting, 2)),
                          std::memory_order_relaxed);
  Answer(protocol::kOk, request.noreply);
}

void TextExecutor::CacheMemlimit(const LineRequest& request) {
  std::string_view reply = protocol::kOk;
  if (request.setting < kMemlimitMegabytesMin) {
    reply = protocol::kMemlimitTooSmall;
  } else if (request.setting > kMemlimitMegabytesMax) {
    reply = protocol::kMemlimitNotBytes;
  } else if (!cache_.SetMemoryLimit(std::uint64_t{request.setting} << 20)) {
    reply = protocol::kMemlimitOutOfBounds;
  }
  Answer(reply, request.noreply);
}

std::unique_ptr<ReplyStream> TextExecutor::BeginStream(const LineRequest& request,
                                                       std::function<void()> wake) {
  if (request.verb == TextVerb::kLruCrawler) return BeginDump(request);
  if (AskForCachedump(request.arguments)) return BeginCachedump(request);
  return shared_.reporter.Ask(request.arguments, std::nullopt, std::move(wake));
}

std::unique_ptr<ReplyStream> TextExecutor::BeginDump(const LineRequest& request) {
  const auto order = ReadDumpOrder(request.arguments, shared_);
  output_.Append(order ? protocol::kOk : order.error());
  return order ? std::make_unique<Dump>(cache_, *order) : nullptr;
}

std::unique_ptr<ReplyStream> TextExecutor::BeginCachedump(const LineRequest& request) {
  const auto order = ReadCachedumpOrder(request.arguments, shared_);
  if (!order) output_.Append(order.error());
  return order ? std::make_unique<Cachedump>(cache_, *order) : nullptr;
}

Next TextExecutor::Shutdown(const LineRequest& request) {
  if (!shared_.config.shutdown_command) {
    Answer(protocol::kShutdownNotEnabled, request.noreply);
    return Next::kGoOn;
  }
  const protocol::Tokens modes(request.arguments);
  if (modes.count() > 0 && modes[0] != "graceful") {
    Answer(protocol::kBadShutdownMode, request.noreply);
    return Next::kGoOn;
  }
  shared_.request_stop();
  return Next::kClose;
}

}  // namespace larder::server
