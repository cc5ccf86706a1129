#include "tests/bench/load_connection.h"

#include <cassert>
#include <charconv>
#include <cstring>

#include "protocol/binary/binary_packet.h"
#include "tests/bench/clock.h"
#include "tests/bench/random.h"

namespace larder::bench {
namespace {

constexpr std::size_t kSetLineBytesMax = KeyFormat::kKeyBytesMax + 40;

char* Put(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

struct BinaryHead {
  std::uint8_t opcode = 0;
  std::size_t extras_bytes = 0;
  std::size_t key_bytes = 0;
  std::size_t value_bytes = 0;
};

// A request's header; returns where it stops.
char* PutHead(char* out, const BinaryHead& head) {
  std::memset(out, 0, protocol::kPacketHeadBytes);
  out[0] = static_cast<char>(protocol::kRequestMagic);
  out[1] = static_cast<char>(head.opcode);
  protocol::StoreBig(out + 2, static_cast<std::uint16_t>(head.key_bytes));
  out[4] = static_cast<char>(head.extras_bytes);
  protocol::StoreBig(
      out + 8, static_cast<std::uint32_t>(head.extras_bytes + head.key_bytes + head.value_bytes));
  return out + protocol::kPacketHeadBytes;
}

}  // namespace

LoadConnection::LoadConnection(const Workbench& bench, UniqueFd fd)
    : bench_(bench),
      tracks_keys_(bench.options.verify || bench.options.set_missed),
      socket_(std::move(fd)) {}

void LoadConnection::QueueGet(std::span<const std::uint32_t> keys, std::int64_t intended_ns) {
  bench_.options.binary ? WriteBinaryGet(keys) : WriteTextGet(keys);
  const auto key_count = static_cast<std::uint32_t>(keys.size());
  outstanding_.push_back(
      {.intended_ns = intended_ns, .keys_left = key_count, .key_count = key_count});
  if (tracks_keys_) keys_asked_.insert(keys_asked_.end(), keys.begin(), keys.end());
}

void LoadConnection::QueueSet(std::uint32_t key, std::int64_t intended_ns) {
  bench_.options.binary ? WriteBinarySet(key) : WriteTextSet(key);
  outstanding_.push_back({.intended_ns = intended_ns, .key_count = 1, .is_set = true});
}

void LoadConnection::WriteTextGet(std::span<const std::uint32_t> keys) {
  const std::size_t key_bytes = bench_.keys.key_bytes();
  char* const start = socket_.requests().Reserve(7 + keys.size() * (key_bytes + 1));
  char* out = Put(start, bench_.options.meta ? "mg" : "get");
  for (const std::uint32_t key : keys) {
    *out++ = ' ';
    bench_.keys.Write(key, out);
    out += key_bytes;
  }
  out = Put(out, bench_.options.meta ? " v\r\n" : "\r\n");
  socket_.requests().Commit(static_cast<std::size_t>(out - start));
}

void LoadConnection::WriteBinaryGet(std::span<const std::uint32_t> keys) {
  const std::size_t key_bytes = bench_.keys.key_bytes();
  char* const start = socket_.requests().Reserve((keys.size() + 1) * protocol::kPacketHeadBytes +
                                                 keys.size() * key_bytes);
  char* out = start;
  for (const std::uint32_t key : keys) {
    out = PutHead(out,
                  {.opcode = keys.size() == 1 ? kBinaryGet : kBinaryGetKQ, .key_bytes = key_bytes});
    bench_.keys.Write(key, out);
    out += key_bytes;
  }
  if (keys.size() != 1) out = PutHead(out, {.opcode = kBinaryNoop});
  socket_.requests().Commit(static_cast<std::size_t>(out - start));
}

void LoadConnection::WriteTextSet(std::uint32_t key) {
  const std::size_t value_bytes = ValueBytesOf(key);
  char* const start = socket_.requests().Reserve(kSetLineBytesMax + value_bytes);
  char* out = Put(start, "set ");
  bench_.keys.Write(key, out);
  out = Put(out + bench_.keys.key_bytes(), " 0 0 ");
  out = std::to_chars(out, out + 20, value_bytes).ptr;
  out = Put(out, "\r\n");
  bench_.values.Write(key, version_++, out, value_bytes);
  out = Put(out + value_bytes, "\r\n");
  socket_.requests().Commit(static_cast<std::size_t>(out - start));
}

void LoadConnection::WriteBinarySet(std::uint32_t key) {
  constexpr std::size_t kExtrasBytes = 8;
  const std::size_t key_bytes = bench_.keys.key_bytes();
  const std::size_t value_bytes = ValueBytesOf(key);
  char* const start = socket_.requests().Reserve(protocol::kPacketHeadBytes + kExtrasBytes +
                                                 key_bytes + value_bytes);
  char* out = PutHead(start, {.opcode = kBinarySet,
                              .extras_bytes = kExtrasBytes,
                              .key_bytes = key_bytes,
                              .value_bytes = value_bytes});
  std::memset(out, 0, kExtrasBytes);
  out += kExtrasBytes;
  bench_.keys.Write(key, out);
  out += key_bytes;
  bench_.values.Write(key, version_++, out, value_bytes);
  socket_.requests().Commit(static_cast<std::size_t>(out + value_bytes - start));
}

IoStatus LoadConnection::Receive(std::int64_t count_from_ns, Tally& tally) {
  const IoStatus status = socket_.Fill();
  if (status != IoStatus::kOk) return status;
  const std::int64_t now_ns = NowNs();
  ByteQueue& input = socket_.replies();
  while (!outstanding_.empty()) {
    const Reply reply =
        bench_.options.binary ? ReadBinaryReply(input.unread()) : ReadReply(input.unread());
    Outstanding& request = outstanding_.front();
    switch (reply.kind) {
      case ReplyKind::kNeedMore:
        return IoStatus::kOk;
      case ReplyKind::kValue:
        CountHit(reply, request, tally);
        if (reply.is_last) Finish(now_ns, count_from_ns, tally);
        break;
      case ReplyKind::kEnd:
        request.has_failed |= request.is_set;
        Finish(now_ns, count_from_ns, tally);
        break;
      case ReplyKind::kStored:
        request.has_failed |= !request.is_set;
        Finish(now_ns, count_from_ns, tally);
        break;
      case ReplyKind::kOther:
        request.has_failed = true;
        if (tally.first_error.empty()) tally.first_error = reply.line;
        Finish(now_ns, count_from_ns, tally);
        break;
    }
    input.Consume(reply.consumed_bytes);
  }
  // A reply that nobody asked for leaves no way to tell which replies belong to which requests.
  return input.empty() ? IoStatus::kOk : IoStatus::kClosed;
}

std::vector<std::uint32_t> LoadConnection::TakeMissed() { return std::exchange(missed_, {}); }

std::size_t LoadConnection::ValueBytesOf(std::uint32_t key) const {
  const LoadOptions& options = bench_.options;
  const std::size_t spread = options.value_bytes_max - options.value_bytes_min + 1;
  return spread == 1 ? options.value_bytes_min : options.value_bytes_min + Mix(key + 1) % spread;
}

// Hits come in the order of the keys asked for, so the keys before this one have missed.
void LoadConnection::CountHit(const Reply& reply, Outstanding& request, Tally& tally) {
  ++request.hits;
  if (request.hits > request.key_count) request.has_failed = true;
  if (!tracks_keys_) return;
  std::optional<std::uint64_t> key = bench_.keys.Read(reply.key);
  if (reply.key.empty() && request.keys_left > 0) key = keys_asked_.front();
  while (request.keys_left > 0 && key != keys_asked_.front()) DropKey(request);
  const bool is_asked_for = request.keys_left > 0;
  if (is_asked_for) {
    keys_asked_.pop_front();
    --request.keys_left;
  }
  if (!bench_.options.verify) return;
  const bool is_right = is_asked_for &&
                        reply.value.size() == ValueBytesOf(static_cast<std::uint32_t>(*key)) &&
                        bench_.values.Matches(*key, reply.value);
  if (!is_right) ++tally.wrong_values;
}

void LoadConnection::Finish(std::int64_t now_ns, std::int64_t count_from_ns, Tally& tally) {
  Outstanding& request = outstanding_.front();
  while (tracks_keys_ && request.keys_left > 0) DropKey(request);
  if (request.intended_ns >= count_from_ns) {
    ++tally.requests;
    tally.keys += request.key_count;
    if (request.is_set) ++tally.sets;
    if (request.has_failed) ++tally.errors;
    if (!request.is_set && !request.has_failed) {
      tally.hits += request.hits;
      tally.misses += request.key_count - request.hits;
    }
    tally.latency_ns.Record(static_cast<std::uint64_t>(now_ns - request.intended_ns));
  }
  outstanding_.pop_front();
  ++answered_;
}

void LoadConnection::DropKey(Outstanding& request) {
  assert(request.keys_left > 0);
  if (bench_.options.set_missed) missed_.push_back(keys_asked_.front());
  keys_asked_.pop_front();
  --request.keys_left;
}

}  // namespace larder::bench
