// The commands of the text protocol, except `config`, which is in cluster_commands.cc, and the
// login, which is in login_commands.cc.
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
#include "server/authenticator.h"
#include "server/certificates.h"
#include "server/command/cachedump.h"
#include "server/command/detail_dump.h"
#include "server/command/dump.h"
#include "server/command/lru_commands.h"
#include "server/command/slabs_command.h"
#include "server/config/version.h"
#include "server/reporter.h"
#include "server/stats.h"
#include "server/watch/watch_filter.h"
#include "server/watch/watch_hub.h"
#include "server/watch/watcher_reply.h"
#include "slab/check.h"

namespace larder::server {
namespace {

using protocol::LineRequest;
using protocol::TextVerb;
using protocol::WriteText;
using slab::Item;
using slab::Presence;
using slab::StoreMode;
using slab::StoreStatus;

// The range of cache_memlimit in megabytes, with memcached's limits: a greater number is taken for
// one that was meant in bytes.
constexpr std::uint32_t kMemlimitMegabytesMin = 8;
constexpr std::uint64_t kMemlimitMegabytesMax = 1000000000;
static_assert(kMemlimitMegabytesMin < kMemlimitMegabytesMax);
// The CRLF and END that follow a value fit into the room that a reply has behind it.
static_assert(kTailBytesMax >= protocol::kCrlf.size() + protocol::kEnd.size());

// The reply to a store with this outcome.
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
  LARDER_ASSERT(false && "a status without a reply");
  return protocol::kError;
}

// The mode of a storage request.
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
      LARDER_ASSERT(verb == TextVerb::kSet);
      return StoreMode::kSet;
  }
}

// A set that is refused removes the old item, which is out of date; the other commands leave it.
OldItem IfRefused(StoreMode mode) {
  return mode == StoreMode::kSet ? OldItem::kIsRemoved : OldItem::kStays;
}

// What a command that changes how the server works adds to the work of a turn: it takes several
// times as long as one that asks for a key, and its reply is as short.
constexpr std::size_t kOperatorWorkBytes = 1024;

// Whether a command changes how the server works.
bool IsForOperators(TextVerb verb) {
  switch (verb) {
    case TextVerb::kVerbosity:
    case TextVerb::kCacheMemlimit:
    case TextVerb::kConfig:
    case TextVerb::kDrop:
    case TextVerb::kLru:
    case TextVerb::kLruCrawler:
    case TextVerb::kSlabs:
      return true;
    default:
      return false;
  }
}

// Whether a request replaces, changes or removes an item.
IsWrite WritesItem(const LineRequest& request) {
  using protocol::MetaVerb;
  switch (request.verb) {
    case TextVerb::kSet:
    case TextVerb::kAdd:
    case TextVerb::kReplace:
    case TextVerb::kAppend:
    case TextVerb::kPrepend:
    case TextVerb::kCas:
    case TextVerb::kDelete:
    case TextVerb::kIncr:
    case TextVerb::kDecr:
      return IsWrite::kYes;
    case TextVerb::kMeta:
      return request.meta_verb == MetaVerb::kSet || request.meta_verb == MetaVerb::kDelete ||
                     request.meta_verb == MetaVerb::kArithmetic
                 ? IsWrite::kYes
                 : IsWrite::kNo;
    default:
      return IsWrite::kNo;
  }
}

}  // namespace

// The frequent commands. It is inlined into the loop over a batch, so it has to stay small.
Next TextExecutor::Execute(const LineRequest& request, std::uint64_t hash) {
  switch (request.verb) {
    case TextVerb::kGet:
      Get<WithCas::kNo>(request, hash);
      break;
    case TextVerb::kGets:
      Gets(request, hash);
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
    // All other commands. ExecuteRarer() has the complete list, so that the compiler reports one
    // that is missing.
    default:
      return ExecuteRarer(request, hash);
  }
  return Next::kGoOn;
}

bool TextExecutor::IsRetrieval(const LineRequest& request) noexcept {
  switch (request.verb) {
    case TextVerb::kGet:
    case TextVerb::kGets:
    case TextVerb::kGat:
    case TextVerb::kGats:
      return true;
    case TextVerb::kMeta:
      return request.meta_verb == protocol::MetaVerb::kGet;
    default:
      return false;
  }
}

bool TextExecutor::IsRead(const LineRequest& request) noexcept {
  // mg with T touches.
  const bool is_meta = request.verb == TextVerb::kMeta &&
                       request.meta_verb == protocol::MetaVerb::kGet && !request.flags.has('T');
  return is_meta || request.verb == TextVerb::kGet || request.verb == TextVerb::kGets;
}

void TextExecutor::ShowBefore(const LineRequest& request, std::uint64_t hash) {
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  const IsWrite is_write = WritesItem(request);
  if (request.verb == TextVerb::kMeta) return meta_.ShowBefore(key, is_write);
  Commands::ShowBefore(key, is_write);
}

void TextExecutor::Show(const LineRequest& request) {
  if (request.verb == TextVerb::kMeta) return meta_.Show(request.key);
  Commands::Show(request.key);
}

// Kept apart from Execute(): the compiler would have retrievals save registers that only these
// commands need.
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
    case TextVerb::kDrop:
      Drop(request);
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
    // quit has no reply: the connection just closes.
    case TextVerb::kQuit:
      return Next::kClose;
    case TextVerb::kShutdown:
      return Shutdown(request);
    case TextVerb::kCacheMemlimit:
      CacheMemlimit(request);
      break;
    case TextVerb::kWatch:
      return Next::kStream;
    case TextVerb::kStats:
      // Statistics are produced by another thread, because some take long.
      return Next::kStream;
    case TextVerb::kConfig:
      Config(request);
      break;
    case TextVerb::kLru:
      Answer(RunLru(request.arguments, cache_), request);
      break;
    case TextVerb::kLruCrawler:
      return LruCrawler(request);
    case TextVerb::kSlabs:
      Answer(RunSlabs(request.arguments, shared_.config, cache_), request);
      break;
    case TextVerb::kRefreshCerts:
      RefreshCertificates();
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
      LARDER_ASSERT(false && "executed by Execute()");
      break;
    // A line that could not be parsed: the parser has chosen the error.
    case TextVerb::kNone:
      Answer(protocol::ErrorText(request.error), request);
      break;
  }
  return Next::kGoOn;
}

// --- Retrieval ---------------------------------------------------------------------------------

// Inlined into both look-ups: a call costs every get 50 instructions.
[[gnu::always_inline]] inline char* TextExecutor::WriteHit(Item& item, std::uint32_t value_bytes,
                                                           const LineRequest& request,
                                                           WithCas with_cas, char* out) {
  // While CAS is switched off, gets shows 0.
  out = with_cas == WithCas::kYes
            ? protocol::WriteValueHeadWithCas(out, request.key, item.client_flags(), value_bytes,
                                              shared_.config.use_cas ? item.cas() : 0)
            : protocol::WriteValueHead(out, request.key, item.client_flags(), value_bytes);
  return WriteText(WriteValue(item, value_bytes, out), protocol::kCrlf);
}

template <TextExecutor::WithCas with_cas>
[[gnu::always_inline]] inline void TextExecutor::Get(const LineRequest& request,
                                                     std::uint64_t hash) {
  // The room is enough for every value that is copied, so that one check suffices for the whole
  // reply.
  char* out = output_.Room(protocol::kValueHeadBytesMax + kPinBytesMin + kTailBytesMax);
  const auto write = [&](Item & item, std::uint32_t value_bytes, const auto& note_use)
      __attribute__((always_inline)) {
    // The reply shows nothing that a use changes, so the use is recorded first.
    note_use();
    out = WriteHit(item, value_bytes, request, with_cas, out);
  };
  const Presence presence = Commands::Get({.bytes = request.key, .hash = hash}, write);
  // In the text protocol a miss adds nothing to the reply.
  if (presence != Presence::kHit) out = Miss(request, Operation::kGet, presence, out);
  EndGet(request, out);
}

// Not inlined like Get(): these commands are rarer.
void TextExecutor::Gets(const LineRequest& request, std::uint64_t hash) {
  Get<WithCas::kYes>(request, hash);
}

Next TextExecutor::GetAndTouch(const LineRequest& request, std::uint64_t hash) {
  LARDER_ASSERT(request.verb == TextVerb::kGat || request.verb == TextVerb::kGats);
  char* out = output_.Room(protocol::kValueHeadBytesMax + kPinBytesMin + kTailBytesMax);
  const auto write = [&](Item & item, std::uint32_t value_bytes, const auto& note_use)
      __attribute__((always_inline)) {
    note_use();
    out = WriteHit(item, value_bytes, request,
                   request.verb == TextVerb::kGats ? WithCas::kYes : WithCas::kNo, out);
  };
  const Presence presence = Commands::GetAndTouch({.bytes = request.key, .hash = hash},
                                                  SignedExpiresAt(request.exptime), write);
  if (presence == Presence::kNoRoom) {
    // An error ends the reply to a line. If the line has more keys, the client would take their
    // replies for those to its next line, so the connection is closed.
    output_.Append(protocol::kNoMemoryWriting);
    return request.is_last_key ? Next::kGoOn : Next::kFail;
  }
  if (presence != Presence::kHit) out = Miss(request, Operation::kGetAndTouch, presence, out);
  EndGet(request, out);
  return Next::kGoOn;
}

// Inlined for the same reason as WriteHit().
[[gnu::always_inline]] inline void TextExecutor::EndGet(const LineRequest& request, char* out) {
  if (request.is_last_key) out = WriteText(out, protocol::kEnd);
  output_.Commit(out);
}

// The cluster's configuration is sent like the value of an item with flags 0, whose CAS is the
// version of the configuration.
char* TextExecutor::Miss(const LineRequest& request, Operation operation, Presence presence,
                         char* out) {
  LARDER_ASSERT(presence != Presence::kHit);
  const auto cluster = ReportMiss(request.key, operation, presence);
  if (cluster == nullptr) return out;
  // The configuration may be larger than the room that Get() has reserved: new room is needed, and
  // the reply so far is committed before.
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

// The views refer to the input, so the spec is valid for this request only; an Upload copies the
// key.
slab::ItemSpec TextExecutor::SpecOf(const LineRequest& request, std::uint64_t hash) const {
  return {.key = {.bytes = request.key, .hash = hash},
          .client_flags = request.client_flags,
          .expiry = SignedExpiresAt(request.exptime),
          .value_bytes = request.value_bytes};
}

// While CAS is switched off, a cas compares with 0, which no item has: so every cas on a key that
// is present is answered with EXISTS.
[[gnu::always_inline]] inline TextExecutor::PlainStore TextExecutor::HowToStore(
    const LineRequest& request) const {
  const StoreMode mode = ModeOf(request.verb);
  return {.mode = mode,
          .cas_unique = shared_.config.use_cas ? request.cas_unique : 0,
          .if_refused = IfRefused(mode)};
}

// Inlined into Store(). The common reply is written without the check for an empty text that
// Append() makes.
[[gnu::always_inline]] inline void TextExecutor::AnswerStore(StoreStatus status) {
  if (status != StoreStatus::kStored) [[unlikely]]
    return AnswerRefusedStore(status);
  output_.Commit(WriteText(output_.Room(protocol::kStored.size()), protocol::kStored));
}

void TextExecutor::AnswerRefusedStore(StoreStatus status) {
  LARDER_ASSERT(status != StoreStatus::kStored);
  output_.Append(ReplyTo(status));
}

// A PlainStore is enough for every storage command of the text protocol, so no plan is built.
void TextExecutor::Store(const LineRequest& request, std::uint64_t hash) {
  const slab::StoreOutcome outcome =
      Commands::Store(HowToStore(request), SpecOf(request, hash), request.value);
  if (!request.noreply) AnswerStore(outcome.status);
}

std::unique_ptr<Upload> TextExecutor::BeginUpload(const LineRequest& request, std::uint64_t hash) {
  if (request.verb == TextVerb::kMeta) return meta_.BeginUpload(request, hash);
  const PlainStore store = HowToStore(request);
  // The terms of a value that has arrived completely hold for this one, too.
  const StorePlan plan{.spec = SpecOf(request, hash),
                       .terms = {.mode = store.mode, .cas_unique = store.cas_unique},
                       .if_refused = store.if_refused};
  auto upload = std::make_unique<Upload>(plan, UploadOrigin{.noreply = request.noreply});
  // An upload that could never be stored is refused before its value is received.
  const auto refusal = RefusalOf(*upload);
  if (!refusal) return upload;
  if (!request.noreply) AnswerStore(*refusal);
  return nullptr;
}

// The upload knows whether its request was an ms: then the meta executor replies.
bool TextExecutor::ReserveUpload(Upload& upload, UploadMemory::Share share) {
  if (upload.origin.is_meta) return meta_.ReserveUpload(upload, std::move(share));
  const auto refusal = ReserveRoom(upload, std::move(share));
  if (refusal && !upload.origin.noreply) AnswerStore(*refusal);
  return !refusal;
}

void TextExecutor::FinishUpload(Upload& upload) {
  LARDER_ASSERT(upload.left_bytes() == 0);
  if (upload.origin.is_meta) return meta_.FinishUpload(upload);
  const StoreStatus status = Commands::Store(upload).status;
  if (!upload.origin.noreply) AnswerStore(status);
}

// The reply is the same for a request of either protocol.
void TextExecutor::RejectUpload(const Upload& upload) {
  if (!upload.origin.noreply) output_.Append(protocol::kBadDataChunk);
}

// --- Single keys -------------------------------------------------------------------------------

// In the text protocol a delete never names a CAS.
void TextExecutor::Delete(const LineRequest& request, std::uint64_t hash) {
  const CommandResult result = Commands::Delete({.bytes = request.key, .hash = hash}, std::nullopt);
  LARDER_ASSERT(result == CommandResult::kDone || result == CommandResult::kMiss);
  Answer(result == CommandResult::kDone ? protocol::kDeleted : protocol::kNotFound, request);
}

// The reply has nothing of the item, so the touch has nothing to write.
void TextExecutor::Touch(const LineRequest& request, std::uint64_t hash) {
  const Presence presence =
      Commands::Touch({.bytes = request.key, .hash = hash}, SignedExpiresAt(request.exptime),
                      [](Item&, std::uint32_t, const auto& note_use) { note_use(); });
  if (presence == Presence::kNoRoom) return Answer(protocol::kNoMemory, request);
  Answer(presence == Presence::kHit ? protocol::kTouched : protocol::kNotFound, request);
}

// Without a CAS, and without creating an item: these exist in the other protocols only.
void TextExecutor::Arithmetic(const LineRequest& request, std::uint64_t hash) {
  LARDER_ASSERT(request.verb == TextVerb::kIncr || request.verb == TextVerb::kDecr);
  const ChangeOutcome outcome =
      Change({.bytes = request.key, .hash = hash},
             {.is_incr = request.verb == TextVerb::kIncr, .delta = request.delta});
  switch (outcome.result) {
    case CommandResult::kDone: {
      std::array<char, protocol::kDecimalBytesMax + protocol::kCrlf.size()> text;
      char* const end =
          WriteText(protocol::WriteDecimal(text.data(), outcome.number), protocol::kCrlf);
      return Answer({text.data(), end}, request);
    }
    case CommandResult::kMiss:
      return Answer(protocol::kNotFound, request);
    case CommandResult::kNotNumeric:
      return Answer(protocol::kNonNumeric, request);
    // Without a CAS nothing else is possible but a lack of memory.
    default:
      LARDER_ASSERT(outcome.result == CommandResult::kNoMemory);
      return Answer(protocol::kNoMemory, request);
  }
}

// --- Administration ----------------------------------------------------------------------------

// The command is counted even if the configuration does not allow it.
void TextExecutor::FlushAll(const LineRequest& request) {
  counters_.Add(Stat::kCmdFlush);
  if (!shared_.config.flush_enabled) {
    return Answer(protocol::kFlushNotAllowed, request);
  }
  // A negative time means now, as 0 does.
  FlushAt(request.exptime > 0 ? SignedExpiresAt(request.exptime) : slab::Expiry());
  Answer(protocol::kOk, request);
}

void TextExecutor::Drop(const LineRequest& request) {
  switch (Commands::Drop(request.key)) {
    case DropResult::kDone:
      return Answer(protocol::kOk, request);
    case DropResult::kNotAllowed:
      return Answer(protocol::kDropNotAllowed, request);
    case DropResult::kTooMany:
      return Answer(protocol::kTooManyDrops, request);
  }
}

void TextExecutor::AnswerVersion() {
  output_.Append(protocol::kVersionHead);
  output_.Append(WireVersion());
  output_.Append(protocol::kCrlf);
}

void TextExecutor::Verbosity(const LineRequest& request) {
  // Levels above 2 mean the same as 2.
  shared_.verbosity.store(static_cast<int>(std::min<std::uint32_t>(request.setting, 2)),
                          std::memory_order_relaxed);
  Answer(protocol::kOk, request);
}

// The cache refuses a limit that is outside of the memory that it was created with. A lowered limit
// takes effect step by step; see Cache::Maintain.
void TextExecutor::CacheMemlimit(const LineRequest& request) {
  std::string_view reply = protocol::kOk;
  if (request.setting < kMemlimitMegabytesMin) {
    reply = protocol::kMemlimitTooSmall;
  } else if (request.setting > kMemlimitMegabytesMax) {
    reply = protocol::kMemlimitNotBytes;
  } else if (!cache_.SetMemoryLimit(std::uint64_t{request.setting} << 20)) {
    reply = protocol::kMemlimitOutOfBounds;
  }
  Answer(reply, request);
}

// Dumps are read piece by piece on this thread. All other statistics are
// produced by the reporter's thread.
std::unique_ptr<ReplyStream> TextExecutor::BeginStream(const LineRequest& request,
                                                       std::function<void()> wake) {
  if (request.verb == TextVerb::kLruCrawler) return BeginDump(request);
  if (request.verb == TextVerb::kWatch) return BeginWatch(request, std::move(wake));
  LARDER_ASSERT(request.verb == TextVerb::kStats);
  switch (StreamedListOf(request.arguments)) {
    case StreamedList::kCachedump:
      return BeginCachedump(request);
    case StreamedList::kDetailDump:
      return BeginDetailDump();
    case StreamedList::kNone:
      break;
  }
  return shared_.reporter.Ask(request.arguments, std::nullopt, counters_.buffers, std::move(wake));
}

std::unique_ptr<ReplyStream> TextExecutor::BeginWatch(const LineRequest& request,
                                                      std::function<void()> wake) {
  std::string_view error = protocol::kWatchNotAllowed;
  if (shared_.config.watch_enabled) {
    auto filter = WatchFilter::Parse(request.arguments);
    error = protocol::kError;
    if (filter) {
      auto watcher = shared_.watch.Add(std::move(*filter), std::move(wake));
      error = protocol::kTooManyWatchers;
      if (watcher != nullptr) {
        output_.Append(protocol::kOk);
        return std::make_unique<WatcherReply>(shared_.watch, std::move(watcher), counters_.buffers);
      }
    }
  }
  output_.Append(error);
  return nullptr;
}

std::unique_ptr<ReplyStream> TextExecutor::BeginDump(const LineRequest& request) {
  const auto order = ReadDumpOrder(request.arguments, shared_);
  // A dump begins with OK, and its list follows.
  output_.Append(order ? protocol::kOk : order.error());
  return order ? std::make_unique<Dump>(cache_, *order) : nullptr;
}

std::unique_ptr<ReplyStream> TextExecutor::BeginCachedump(const LineRequest& request) {
  const auto order = ReadCachedumpOrder(request.arguments, shared_);
  // A cachedump begins with its list at once.
  if (!order) output_.Append(order.error());
  return order ? std::make_unique<Cachedump>(cache_, *order) : nullptr;
}

// Prefixes of keys are data of other clients, so -X forbids them.
std::unique_ptr<ReplyStream> TextExecutor::BeginDetailDump() {
  if (shared_.config.dump_enabled) return std::make_unique<DetailDump>(shared_.prefixes);
  output_.Append(protocol::kStatsDetailNotAllowed);
  return nullptr;
}

Next TextExecutor::LruCrawler(const LineRequest& request) {
  // A dump is a long list, so it is streamed.
  if (AskForDump(request.arguments)) return Next::kStream;
  Answer(RunLruCrawler(request.arguments, shared_.sweep), request);
  return Next::kGoOn;
}

// Reading files takes milliseconds, and the failure says what is in the file system: so this is for
// clients of this machine, and for those who have shown a password.
void TextExecutor::RefreshCertificates() {
  if (shared_.certificates == nullptr) return output_.Append(protocol::kTlsNotEnabled);
  if (!is_client_local() && !shared_.authenticator.is_required()) {
    return output_.Append(protocol::kRefreshNotAllowed);
  }
  const auto reloaded = shared_.certificates->Reload();
  if (reloaded) return output_.Append(protocol::kOk);
  output_.Append(reloaded.error());
  output_.Append("\r\n");
}

// The reply to a successful shutdown is the closed connection.
Next TextExecutor::Shutdown(const LineRequest& request) {
  if (!shared_.config.shutdown_command) {
    Answer(protocol::kShutdownNotEnabled, request);
    return Next::kGoOn;
  }
  const protocol::Tokens modes(request.arguments);
  // Every shutdown is a graceful one: requests that have arrived are served.
  if (modes.count() > 0 && modes[0] != "graceful") {
    Answer(protocol::kBadShutdownMode, request);
    return Next::kGoOn;
  }
  // Returns at once; the main thread then stops the workers, including this one.
  shared_.request_stop();
  return Next::kStop;
}

}  // namespace larder::server
