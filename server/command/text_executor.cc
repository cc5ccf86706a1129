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
using slab::ClassId;
using slab::ClassStat;
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

}  // namespace

Next Executor::Execute(const Request& request, std::uint64_t hash) {
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
      MetaGet(request, hash);
      break;
    default:  // ExecuteRarer() names them all.
      return ExecuteRarer(request, hash);
  }
  return Next::kGoOn;
}

// Kept apart: the compiler would have retrievals save registers that only these need.
Next Executor::ExecuteRarer(const Request& request, std::uint64_t hash) {
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
      MetaSet(request, hash);
      break;
    case Verb::kMd:
      MetaDelete(request, hash);
      break;
    case Verb::kMa:
      MetaArithmetic(request, hash);
      break;
    case Verb::kMe:
      MetaDebug(request, hash);
      break;
    case Verb::kExplain:
      Explain(request, hash);
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

// Inlined into both visits: a call costs every get 50 instructions.
[[gnu::always_inline]] inline char* Executor::WriteHit(Item& item, const Request& request,
                                                       ClassStat stat, char* out) {
  CountHit(item, stat);
  const bool with_cas = request.verb == Verb::kGets || request.verb == Verb::kGats;
  const std::uint32_t value_bytes = item.value_bytes();
  out = with_cas
            ? protocol::WriteValueHeadWithCas(out, request.key, item.client_flags(), value_bytes,
                                              shared_.config.use_cas ? item.cas() : 0)
            : protocol::WriteValueHead(out, request.key, item.client_flags(), value_bytes);
  return WriteText(WriteValue(item, value_bytes, out), protocol::kCrlf);
}

void Executor::Get(const Request& request, std::uint64_t hash) {
  // Enough for every value that is copied, so that there is one check for the whole reply.
  char* out = output_.Room(protocol::kValueHeadBytesMax + kPinBytesMin + kTailBytesMax);
  const Presence presence =
      cache_.Visit({.bytes = request.key, .hash = hash}, lane_,
                   [&](Item& item) { out = WriteHit(item, request, ClassStat::kGetHits, out); });
  FinishGet(request, presence, out);
}

Next Executor::GetAndTouch(const Request& request, std::uint64_t hash) {
  char* out = output_.Room(protocol::kValueHeadBytesMax + kPinBytesMin + kTailBytesMax);
  const Presence presence =
      TouchItem({.bytes = request.key, .hash = hash}, SignedExpiresAt(request.exptime),
                [&](Item& item) { out = WriteHit(item, request, ClassStat::kTouchHits, out); });
  counters_.Add(Stat::kCmdTouch);  // As memcached: not as a get.
  if (presence == Presence::kNoRoom) {
    // An error ends the reply to a line: if more keys are to be answered, the connection ends too.
    output_.Append(protocol::kNoMemoryWriting);
    return request.is_last_key ? Next::kGoOn : Next::kClose;
  }
  FinishGet(request, presence, out);
  return Next::kGoOn;
}

// Inlined, as WriteHit().
[[gnu::always_inline]] inline void Executor::FinishGet(const Request& request, Presence presence,
                                                       char* out) {
  if (presence != Presence::kHit) out = Miss(request, presence, out);
  if (is_detail_on()) [[unlikely]] {
    shared_.prefixes.CountGet(request.key, presence == Presence::kHit);
  }
  if (request.is_last_key) out = WriteText(out, protocol::kEnd);
  output_.Commit(out);
}

char* Executor::Miss(const Request& request, Presence presence, char* out) {
  const auto cluster = ClusterUnder(request.key);
  if (cluster == nullptr) {
    const bool touches = request.verb == Verb::kGat || request.verb == Verb::kGats;
    CountMiss(request.key, presence, touches ? Stat::kTouchMisses : Stat::kGetMisses);
    return out;
  }
  counters_.Add(Stat::kCmdConfigGet);
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

slab::ItemSpec Executor::SpecOf(const Request& request, std::uint64_t hash) const {
  return {.key = {.bytes = request.key, .hash = hash},
          .client_flags = request.client_flags,
          .expiry = SignedExpiresAt(request.exptime),
          .value_bytes = request.value_bytes};
}

StorePlan Executor::PlanStore(const Request& request, std::uint64_t hash) const {
  if (request.verb == Verb::kMs) return PlanMetaStore(request, hash);
  // A number of 0 fits no item: with CAS off every cas on a present key is EXISTS.
  return {.spec = SpecOf(request, hash),
          .terms = {.mode = ModeOf(request.verb),
                    .cas_unique = shared_.config.use_cas ? request.number : 0}};
}

void Executor::Store(const Request& request, std::uint64_t hash) {
  const StoreMode mode = ModeOf(request.verb);
  // As PlanStore().
  const std::uint64_t cas_unique = shared_.config.use_cas ? request.number : 0;
  const slab::StoreOutcome outcome =
      cache_.Store(mode, SpecOf(request, hash), request.value, cas_unique, lane_);
  if (is_detail_on()) [[unlikely]]
    shared_.prefixes.CountSet(request.key);
  CountAndAnswerStore(mode, outcome, request.noreply);
}

std::unique_ptr<Upload> Executor::BeginUpload(const Request& request, std::uint64_t hash) {
  auto upload = std::make_unique<Upload>(request, PlanStore(request, hash));
  const auto refusal = cache_.NeverStored(upload->plan().spec);
  if (!refusal) return upload;
  RefuseUpload(*upload, *refusal);
  return nullptr;
}

bool Executor::ReserveUpload(Upload& upload, UploadMemory::Share share) {
  const auto refusal = ReserveRoom(upload, std::move(share));
  if (refusal) RefuseUpload(upload, *refusal);
  return !refusal;
}

void Executor::RefuseUpload(const Upload& upload, StoreStatus why) {
  const StorePlan& plan = upload.plan();
  const slab::StoreOutcome outcome{.status = why};
  if (upload.verb == Verb::kMs) return AnswerMetaStore(plan, outcome, upload.arguments);
  if (plan.terms.mode == StoreMode::kSet) cache_.DropRefused(plan.spec.key, why, lane_);
  if (is_detail_on()) [[unlikely]]
    shared_.prefixes.CountSet(plan.spec.key.bytes);
  CountAndAnswerStore(plan.terms.mode, outcome, upload.noreply);
}

void Executor::FinishUpload(Upload& upload) {
  const slab::StoreOutcome outcome = StoreUpload(upload);
  const StorePlan& plan = upload.plan();
  if (upload.verb == Verb::kMs) return AnswerMetaStore(plan, outcome, upload.arguments);
  if (is_detail_on()) [[unlikely]]
    shared_.prefixes.CountSet(plan.spec.key.bytes);
  CountAndAnswerStore(plan.terms.mode, outcome, upload.noreply);
}

void Executor::RejectUpload(const Upload& upload) {
  Answer(protocol::kBadDataChunk, upload.noreply);
}

void Executor::CountAndAnswerStore(StoreMode mode, const slab::StoreOutcome& outcome,
                                   bool noreply) {
  if (outcome.status == StoreStatus::kTooLarge) {
    counters_.Add(Stat::kStoreTooLarge);
  } else if (outcome.status == StoreStatus::kNoMemory) {
    counters_.Add(Stat::kStoreNoMemory);
  } else {
    CountStore(mode, outcome);
  }
  if (outcome.status != StoreStatus::kStored) [[unlikely]]
    return Answer(ReplyTo(outcome.status), noreply);
  if (!noreply)
    output_.Commit(WriteText(output_.Room(protocol::kStored.size()), protocol::kStored));
}

// --- Single keys -------------------------------------------------------------------------------

void Executor::Delete(const Request& request, std::uint64_t hash) {
  const bool is_deleted =
      Remove({.bytes = request.key, .hash = hash}, 0) == slab::DeleteStatus::kDeleted;
  Answer(is_deleted ? protocol::kDeleted : protocol::kNotFound, request.noreply);
}

void Executor::Touch(const Request& request, std::uint64_t hash) {
  counters_.Add(Stat::kCmdTouch);
  const slab::Expiry expiry = SignedExpiresAt(request.exptime);
  const Presence presence = TouchItem({.bytes = request.key, .hash = hash}, expiry,
                                      [&](Item& item) { CountHit(item, ClassStat::kTouchHits); });
  if (presence == Presence::kNoRoom) return Answer(protocol::kNoMemory, request.noreply);
  if (presence != Presence::kHit) counters_.Add(Stat::kTouchMisses);
  Answer(presence == Presence::kHit ? protocol::kTouched : protocol::kNotFound, request.noreply);
}

void Executor::Arithmetic(const Request& request, std::uint64_t hash) {
  const bool is_incr = request.verb == Verb::kIncr;
  const ChangeOutcome outcome =
      Change({.bytes = request.key, .hash = hash}, {.is_incr = is_incr, .delta = request.number});
  switch (outcome.status) {
    case ChangeStatus::kChanged: {
      std::array<char, protocol::kDecimalBytesMax + protocol::kCrlf.size()> text;
      char* const end =
          WriteText(protocol::WriteDecimal(text.data(), outcome.number), protocol::kCrlf);
      return Answer({text.data(), end}, request.noreply);
    }
    case ChangeStatus::kMiss:
      counters_.Add(is_incr ? Stat::kIncrMisses : Stat::kDecrMisses);
      return Answer(protocol::kNotFound, request.noreply);
    case ChangeStatus::kNotNumeric:
      return Answer(protocol::kNonNumeric, request.noreply);
    case ChangeStatus::kExists:  // Not without a CAS.
    case ChangeStatus::kNoMemory:
      return Answer(protocol::kNoMemory, request.noreply);
  }
}

// --- Administration ----------------------------------------------------------------------------

void Executor::FlushAll(const Request& request) {
  counters_.Add(Stat::kCmdFlush);
  if (!shared_.config.flush_enabled) {
    return Answer(protocol::kFlushNotAllowed, request.noreply);
  }
  FlushAt(request.exptime > 0 ? SignedExpiresAt(request.exptime) : slab::Expiry());
  Answer(protocol::kOk, request.noreply);
}

void Executor::AnswerVersion() {
  output_.Append(protocol::kVersionHead);
  output_.Append(WireVersion());
  output_.Append(protocol::kCrlf);
}

void Executor::Verbosity(const Request& request) {
  shared_.verbosity.store(static_cast<int>(std::min<std::uint64_t>(request.number, 2)),
                          std::memory_order_relaxed);
  Answer(protocol::kOk, request.noreply);
}

void Executor::CacheMemlimit(const Request& request) {
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

std::unique_ptr<ReplyStream> Executor::BeginStream(const Request& request,
                                                   std::function<void()> wake) {
  if (request.verb == Verb::kLruCrawler) return BeginDump(request);
  if (AskForCachedump(request.arguments)) return BeginCachedump(request);
  return shared_.reporter.Ask(request.arguments, std::nullopt, std::move(wake));
}

std::unique_ptr<ReplyStream> Executor::BeginDump(const Request& request) {
  const auto order = ReadDumpOrder(request.arguments, shared_);
  output_.Append(order ? protocol::kOk : order.error());
  return order ? std::make_unique<Dump>(cache_, *order) : nullptr;
}

std::unique_ptr<ReplyStream> Executor::BeginCachedump(const Request& request) {
  const auto order = ReadCachedumpOrder(request.arguments, shared_);
  if (!order) output_.Append(order.error());
  return order ? std::make_unique<Cachedump>(cache_, *order) : nullptr;
}

Next Executor::Shutdown(const Request& request) {
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
