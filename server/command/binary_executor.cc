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
using slab::Item;
using slab::Presence;
using slab::StoreMode;
using slab::StoreStatus;

// With CAS off an item answers to no number. The cache hands out none of more than 48 bits.
constexpr std::uint64_t kNoItemsCas = ~std::uint64_t{0};

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

// Inlined into both look-ups, as that of text.
[[gnu::always_inline]] inline char* BinaryExecutor::WriteHit(Item& item, const Request& request,
                                                             char* out) {
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
  // Enough for every value that is copied, so that there is one check for the whole reply.
  char* out = output_.Room(protocol::kHitHeadBytesMax + kPinBytesMin + kTailBytesMax);
  const GetCommand get{.key = {.bytes = request.key, .hash = hash}};
  const auto write = [&](Item& item) { out = WriteHit(item, request, out); };
  const bool touches = request.verb == Verb::kGat || request.verb == Verb::kGatK;
  Presence presence = Presence::kMiss;
  if (touches) [[unlikely]] {
    presence = Commands::GetAndTouch(get, ExpiresAt(request), write);
  } else {
    presence = Commands::Get(get, write);
  }
  output_.Commit(out);
  if (presence != Presence::kHit) {
    Miss(request, touches ? Operation::kGetAndTouch : Operation::kGet, presence);
  }
}

void BinaryExecutor::Miss(const Request& request, Operation operation, Presence presence) {
  if (presence == Presence::kNoRoom) {
    return AnswerError(EchoOf(request), BinaryStatus::kOutOfMemory, protocol::kNoMemoryForItem);
  }
  const auto cluster = SeeMiss(request.key, operation, presence);
  if (cluster != nullptr) return AnswerCluster(request, *cluster);
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

BinaryExecutor::PlainStore BinaryExecutor::HowToStore(const Request& request) const {
  const StoreMode asked = ModeOf(request.verb);
  PlainStore store{.mode = asked,
                   .cas_unique = shared_.config.use_cas ? request.number : 0,
                   .if_refused = asked == StoreMode::kSet ? OldItem::kIsRemoved : OldItem::kStays};
  // As memcached: a CAS makes one and the same of set, add and replace.
  const bool concatenates = asked == StoreMode::kAppend || asked == StoreMode::kPrepend;
  if (store.cas_unique != 0 && !concatenates) store.mode = StoreMode::kCas;
  return store;
}

slab::ItemSpec BinaryExecutor::SpecOf(const Request& request, std::uint64_t hash) const {
  return {.key = {.bytes = request.key, .hash = hash},
          .client_flags = request.client_flags,
          .expiry = ExpiresAt(request),
          .value_bytes = request.value_bytes};
}

void BinaryExecutor::Store(const Request& request, std::uint64_t hash) {
  const PlainStore store = HowToStore(request);
  const slab::StoreOutcome outcome = Commands::Store(store, SpecOf(request, hash), request.value);
  AnswerStore(EchoOf(request), store.mode, outcome, request.noreply);
}

std::unique_ptr<Upload> BinaryExecutor::BeginUpload(const Request& request, std::uint64_t hash) {
  const PlainStore store = HowToStore(request);
  const StorePlan plan{.spec = SpecOf(request, hash),
                       .terms = {.mode = store.mode, .cas_unique = store.cas_unique},
                       .if_refused = store.if_refused};
  auto upload = std::make_unique<Upload>(request, plan, EchoOf(request));
  const auto refusal = RefusalOf(*upload);
  if (!refusal) return upload;
  AnswerStore(upload->echo, store.mode, {.status = *refusal}, request.noreply);
  return nullptr;
}

bool BinaryExecutor::ReserveUpload(Upload& upload, UploadMemory::Share share) {
  const auto refusal = ReserveRoom(upload, std::move(share));
  if (refusal) {
    AnswerStore(upload.echo, upload.plan().terms.mode, {.status = *refusal}, upload.noreply);
  }
  return !refusal;
}

void BinaryExecutor::FinishUpload(Upload& upload) {
  const slab::StoreOutcome outcome = Commands::Store(upload);
  AnswerStore(upload.echo, upload.plan().terms.mode, outcome, upload.noreply);
}

void BinaryExecutor::AnswerStore(const Echo& echo, StoreMode mode,
                                 const slab::StoreOutcome& outcome, bool noreply) {
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
  return cas != 0 && !shared_.config.use_cas ? kNoItemsCas : cas;
}

void BinaryExecutor::Delete(const Request& request, std::uint64_t hash) {
  const std::uint64_t cas = CasWanted(request.number);
  const CommandResult result = Commands::Delete({.bytes = request.key, .hash = hash},
                                                cas != 0 ? std::optional(cas) : std::nullopt);
  if (result == CommandResult::kDone) {
    if (!request.noreply) AnswerSuccess(EchoOf(request), 0);
    return;
  }
  AnswerError(EchoOf(request), result == CommandResult::kMiss ? BinaryStatus::kKeyNotFound
                                                              : BinaryStatus::kKeyExists);
}

void BinaryExecutor::Touch(const Request& request, std::uint64_t hash) {
  char* out = output_.Room(protocol::kHitHeadBytesMax);
  const Presence presence = Commands::Touch(
      {.bytes = request.key, .hash = hash}, ExpiresAt(request), [&](const Item& item) {
        out = protocol::WriteReplyHead(
            out, EchoOf(request),
            {.extras_bytes = sizeof(std::uint32_t), .cas = CasShown(item.cas())});
        protocol::StoreBig(out, item.client_flags());
        out += sizeof(std::uint32_t);
      });
  output_.Commit(out);
  if (presence == Presence::kHit) return;
  if (presence == Presence::kNoRoom) {
    return AnswerError(EchoOf(request), BinaryStatus::kOutOfMemory, protocol::kNoMemoryForItem);
  }
  AnswerError(EchoOf(request), BinaryStatus::kKeyNotFound);
}

void BinaryExecutor::Arithmetic(const Request& request, std::uint64_t hash) {
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  const RequestPacket packet(request.arguments);
  const NumberChange change{.is_incr = request.verb == Verb::kIncr,
                            .delta = request.number,
                            .cas_unique = CasWanted(packet.cas())};
  if (static_cast<std::uint32_t>(request.exptime) == protocol::kNeverCreate) {
    return AnswerChange(request, Change(key, change));
  }
  // As memcached, an item with the initial number alone, and counted as no hit and no miss.
  const auto plan = [&]() -> StorePlan {
    return {.spec = {.key = key, .expiry = ExpiresAt(request)}};
  };
  AnswerChange(request, ChangeOrCreate(key, change, packet.initial(), plan));
}

void BinaryExecutor::AnswerChange(const Request& request, const ChangeOutcome& outcome) {
  const Echo echo = EchoOf(request);
  switch (outcome.result) {
    case CommandResult::kDone: {
      if (request.noreply) return;
      std::array<char, sizeof outcome.number> number;
      protocol::StoreBig(number.data(), outcome.number);
      return AnswerSuccess(echo, CasShown(outcome.cas), {number.data(), number.size()});
    }
    case CommandResult::kMiss:
    case CommandResult::kForbidden:
      return AnswerError(echo, BinaryStatus::kKeyNotFound);
    case CommandResult::kExists:
      return AnswerError(echo, BinaryStatus::kKeyExists);
    case CommandResult::kNotNumeric:
      return AnswerError(echo, BinaryStatus::kValueNotNumeric);
    default:
      return AnswerError(
          echo, BinaryStatus::kOutOfMemory,
          outcome.is_new ? protocol::kNoMemoryForNewItem : protocol::kNoMemoryForNumber);
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
