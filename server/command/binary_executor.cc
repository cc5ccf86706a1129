#include "server/command/binary_executor.h"

#include <array>
#include <cstring>
#include <utility>

#include "protocol/encoding/numbers.h"
#include "protocol/encoding/write.h"
#include "server/authenticator.h"
#include "server/reporter.h"

namespace larder::server {
namespace {

using protocol::BinaryStatus;
using protocol::Echo;
using protocol::Request;
using protocol::RequestPacket;
using protocol::Verb;
using slab::ClassStat;
using slab::Item;
using slab::Presence;
using slab::StoreMode;
using slab::StoreStatus;

// With CAS off an item answers to no number. The cache hands out none of more than 48 bits.
constexpr std::uint64_t kNobodysCas = ~std::uint64_t{0};

Echo EchoOf(const Request& request) { return RequestPacket(request.arguments).echo(); }

BinaryStatus StatusOf(StoreMode mode, StoreStatus status) {
  switch (status) {
    case StoreStatus::kStored:
      return BinaryStatus::kSuccess;
    case StoreStatus::kNotStored:
      if (mode == StoreMode::kAdd) return BinaryStatus::kKeyExists;
      if (mode == StoreMode::kReplace) return BinaryStatus::kKeyNotFound;
      return BinaryStatus::kItemNotStored;
    case StoreStatus::kForbidden:
      return BinaryStatus::kItemNotStored;
    case StoreStatus::kExists:
      return BinaryStatus::kKeyExists;
    case StoreStatus::kNotFound:
      return BinaryStatus::kKeyNotFound;
    case StoreStatus::kTooLarge:
      return BinaryStatus::kValueTooLarge;
    case StoreStatus::kNoMemory:
      return BinaryStatus::kOutOfMemory;
  }
  return BinaryStatus::kItemNotStored;
}

bool NeedsRoom(StoreStatus status) {
  return status == StoreStatus::kTooLarge || status == StoreStatus::kNoMemory;
}

}  // namespace

Next BinaryExecutor::Execute(const Request& request, std::uint64_t hash) {
  switch (request.verb) {
    case Verb::kGet:
    case Verb::kGetK:
    case Verb::kGat:
    case Verb::kGatK:
      Get(request, hash);
      break;
    case Verb::kSet:
    case Verb::kAdd:
    case Verb::kReplace:
    case Verb::kAppend:
    case Verb::kPrepend:
      Store(request, hash);
      break;
    default:  // ExecuteRarer() names them all.
      return ExecuteRarer(request, hash);
  }
  return Next::kGoOn;
}

// Kept apart, as Executor's.
Next BinaryExecutor::ExecuteRarer(const Request& request, std::uint64_t hash) {
  switch (request.verb) {
    case Verb::kDelete:
      Delete(request, hash);
      break;
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
    case Verb::kNoop:
      AnswerSuccess(EchoOf(request), 0);
      break;
    case Verb::kVersion:
      AnswerSuccess(EchoOf(request), 0, WireVersion());
      break;
    case Verb::kQuit:
      if (!request.noreply) AnswerSuccess(EchoOf(request), 0);
      return Next::kClose;
    case Verb::kStats:
      return Next::kStream;
    case Verb::kSaslList:
    case Verb::kSaslAuth:
    case Verb::kSaslStep:
      if (shared_.authenticator.sasl() != nullptr) return Next::kLogIn;
      AnswerError(EchoOf(request), BinaryStatus::kUnknownCommand);
      break;
    case Verb::kConfig:
      Config(request);
      break;
    case Verb::kError:
      return Refuse(request);
    case Verb::kGet:
    case Verb::kGetK:
    case Verb::kGat:
    case Verb::kGatK:
    case Verb::kSet:
    case Verb::kAdd:
    case Verb::kReplace:
    case Verb::kAppend:
    case Verb::kPrepend:
      break;  // Done by Execute().
    case Verb::kGets:
    case Verb::kGats:
    case Verb::kCas:
    case Verb::kVerbosity:
    case Verb::kShutdown:
    case Verb::kCacheMemlimit:
    case Verb::kLru:
    case Verb::kLruCrawler:
    case Verb::kSlabs:
    case Verb::kMn:
    case Verb::kMg:
    case Verb::kMs:
    case Verb::kMd:
    case Verb::kMa:
    case Verb::kMe:
    case Verb::kExplain:
      break;  // Of the text protocol.
  }
  return Next::kGoOn;
}

Next BinaryExecutor::Refuse(const Request& request) {
  switch (request.error) {
    case protocol::RequestError::kUnknownCommand:
      AnswerError(EchoOf(request), BinaryStatus::kUnknownCommand);
      return Next::kGoOn;
    case protocol::RequestError::kBadBodyLength:
      AnswerError(EchoOf(request), BinaryStatus::kUnknownCommand);
      return Next::kClose;
    default:
      AnswerError(EchoOf(request), BinaryStatus::kInvalidArguments);
      return Next::kClose;
  }
}

// --- Retrieval ---------------------------------------------------------------------------------

// Inlined into both visits, as that of text.
[[gnu::always_inline]] inline char* BinaryExecutor::WriteHit(Item& item, const Request& request,
                                                             ClassStat stat, char* out) {
  CountHit(item, stat);
  const bool with_key = request.verb == Verb::kGetK || request.verb == Verb::kGatK;
  const std::uint32_t value_bytes = item.value_bytes();
  out = protocol::WriteReplyHead(out, EchoOf(request),
                                 {.extras_bytes = sizeof(std::uint32_t),
                                  .key_bytes = with_key ? request.key.size() : 0,
                                  .value_bytes = value_bytes,
                                  .cas = CasShown(item.cas())});
  protocol::StoreBig(out, item.client_flags());
  out += sizeof(std::uint32_t);
  if (with_key) out = protocol::WriteKey(out, request.key);
  return WriteValue(item, value_bytes, out);
}

void BinaryExecutor::Get(const Request& request, std::uint64_t hash) {
  const bool touches = request.verb == Verb::kGat || request.verb == Verb::kGatK;
  // Enough for every value that is copied, so that there is one check for the whole reply.
  char* out = output_.Room(protocol::kHitHeadBytesMax + kPinBytesMin + kTailBytesMax);
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  Presence presence = Presence::kMiss;
  if (touches) [[unlikely]] {
    presence = TouchItem(key, ExpiresAt(request), [&](Item& item) {
      out = WriteHit(item, request, ClassStat::kTouchHits, out);
    });
  } else {
    presence = cache_.Visit(
        key, lane_, [&](Item& item) { out = WriteHit(item, request, ClassStat::kGetHits, out); });
  }
  output_.Commit(out);
  if (touches) counters_.Add(Stat::kCmdTouch);
  if (presence != Presence::kHit) Miss(request, presence);
  if (is_detail_on()) [[unlikely]] {
    shared_.prefixes.CountGet(request.key, presence == Presence::kHit);
  }
}

void BinaryExecutor::Miss(const Request& request, Presence presence) {
  if (presence == Presence::kNoRoom) {
    return AnswerError(EchoOf(request), BinaryStatus::kOutOfMemory, protocol::kNoMemoryForItem);
  }
  const auto cluster = ClusterUnder(request.key);
  if (cluster != nullptr) return AnswerCluster(request, *cluster);
  const bool touches = request.verb == Verb::kGat || request.verb == Verb::kGatK;
  CountMiss(request.key, presence, touches ? Stat::kTouchMisses : Stat::kGetMisses);
  if (request.noreply) return;
  const bool with_key = request.verb == Verb::kGetK || request.verb == Verb::kGatK;
  if (!with_key) return AnswerError(EchoOf(request), BinaryStatus::kKeyNotFound);
  char* out = output_.Room(protocol::kHitHeadBytesMax);
  out = protocol::WriteReplyHead(
      out, EchoOf(request),
      {.status = BinaryStatus::kKeyNotFound, .key_bytes = request.key.size()});
  output_.Commit(protocol::WriteKey(out, request.key));
}

// --- Storage -----------------------------------------------------------------------------------

StorePlan BinaryExecutor::PlanOf(const Request& request, std::uint64_t hash) const {
  StorePlan plan{.spec = {.key = {.bytes = request.key, .hash = hash},
                          .client_flags = request.client_flags,
                          .expiry = ExpiresAt(request),
                          .value_bytes = request.value_bytes},
                 .terms = {.mode = ModeOf(request.verb),
                           .cas_unique = shared_.config.use_cas ? request.number : 0}};
  StoreMode& mode = plan.terms.mode;
  const bool concatenates = mode == StoreMode::kAppend || mode == StoreMode::kPrepend;
  // As memcached: a CAS makes one and the same of set, add and replace.
  if (plan.terms.cas_unique != 0 && !concatenates) mode = StoreMode::kCas;
  return plan;
}

void BinaryExecutor::Store(const Request& request, std::uint64_t hash) {
  const StorePlan plan = PlanOf(request, hash);
  const slab::StoreOutcome outcome =
      cache_.Store(plan.terms.mode, plan.spec, request.value, plan.terms.cas_unique, lane_);
  DropOld(request.verb, plan, outcome.status);
  if (is_detail_on()) [[unlikely]]
    shared_.prefixes.CountSet(request.key);
  CountAndAnswerStore(EchoOf(request), plan.terms.mode, outcome, request.noreply);
}

std::unique_ptr<Upload> BinaryExecutor::BeginUpload(const Request& request, std::uint64_t hash) {
  auto upload = std::make_unique<Upload>(request, PlanOf(request, hash), EchoOf(request));
  const auto refusal = cache_.NeverStored(upload->plan().spec);
  if (!refusal) return upload;
  RefuseUpload(*upload, *refusal);
  return nullptr;
}

bool BinaryExecutor::ReserveUpload(Upload& upload, UploadMemory::Share share) {
  const auto refusal = ReserveRoom(upload, std::move(share));
  if (refusal) RefuseUpload(upload, *refusal);
  return !refusal;
}

void BinaryExecutor::RefuseUpload(const Upload& upload, StoreStatus why) {
  const StorePlan& plan = upload.plan();
  if (plan.terms.mode == StoreMode::kSet) cache_.DropRefused(plan.spec.key, why, lane_);
  DropOld(upload.verb, plan, why);
  if (is_detail_on()) [[unlikely]]
    shared_.prefixes.CountSet(plan.spec.key.bytes);
  CountAndAnswerStore(upload.echo, plan.terms.mode, {.status = why}, upload.noreply);
}

void BinaryExecutor::FinishUpload(Upload& upload) {
  const slab::StoreOutcome outcome = StoreUpload(upload);
  const StorePlan& plan = upload.plan();
  DropOld(upload.verb, plan, outcome.status);
  if (is_detail_on()) [[unlikely]]
    shared_.prefixes.CountSet(plan.spec.key.bytes);
  CountAndAnswerStore(upload.echo, plan.terms.mode, outcome, upload.noreply);
}

void BinaryExecutor::DropOld(Verb verb, const StorePlan& plan, StoreStatus status) {
  if (!NeedsRoom(status)) return;
  if (verb == Verb::kSet && plan.terms.mode == StoreMode::kCas) {
    cache_.DropRefused(plan.spec.key, status, lane_);
  }
}

void BinaryExecutor::CountAndAnswerStore(const Echo& echo, StoreMode mode,
                                         const slab::StoreOutcome& outcome, bool noreply) {
  // memcached counts those that found no room for text only.
  if (!NeedsRoom(outcome.status)) CountStore(mode, outcome);
  if (outcome.status == StoreStatus::kStored) [[likely]] {
    if (!noreply) AnswerSuccess(echo, CasShown(outcome.cas));
    return;
  }
  if (outcome.status == StoreStatus::kNoMemory) {
    return AnswerError(echo, BinaryStatus::kOutOfMemory, protocol::kNoMemoryForItem);
  }
  AnswerError(echo, StatusOf(mode, outcome.status));
}

// --- Single keys -------------------------------------------------------------------------------

std::uint64_t BinaryExecutor::CasWanted(std::uint64_t cas) const {
  return cas != 0 && !shared_.config.use_cas ? kNobodysCas : cas;
}

void BinaryExecutor::Delete(const Request& request, std::uint64_t hash) {
  switch (Remove({.bytes = request.key, .hash = hash}, CasWanted(request.number))) {
    case slab::DeleteStatus::kDeleted:
      if (!request.noreply) AnswerSuccess(EchoOf(request), 0);
      break;
    case slab::DeleteStatus::kNotFound:
      AnswerError(EchoOf(request), BinaryStatus::kKeyNotFound);
      break;
    case slab::DeleteStatus::kExists:
      AnswerError(EchoOf(request), BinaryStatus::kKeyExists);
      break;
  }
}

void BinaryExecutor::Touch(const Request& request, std::uint64_t hash) {
  counters_.Add(Stat::kCmdTouch);
  char* out = output_.Room(protocol::kHitHeadBytesMax);
  const Presence presence =
      TouchItem({.bytes = request.key, .hash = hash}, ExpiresAt(request), [&](Item& item) {
        CountHit(item, ClassStat::kTouchHits);
        out = protocol::WriteReplyHead(
            out, EchoOf(request),
            {.extras_bytes = sizeof(std::uint32_t), .cas = CasShown(item.cas())});
        protocol::StoreBig(out, item.client_flags());
        out += sizeof(std::uint32_t);
      });
  output_.Commit(out);
  // memcached's touch is a get without the value; that of text is not.
  if (is_detail_on()) [[unlikely]] {
    shared_.prefixes.CountGet(request.key, presence == Presence::kHit);
  }
  if (presence == Presence::kHit) return;
  if (presence == Presence::kNoRoom) {
    return AnswerError(EchoOf(request), BinaryStatus::kOutOfMemory, protocol::kNoMemoryForItem);
  }
  counters_.Add(Stat::kTouchMisses);
  AnswerError(EchoOf(request), BinaryStatus::kKeyNotFound);
}

void BinaryExecutor::Arithmetic(const Request& request, std::uint64_t hash) {
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  const RequestPacket packet(request.arguments);
  const NumberChange change{.is_incr = request.verb == Verb::kIncr,
                            .delta = request.number,
                            .cas_unique = CasWanted(packet.cas())};
  const bool creates = static_cast<std::uint32_t>(request.exptime) != protocol::kNeverCreate;
  // Another round is needed only if another client has stored the key meanwhile, and yet another
  // has removed it again.
  for (;;) {
    ChangeOutcome outcome = Change(key, change);
    if (outcome.status == ChangeStatus::kMiss && creates) {
      const slab::StoreOutcome created = Create(request, key);
      // Another has created it meanwhile: now it can be changed.
      if (created.status == StoreStatus::kNotStored) continue;
      if (created.status == StoreStatus::kForbidden) return AnswerChange(request, outcome);
      if (created.status != StoreStatus::kStored) {
        return AnswerError(packet.echo(), BinaryStatus::kOutOfMemory,
                           protocol::kNoMemoryForNewItem);
      }
      outcome = {.status = ChangeStatus::kChanged, .number = packet.initial(), .cas = created.cas};
    }
    return AnswerChange(request, outcome);
  }
}

// As memcached, an item with the initial number alone, and counted as no hit and no miss.
slab::StoreOutcome BinaryExecutor::Create(const Request& request, const slab::HashedKey& key) {
  std::array<char, protocol::kDecimalBytesMax> text;
  const char* const end =
      protocol::WriteDecimal(text.data(), RequestPacket(request.arguments).initial());
  const std::string_view value(text.data(), end);
  const slab::ItemSpec spec{.key = key,
                            .expiry = ExpiresAt(request),
                            .value_bytes = static_cast<std::uint32_t>(value.size())};
  return cache_.Store(StoreMode::kAdd, spec, value, 0, lane_);
}

void BinaryExecutor::AnswerChange(const Request& request, const ChangeOutcome& outcome) {
  const Echo echo = EchoOf(request);
  switch (outcome.status) {
    case ChangeStatus::kChanged: {
      if (request.noreply) return;
      std::array<char, sizeof outcome.number> number;
      protocol::StoreBig(number.data(), outcome.number);
      return AnswerSuccess(echo, CasShown(outcome.cas), {number.data(), number.size()});
    }
    case ChangeStatus::kMiss:
      counters_.Add(request.verb == Verb::kIncr ? Stat::kIncrMisses : Stat::kDecrMisses);
      return AnswerError(echo, BinaryStatus::kKeyNotFound);
    case ChangeStatus::kExists:
      return AnswerError(echo, BinaryStatus::kKeyExists);
    case ChangeStatus::kNotNumeric:
      return AnswerError(echo, BinaryStatus::kValueNotNumeric);
    case ChangeStatus::kNoMemory:
      return AnswerError(echo, BinaryStatus::kOutOfMemory, protocol::kNoMemoryForNumber);
  }
}

// --- Statistics --------------------------------------------------------------------------------

std::unique_ptr<ReplyStream> BinaryExecutor::BeginStream(const Request& request,
                                                         std::function<void()> wake) {
  return shared_.reporter.Ask(request.key, EchoOf(request), std::move(wake));
}

// --- Administration ----------------------------------------------------------------------------

void BinaryExecutor::FlushAll(const Request& request) {
  if (!shared_.config.flush_enabled) {
    return AnswerError(EchoOf(request), BinaryStatus::kAuthError);
  }
  counters_.Add(Stat::kCmdFlush);
  const auto exptime = static_cast<std::uint32_t>(request.exptime);
  const slab::Now started{.now_s = shared_.clock.started_s(), .wall_ahead_s = lane_.wall_ahead_s};
  if (exptime > kRelativeExptimeMax && exptime <= started.wall_s()) {
    // memcached takes such a time for none, which is also what is pending then.
    shared_.flush_due.store({}, std::memory_order_relaxed);
  } else {
    FlushAt(ExpiresAt(request));
  }
  if (!request.noreply) AnswerSuccess(EchoOf(request), 0);
}

// --- Replies -----------------------------------------------------------------------------------

void BinaryExecutor::AnswerSuccess(const Echo& echo, std::uint64_t cas, std::string_view value) {
  char* out = output_.Room(protocol::kPacketHeadBytes + value.size());
  out = protocol::WriteReplyHead(out, echo, {.value_bytes = value.size(), .cas = cas});
  if (!value.empty()) std::memcpy(out, value.data(), value.size());
  output_.Commit(out + value.size());
}

void BinaryExecutor::AnswerError(const Echo& echo, BinaryStatus status, std::string_view text) {
  char* out = output_.Room(protocol::kPacketHeadBytes + text.size());
  out = protocol::WriteReplyHead(out, echo, {.status = status, .value_bytes = text.size()});
  std::memcpy(out, text.data(), text.size());
  output_.Commit(out + text.size());
}

}  // namespace larder::server
