#include "server/execute.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "protocol/numbers.h"
#include "protocol/reply.h"
#include "protocol/tokens.h"
#include "server/stats.h"

namespace larder::server {
namespace {

using protocol::Request;
using protocol::Verb;
using slab::ClassId;
using slab::ClassStat;
using slab::Item;
using slab::Presence;
using slab::StoreMode;
using slab::StoreStatus;

constexpr std::int32_t kRelativeExptimeMax = 60 * 60 * 24 * 30;
constexpr std::uint32_t kMemlimitMegabytesMin = 8;
constexpr std::uint64_t kMemlimitMegabytesMax = 1000000000;
constexpr std::size_t kTailBytesMax = protocol::kCrlf.size() + protocol::kEnd.size();
// Rounds of an incr that lost the race for its item.
constexpr int kArithmeticTriesMax = 64;

StoreMode ModeOf(Verb verb) {
  switch (verb) {
    case Verb::kAdd:
      return StoreMode::kAdd;
    case Verb::kReplace:
      return StoreMode::kReplace;
    case Verb::kAppend:
      return StoreMode::kAppend;
    case Verb::kPrepend:
      return StoreMode::kPrepend;
    case Verb::kCas:
      return StoreMode::kCas;
    default:
      return StoreMode::kSet;
  }
}

std::string_view ReplyTo(StoreStatus status) {
  switch (status) {
    case StoreStatus::kStored:
      return protocol::kStored;
    case StoreStatus::kNotStored:
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

// Inlined, a constant text costs a store or two.
[[gnu::always_inline]] inline char* Copy(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

}  // namespace

Next Executor::Execute(const Request& request, std::uint64_t hash) {
  switch (request.verb) {
    case Verb::kGet:
    case Verb::kGets:
    case Verb::kGat:
    case Verb::kGats:
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
    case Verb::kVersion:
      output_.Append(protocol::kVersionHead);
      output_.Append(WireVersion());
      output_.Append(protocol::kCrlf);
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
      shared_.stats.Report(request.arguments, lane_, output_);
      break;
    case Verb::kMn:
      output_.Append(protocol::kMn);
      break;
    case Verb::kError:
      Answer(protocol::ErrorText(request.error), request.noreply);
      break;
  }
  return Next::kGoOn;
}

// --- Retrieval ---------------------------------------------------------------------------------

void Executor::Get(const Request& request, std::uint64_t hash) {
  const bool with_cas = request.verb == Verb::kGets || request.verb == Verb::kGats;
  const bool touches = request.verb == Verb::kGat || request.verb == Verb::kGats;
  // Enough for every value that is copied, so that there is one check for the whole reply.
  char* out = output_.Room(protocol::kValueHeadBytesMax + kPinBytesMin + kTailBytesMax);
  const Presence presence =
      cache_.Visit({.bytes = request.key, .hash = hash}, lane_, [&](Item& item) {
        slab::Cache::MarkAccess(item, lane_);
        if (touches) item.expires_at_s = ExpiresAt(request.exptime);
        lane_.classes[cache_.ClassOf(item)].Add(touches ? ClassStat::kTouchHits
                                                        : ClassStat::kGetHits);
        const std::uint32_t value_bytes = item.value_bytes();
        out = with_cas
                  ? protocol::WriteValueHeadWithCas(out, request.key, item.client_flags(),
                                                    value_bytes,
                                                    shared_.config.use_cas ? item.cas() : 0)
                  : protocol::WriteValueHead(out, request.key, item.client_flags(), value_bytes);
        if (value_bytes < kPinBytesMin) [[likely]] {
          std::memcpy(out, item.value(), value_bytes);
          out += value_bytes;
        } else {
          out = PinOrCopy(item, value_bytes, out);
        }
        out = Copy(out, protocol::kCrlf);
      });
  // As memcached: gat counts as a touch, not as a get.
  if (touches) counters_.Add(Stat::kCmdTouch);
  if (presence != Presence::kHit) {
    CountMiss(presence, touches ? Stat::kTouchMisses : Stat::kGetMisses);
  }
  if (is_detail_on()) [[unlikely]] {
    shared_.prefixes.CountGet(request.key, presence == Presence::kHit);
  }
  if (request.is_last_key) out = Copy(out, protocol::kEnd);
  output_.Commit(out);
}

// A value too large to be copied is sent from where it lies, unless it has too many pins already.
char* Executor::PinOrCopy(Item& item, std::uint32_t value_bytes, char* out) {
  output_.Commit(out);
  slab::ItemHandle pin = cache_.Pin(item);
  if (pin) {
    output_.AppendPinned(std::move(pin), cache_.Value(item), value_bytes);
    return out;
  }
  out = output_.Room(value_bytes + kTailBytesMax);
  for (slab::ValueCursor value = cache_.Value(item); !value.piece().empty();) {
    const auto piece = value.piece();
    std::memcpy(out, piece.data(), piece.size());
    out += piece.size();
    value.Advance(piece.size());
  }
  return out;
}

void Executor::CountMiss(Presence presence, Stat misses) {
  counters_.Add(misses);
  if (presence == Presence::kExpired) counters_.Add(Stat::kGetExpired);
  if (presence == Presence::kFlushed) counters_.Add(Stat::kGetFlushed);
}

// --- Storage -----------------------------------------------------------------------------------

std::uint32_t Executor::ExpiresAt(std::int32_t exptime) const {
  if (exptime == 0) return 0;
  if (exptime < 0) return 1;  // Long past.
  const auto seconds = static_cast<std::uint32_t>(exptime);
  return exptime <= kRelativeExptimeMax ? lane_.now_s + seconds : seconds;
}

slab::ItemSpec Executor::SpecOf(const Request& request, std::uint64_t hash) const {
  return {.key = {.bytes = request.key, .hash = hash},
          .client_flags = request.client_flags,
          .expires_at_s = ExpiresAt(request.exptime),
          .value_bytes = request.value_bytes};
}

void Executor::Store(const Request& request, std::uint64_t hash) {
  const StoreMode mode = ModeOf(request.verb);
  // A number of 0 fits no item: with CAS off every cas on a present key is EXISTS.
  const std::uint64_t cas_unique = shared_.config.use_cas ? request.number : 0;
  const slab::StoreOutcome outcome =
      cache_.Store(mode, SpecOf(request, hash), request.value, cas_unique, lane_);
  if (is_detail_on()) [[unlikely]]
    shared_.prefixes.CountSet(request.key);
  CountStore(mode, outcome.status, outcome.class_id);
  AnswerStore(outcome.status, request.noreply);
}

std::unique_ptr<Upload> Executor::BeginUpload(const Request& request, std::uint64_t hash) {
  const StoreMode mode = ModeOf(request.verb);
  const slab::ItemSpec spec = SpecOf(request, hash);
  auto reserved = cache_.Reserve(spec, lane_);
  if (reserved) {
    const slab::ValueCursor value = reserved->value();
    return std::make_unique<Upload>(
        Upload{.item = std::move(*reserved),
               .at = value,
               .left_bytes = request.value_bytes,
               .cas_unique = shared_.config.use_cas ? request.number : 0,
               .mode = mode,
               .noreply = request.noreply});
  }
  // The old value would be stale now.
  if (mode == StoreMode::kSet) (void)cache_.Delete(spec.key, lane_);
  if (is_detail_on()) [[unlikely]]
    shared_.prefixes.CountSet(request.key);
  CountStore(mode, reserved.error(), 0);
  AnswerStore(reserved.error(), request.noreply);
  return nullptr;
}

void Executor::FinishUpload(Upload upload) {
  if (is_detail_on()) [[unlikely]]
    shared_.prefixes.CountSet(upload.item.key().bytes);
  const slab::StoreOutcome outcome =
      cache_.Publish(std::move(upload.item), upload.mode, upload.cas_unique, lane_);
  CountStore(upload.mode, outcome.status, outcome.class_id);
  AnswerStore(outcome.status, upload.noreply);
}

void Executor::RejectUpload(const Upload& upload) {
  Answer(protocol::kBadDataChunk, upload.noreply);
}

void Executor::CountStore(StoreMode mode, StoreStatus status, ClassId class_id) {
  if (status == StoreStatus::kTooLarge) return counters_.Add(Stat::kStoreTooLarge);
  if (status == StoreStatus::kNoMemory) return counters_.Add(Stat::kStoreNoMemory);
  auto& by_class = lane_.classes[class_id];
  by_class.Add(ClassStat::kCmdSet);
  if (mode != StoreMode::kCas) return;
  if (status == StoreStatus::kStored) by_class.Add(ClassStat::kCasHits);
  if (status == StoreStatus::kExists) by_class.Add(ClassStat::kCasBadval);
  if (status == StoreStatus::kNotFound) counters_.Add(Stat::kCasMisses);
}

void Executor::AnswerStore(StoreStatus status, bool noreply) {
  if (status != StoreStatus::kStored) [[unlikely]]
    return Answer(ReplyTo(status), noreply);
  if (!noreply) output_.Commit(Copy(output_.Room(protocol::kStored.size()), protocol::kStored));
}

// --- Single keys -------------------------------------------------------------------------------

void Executor::Delete(const Request& request, std::uint64_t hash) {
  const auto class_id = cache_.Delete({.bytes = request.key, .hash = hash}, lane_);
  if (is_detail_on()) [[unlikely]]
    shared_.prefixes.CountDelete(request.key);
  if (class_id) {
    lane_.classes[*class_id].Add(ClassStat::kDeleteHits);
  } else {
    counters_.Add(Stat::kDeleteMisses);
  }
  Answer(class_id ? protocol::kDeleted : protocol::kNotFound, request.noreply);
}

void Executor::Touch(const Request& request, std::uint64_t hash) {
  counters_.Add(Stat::kCmdTouch);
  const Presence presence =
      cache_.Visit({.bytes = request.key, .hash = hash}, lane_, [&](Item& item) {
        slab::Cache::MarkAccess(item, lane_);
        item.expires_at_s = ExpiresAt(request.exptime);
        lane_.classes[cache_.ClassOf(item)].Add(ClassStat::kTouchHits);
      });
  if (presence != Presence::kHit) counters_.Add(Stat::kTouchMisses);
  Answer(presence == Presence::kHit ? protocol::kTouched : protocol::kNotFound, request.noreply);
}

void Executor::Arithmetic(const Request& request, std::uint64_t hash) {
  const bool is_incr = request.verb == Verb::kIncr;
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  std::array<char, protocol::kDecimalBytesMax + 2> text;
  for (int tries = 0; tries < kArithmeticTriesMax; ++tries) {
    enum class Step : std::uint8_t { kDone, kNotNumeric, kReplace } step = Step::kDone;
    std::size_t digits = 0;
    slab::ItemSpec spec{.key = key};
    std::uint64_t seen_cas = 0;
    const Presence presence = cache_.Visit(key, lane_, [&](Item& item) {
      // A number is never chained: it would be longer than any that counts as one.
      const auto old = item.is_chained()
                           ? std::nullopt
                           : protocol::ParseCounter(
                                 {reinterpret_cast<const char*>(item.value()), item.value_bytes()});
      if (!old) {
        step = Step::kNotNumeric;
        return;
      }
      slab::Cache::MarkAccess(item, lane_);
      const std::uint64_t sum =
          is_incr ? *old + request.number : *old - std::min(*old, request.number);
      digits = static_cast<std::size_t>(protocol::WriteDecimal(text.data(), sum) - text.data());
      if (digits <= item.value_bytes() && slab::Cache::MayRewrite(item)) {
        // A value never gets shorter: it is padded.
        std::memcpy(item.value(), text.data(), digits);
        std::memset(item.value() + digits, ' ', item.value_bytes() - digits);
        item.set_cas(cache_.NextCas(lane_));
        lane_.classes[cache_.ClassOf(item)].Add(is_incr ? ClassStat::kIncrHits
                                                        : ClassStat::kDecrHits);
        return;
      }
      step = Step::kReplace;
      seen_cas = item.cas();
      spec.client_flags = item.client_flags();
      spec.expires_at_s = item.expires_at_s;
      spec.value_bytes = static_cast<std::uint32_t>(digits);
    });
    if (presence != Presence::kHit) {
      counters_.Add(is_incr ? Stat::kIncrMisses : Stat::kDecrMisses);
      return Answer(protocol::kNotFound, request.noreply);
    }
    if (step == Step::kNotNumeric) return Answer(protocol::kNonNumeric, request.noreply);
    if (step == Step::kReplace) {
      const slab::StoreOutcome outcome =
          cache_.Store(StoreMode::kCas, spec, {text.data(), digits}, seen_cas, lane_);
      if (outcome.status == StoreStatus::kNoMemory || outcome.status == StoreStatus::kTooLarge) {
        return Answer(protocol::kNoMemory, request.noreply);
      }
      if (outcome.status != StoreStatus::kStored) continue;  // Changed in between: look again.
      lane_.classes[outcome.class_id].Add(is_incr ? ClassStat::kIncrHits : ClassStat::kDecrHits);
    }
    text[digits] = '\r';
    text[digits + 1] = '\n';
    return Answer({text.data(), digits + 2}, request.noreply);
  }
  Answer(protocol::kNoMemory, request.noreply);
}

// --- Administration ----------------------------------------------------------------------------

void Executor::FlushAll(const Request& request) {
  counters_.Add(Stat::kCmdFlush);
  if (!shared_.config.flush_enabled) {
    return Answer(protocol::kFlushNotAllowed, request.noreply);
  }
  const std::uint32_t due_s = request.exptime > 0 ? ExpiresAt(request.exptime) : 0;
  // One tick early, as memcached.
  if (due_s > lane_.now_s + 1) {
    shared_.flush_due_s.store(due_s - 1, std::memory_order_relaxed);
  } else {
    shared_.flush_due_s.store(0, std::memory_order_relaxed);
    shared_.flushed_s.store(lane_.now_s, std::memory_order_relaxed);
    cache_.FlushAll();
  }
  Answer(protocol::kOk, request.noreply);
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
