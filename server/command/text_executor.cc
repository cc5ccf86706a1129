#include "server/command/text_executor.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "protocol/encoding/numbers.h"
#include "protocol/meta/meta_reply.h"
#include "protocol/text/text_reply.h"
#include "protocol/text/tokens.h"
#include "server/command/cachedump.h"
#include "server/command/dump.h"
#include "server/command/lru_commands.h"
#include "server/command/slabs_command.h"
#include "server/reporter.h"
#include "server/stats.h"

namespace larder::server {
namespace {

using protocol::Request;
using protocol::Verb;
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

// A set that is refused removes the old item; the other commands leave it.
OldItem IfRefused(StoreMode mode) {
  return mode == StoreMode::kSet ? OldItem::kIsRemoved : OldItem::kStays;
}

}  // namespace

Next TextExecutor::Execute(const Request& request, std::uint64_t hash) {
  switch (request.verb) {
    case Verb::kGet:
    case Verb::kGets:
      Get(request, hash);
      break;
    case Verb::kSet:
    case Verb::kAdd:
    case Verb::kReplace:
    case Verb::kAppend:
    case Verb::kPrepend:
    case Verb::kCas:
      Store(request, hash);
      break;
    case Verb::kMg:
      meta_.Get(request, hash);
      break;
    default:  // ExecuteRarer() names them all.
      return ExecuteRarer(request, hash);
  }
  return Next::kGoOn;
}

// Kept apart: the compiler would have retrievals save registers that only these need.
Next TextExecutor::ExecuteRarer(const Request& request, std::uint64_t hash) {
  switch (request.verb) {
    case Verb::kDelete:
      Delete(request, hash);
      break;
    case Verb::kGat:
    case Verb::kGats:
      return GetAndTouch(request, hash);
    case Verb::kTouch:
      Touch(request, hash);
      break;
    case Verb::kIncr:
    case Verb::kDecr:
      Arithmetic(request, hash);
      break;
    case Verb::kFlushAll:
      FlushAll(request);
      break;
    case Verb::kVersion:
      AnswerVersion();
      break;
    case Verb::kVerbosity:
      Verbosity(request);
      break;
    case Verb::kQuit:
      return Next::kClose;
    case Verb::kShutdown:
      return Shutdown(request);
    case Verb::kCacheMemlimit:
      CacheMemlimit(request);
      break;
    case Verb::kStats:
      return Next::kStream;
    case Verb::kConfig:
      Config(request);
      break;
    case Verb::kLru:
      Answer(RunLru(request.arguments, cache_), request.noreply);
      break;
    case Verb::kLruCrawler:
      if (AskForDump(request.arguments)) return Next::kStream;
      Answer(RunLruCrawler(request.arguments, shared_.sweep), request.noreply);
      break;
    case Verb::kSlabs:
      Answer(RunSlabs(request.arguments, shared_.config, cache_), request.noreply);
      break;
    case Verb::kMn:
      output_.Append(protocol::kMn);
      break;
    case Verb::kMs:
    case Verb::kMd:
    case Verb::kMa:
    case Verb::kMe:
    case Verb::kExplain:
      meta_.Execute(request, hash);
      break;
    case Verb::kGet:
    case Verb::kGets:
    case Verb::kSet:
    case Verb::kAdd:
    case Verb::kReplace:
    case Verb::kAppend:
    case Verb::kPrepend:
    case Verb::kCas:
    case Verb::kMg:
      break;  // Done by Execute().
    case Verb::kGetK:
    case Verb::kGatK:
    case Verb::kNoop:
    case Verb::kSaslList:
    case Verb::kSaslAuth:
    case Verb::kSaslStep:
      break;  // Of the binary protocol.
    case Verb::kError:
      Answer(protocol::ErrorText(request.error), request.noreply);
      break;
  }
  return Next::kGoOn;
}

// --- Retrieval ---------------------------------------------------------------------------------

// Inlined into both look-ups: a call costs every get 50 instructions.
[[gnu::always_inline]] inline char* TextExecutor::WriteHit(Item& item, const Request& request,
                                                           char* out) {
  const bool with_cas = request.verb == Verb::kGets || request.verb == Verb::kGats;
  const std::uint32_t value_bytes = item.value_bytes();
  out = with_cas
            ? protocol::WriteValueHeadWithCas(out, request.key, item.client_flags(), value_bytes,
                                              shared_.config.use_cas ? item.cas() : 0)
            : protocol::WriteValueHead(out, request.key, item.client_flags(), value_bytes);
  return WriteText(WriteValue(item, value_bytes, out), protocol::kCrlf);
}

void TextExecutor::Get(const Request& request, std::uint64_t hash) {
  // Enough for every value that is copied, so that there is one check for the whole reply.
  char* out = output_.Room(protocol::kValueHeadBytesMax + kPinBytesMin + kTailBytesMax);
  const Presence presence = Commands::Get({.key = {.bytes = request.key, .hash = hash}},
                                          [&](Item& item) { out = WriteHit(item, request, out); });
  if (presence != Presence::kHit) out = Miss(request, Operation::kGet, presence, out);
  EndGet(request, out);
}

Next TextExecutor::GetAndTouch(const Request& request, std::uint64_t hash) {
  char* out = output_.Room(protocol::kValueHeadBytesMax + kPinBytesMin + kTailBytesMax);
  const Presence presence = Commands::GetAndTouch(
      {.key = {.bytes = request.key, .hash = hash}}, SignedExpiresAt(request.exptime),
      [&](Item& item) { out = WriteHit(item, request, out); });
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
[[gnu::always_inline]] inline void TextExecutor::EndGet(const Request& request, char* out) {
  if (request.is_last_key) out = WriteText(out, protocol::kEnd);
  output_.Commit(out);
}

char* TextExecutor::Miss(const Request& request, Operation operation, Presence presence,
                         char* out) {
  const auto cluster = SeeMiss(request.key, operation, presence);
  if (cluster == nullptr) return out;
  output_.Commit(out);
  const std::string& value = cluster->value;
  out = output_.Room(protocol::kValueHeadBytesMax + value.size() + kTailBytesMax);
  const auto value_bytes = static_cast<std::uint32_t>(value.size());
  const bool with_cas = request.verb == Verb::kGets || request.verb == Verb::kGats;
  out = with_cas
            ? protocol::WriteValueHeadWithCas(out, request.key, 0, value_bytes, cluster->version)
            : protocol::WriteValueHead(out, request.key, 0, value_bytes);
  return WriteText(WriteText(out, value), protocol::kCrlf);
}

// --- Storage -----------------------------------------------------------------------------------

slab::ItemSpec TextExecutor::SpecOf(const Request& request, std::uint64_t hash) const {
  return {.key = {.bytes = request.key, .hash = hash},
          .client_flags = request.client_flags,
          .expiry = SignedExpiresAt(request.exptime),
          .value_bytes = request.value_bytes};
}

StorePlan TextExecutor::PlanStore(const Request& request, std::uint64_t hash) const {
  const StoreMode mode = ModeOf(request.verb);
  // A number of 0 fits no item: with CAS off every cas on a present key is EXISTS.
  return {.spec = SpecOf(request, hash),
          .terms = {.mode = mode, .cas_unique = shared_.config.use_cas ? request.number : 0},
          .if_refused = IfRefused(mode)};
}

void TextExecutor::Store(const Request& request, std::uint64_t hash) {
  const StoreMode mode = ModeOf(request.verb);
  // As PlanStore().
  const slab::StoreOutcome outcome =
      Commands::Store({.mode = mode,
                       .cas_unique = shared_.config.use_cas ? request.number : 0,
                       .if_refused = IfRefused(mode)},
                      SpecOf(request, hash), request.value);
  AnswerStore(outcome.status, request.noreply);
}

std::unique_ptr<Upload> TextExecutor::BeginUpload(const Request& request, std::uint64_t hash) {
  if (request.verb == Verb::kMs) return meta_.BeginUpload(request, hash);
  auto upload = std::make_unique<Upload>(request, PlanStore(request, hash));
  const auto refusal = RefusalOf(*upload);
  if (!refusal) return upload;
  AnswerStore(*refusal, request.noreply);
  return nullptr;
}

bool TextExecutor::ReserveUpload(Upload& upload, UploadMemory::Share share) {
  if (upload.verb == Verb::kMs) return meta_.ReserveUpload(upload, std::move(share));
  const auto refusal = ReserveRoom(upload, std::move(share));
  if (refusal) AnswerStore(*refusal, upload.noreply);
  return !refusal;
}

void TextExecutor::FinishUpload(Upload& upload) {
  if (upload.verb == Verb::kMs) return meta_.FinishUpload(upload);
  AnswerStore(Commands::Store(upload).status, upload.noreply);
}

void TextExecutor::RejectUpload(const Upload& upload) {
  Answer(protocol::kBadDataChunk, upload.noreply);
}

void TextExecutor::AnswerStore(StoreStatus status, bool noreply) {
  if (status != StoreStatus::kStored) [[unlikely]]
    return Answer(ReplyTo(status), noreply);
  if (!noreply)
    output_.Commit(WriteText(output_.Room(protocol::kStored.size()), protocol::kStored));
}

// --- Single keys -------------------------------------------------------------------------------

void TextExecutor::Delete(const Request& request, std::uint64_t hash) {
  const CommandResult result = Commands::Delete({.bytes = request.key, .hash = hash}, std::nullopt);
  Answer(result == CommandResult::kDone ? protocol::kDeleted : protocol::kNotFound,
         request.noreply);
}

void TextExecutor::Touch(const Request& request, std::uint64_t hash) {
  const Presence presence = Commands::Touch({.bytes = request.key, .hash = hash},
                                            SignedExpiresAt(request.exptime), [](Item&) {});
  if (presence == Presence::kNoRoom) return Answer(protocol::kNoMemory, request.noreply);
  Answer(presence == Presence::kHit ? protocol::kTouched : protocol::kNotFound, request.noreply);
}

void TextExecutor::Arithmetic(const Request& request, std::uint64_t hash) {
  const ChangeOutcome outcome =
      Change({.bytes = request.key, .hash = hash},
             {.is_incr = request.verb == Verb::kIncr, .delta = request.number});
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

void TextExecutor::FlushAll(const Request& request) {
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

void TextExecutor::Verbosity(const Request& request) {
  shared_.verbosity.store(static_cast<int>(std::min<std::uint64_t>(request.number, 2)),
                          std::memory_order_relaxed);
  Answer(protocol::kOk, request.noreply);
}

void TextExecutor::CacheMemlimit(const Request& request) {
  std::string_view reply = protocol::kOk;
  if (request.number < kMemlimitMegabytesMin) {
    reply = protocol::kMemlimitTooSmall;
  } else if (request.number > kMemlimitMegabytesMax) {
    reply = protocol::kMemlimitNotBytes;
  } else if (!cache_.SetMemoryLimit(request.number << 20)) {
    reply = protocol::kMemlimitOutOfBounds;
  }
  Answer(reply, request.noreply);
}

std::unique_ptr<ReplyStream> TextExecutor::BeginStream(const Request& request,
                                                       std::function<void()> wake) {
  if (request.verb == Verb::kLruCrawler) return BeginDump(request);
  if (AskForCachedump(request.arguments)) return BeginCachedump(request);
  return shared_.reporter.Ask(request.arguments, std::nullopt, std::move(wake));
}

std::unique_ptr<ReplyStream> TextExecutor::BeginDump(const Request& request) {
  const auto order = ReadDumpOrder(request.arguments, shared_);
  output_.Append(order ? protocol::kOk : order.error());
  return order ? std::make_unique<Dump>(cache_, *order) : nullptr;
}

std::unique_ptr<ReplyStream> TextExecutor::BeginCachedump(const Request& request) {
  const auto order = ReadCachedumpOrder(request.arguments, shared_);
  if (!order) output_.Append(order.error());
  return order ? std::make_unique<Cachedump>(cache_, *order) : nullptr;
}

Next TextExecutor::Shutdown(const Request& request) {
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
