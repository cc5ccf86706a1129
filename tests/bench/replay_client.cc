#include "tests/bench/replay_client.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "tests/bench/clock.h"

namespace larder::bench {
namespace {

// A server that sends nothing for so long is taken for hung.
constexpr int kStallMs = 10'000;

}  // namespace

ReplayClient::ReplayClient(UniqueFd fd, const KeyFormat& keys, const ValuePattern& values,
                           const Shape& shape)
    : keys_(keys), values_(values), shape_(shape), socket_(std::move(fd)) {}

std::string ReplayClient::Replay(std::span<const TraceRecord> records) {
  const std::int64_t started_ns = NowNs();
  next_index_ = 0;
  while (next_index_ < records.size() || !window_.empty() || !missed_.empty()) {
    for (const TraceRecord& record : missed_) QueueSet(record);
    missed_.clear();
    Admit(records);
    ChooseKeys();
    QueueGet();
    if (std::string trouble = Exchange(); !trouble.empty()) return trouble;
  }
  tally_.elapsed_ns += NowNs() - started_ns;
  return {};
}

// The window reaches from the oldest request that waits to `window` requests further.
void ReplayClient::Admit(std::span<const TraceRecord> records) {
  const std::size_t oldest = window_.empty() ? next_index_ : window_.front().index;
  const std::size_t end = std::min(records.size(), oldest + shape_.window);
  for (; next_index_ < end; ++next_index_) {
    window_.push_back({.index = next_index_, .record = records[next_index_]});
  }
}

// Moves the first request for each key from the window to asked_.
void ReplayClient::ChooseKeys() {
  asked_.clear();
  asked_next_ = 0;
  std::size_t bytes = 0;
  auto waiting = window_.begin();
  for (const Pending& pending : window_) {
    const bool is_full =
        !asked_.empty() && bytes + pending.record.value_bytes > shape_.turn_bytes_max;
    if (is_full || IsAsked(pending.record.key)) {
      *waiting++ = pending;
    } else {
      bytes += pending.record.value_bytes;
      asked_.push_back(pending.record);
    }
  }
  window_.erase(waiting, window_.end());
}

// A window is so short that looking through it beats any index.
bool ReplayClient::IsAsked(std::uint64_t key) const {
  return std::ranges::any_of(asked_, [key](const TraceRecord& asked) { return asked.key == key; });
}

void ReplayClient::QueueSet(const TraceRecord& record) {
  constexpr std::size_t kSetLineBytesMax = KeyFormat::kKeyBytesMax + 40;
  char* const start = socket_.requests().Reserve(kSetLineBytesMax + record.value_bytes);
  std::memcpy(start, "set ", 4);
  keys_.Write(record.key, start + 4);
  char* out = start + 4 + keys_.key_bytes();
  std::memcpy(out, " 0 0 ", 5);
  out = std::to_chars(out + 5, out + 25, record.value_bytes).ptr;
  std::memcpy(out, "\r\n", 2);
  values_.Write(record.key, version_++, out + 2, record.value_bytes);
  out += 2 + record.value_bytes;
  std::memcpy(out, "\r\n", 2);
  socket_.requests().Commit(static_cast<std::size_t>(out + 2 - start));
  ++sets_unanswered_;
}

void ReplayClient::QueueGet() {
  if (asked_.empty()) return;
  const std::size_t key_bytes = keys_.key_bytes();
  char* const start = socket_.requests().Reserve(5 + asked_.size() * (key_bytes + 1));
  std::memcpy(start, "get", 3);
  char* out = start + 3;
  for (const TraceRecord& record : asked_) {
    *out++ = ' ';
    keys_.Write(record.key, out);
    out += key_bytes;
  }
  std::memcpy(out, "\r\n", 2);
  socket_.requests().Commit(static_cast<std::size_t>(out + 2 - start));
  get_unanswered_ = true;
}

// Sends the turn's requests and receives until all are answered. Both at once: a server that
// cannot send its replies may stop reading requests.
std::string ReplayClient::Exchange() {
  while (sets_unanswered_ != 0 || get_unanswered_) {
    if (socket_.Flush() != IoStatus::kOk) return "the server closed the connection";
    const short interest = socket_.wants_to_send() ? POLLIN | POLLOUT : POLLIN;
    pollfd waiting{.fd = socket_.fd(), .events = interest, .revents = 0};
    if (poll(&waiting, 1, kStallMs) == 0) return "the server has been silent for 10 seconds";
    if ((waiting.revents & ~POLLOUT) == 0) continue;
    if (socket_.Fill() != IoStatus::kOk) return "the server closed the connection";
    if (std::string trouble = TakeReplies(); !trouble.empty()) return trouble;
  }
  return {};
}

std::string ReplayClient::TakeReplies() {
  ByteQueue& input = socket_.replies();
  while (!input.empty()) {
    const Reply reply = ReadReply(input.unread());
    if (reply.kind == ReplyKind::kNeedMore) return {};
    if (sets_unanswered_ != 0) {
      if (reply.kind == ReplyKind::kValue || reply.kind == ReplyKind::kEnd) {
        return "the server answered a set with a value";
      }
      --sets_unanswered_;
      if (reply.kind != ReplyKind::kStored) {
        ++tally_.refused_sets;
        if (tally_.first_refusal.empty()) tally_.first_refusal = reply.line;
      }
    } else if (get_unanswered_ && reply.kind == ReplyKind::kValue) {
      TakeHit(reply);
    } else if (get_unanswered_ && reply.kind == ReplyKind::kEnd) {
      get_unanswered_ = false;
      missed_.insert(missed_.end(), asked_.begin() + static_cast<std::ptrdiff_t>(asked_next_),
                     asked_.end());
      tally_.requests += asked_.size();
      tally_.misses += missed_.size();
    } else {
      return fmt::format("the server answered '{}'", reply.line);
    }
    input.Consume(reply.consumed_bytes);
  }
  return {};
}

// Hits come in the order of the keys, so those before this one have missed. A key's size may
// change along the trace, and a hit may still have the old one; its bytes tell whether they are
// this key's.
void ReplayClient::TakeHit(const Reply& reply) {
  ++tally_.hits;
  const std::optional<std::uint64_t> key = keys_.Read(reply.key);
  while (asked_next_ < asked_.size() && key != asked_[asked_next_].key) {
    missed_.push_back(asked_[asked_next_++]);
  }
  if (asked_next_ == asked_.size()) {
    ++tally_.wrong_values;
    return;
  }
  ++asked_next_;
  if (!values_.Matches(*key, reply.value)) ++tally_.wrong_values;
}

}  // namespace larder::bench
