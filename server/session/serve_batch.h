// How a batch is parsed and executed, the same for all protocols.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "protocol/parse_result.h"
#include "protocol/text/line_request.h"
#include "protocol/text/text_reply.h"
#include "server/log.h"
#include "server/session/wire.h"
#include "server/session/workspace.h"
#include "slab/check.h"

namespace larder::server {

// Which parts of the server besides the counters have to see each request. It is determined once
// for a batch, so that requests that nothing watches cost nothing.
//
// Threads: a value.
struct Watchers {
  // Each request is logged in one line on standard error, because of `-vv`.
  bool is_logged = false;
  // Each outcome is shown to observers; see OutcomeObservers.
  bool is_shown = false;
  // Identifies the client in log lines.
  int client_number = 0;
  // The request that is counted by its prefix, and what had been missed before it; see
  // Commands::DrawPrefixSample.
  std::size_t sampled = 0;
  std::uint64_t missed_before = 0;

  // Whether any request of a batch of so many has to be seen.
  bool any(std::size_t count) const { return is_logged || is_shown || sampled < count; }
};

// Logs one line for a request. Kept out of the loop over a batch, since it is rarely called.
[[gnu::noinline, gnu::cold]] inline void LogRequest(int client_number, std::string_view name,
                                                    std::string_view key) {
  Log(LogLevel::kDebug, "<{} {} {}", client_number, name, Printable(key));
}

// Shows a request, the one with the index `at`, to the parts that have asked for it: before it is
// executed, and afterwards.
template <class Requests, class RequestExecutor>
[[gnu::noinline, gnu::cold]] void ShowBefore(Watchers& watchers, RequestExecutor& executor,
                                             Batch& batch, std::size_t at) {
  const auto& request = Requests::In(batch)[at];
  if (watchers.is_logged) {
    LogRequest(watchers.client_number, Requests::NameOf(request), request.key);
  }
  if (watchers.is_shown) executor.ShowBefore(request, batch.hashes[at]);
  if (at == watchers.sampled) watchers.missed_before = executor.missed_reads();
}
template <class Requests, class RequestExecutor>
[[gnu::noinline, gnu::cold]] void ShowAfter(const Watchers& watchers, RequestExecutor& executor,
                                            Batch& batch, std::size_t at) {
  const auto& request = Requests::In(batch)[at];
  if (at == watchers.sampled && RequestExecutor::IsRetrieval(request)) {
    executor.CountPrefixRead(request.key, watchers.missed_before, batch.count);
  }
  if (watchers.is_shown) executor.Show(request);
}

// Logs one line for a request of an unauthenticated client, as far as `-vv` asks for it. Nothing of
// the request is printed: a password may be in the wrong place.
inline void LogUnauthenticated(const Workspace& workspace, int client_number) {
  if (workspace.shared.verbosity.load(std::memory_order_relaxed) <= 1) return;
  Log(LogLevel::kDebug, "<{} (unauthenticated)", client_number);
}

// Ends a batch after its request `at`. The requests parsed behind it must not be served, or not
// now: the input and the parser's state are set back to where the request ended. `then` says why.
[[gnu::cold, gnu::noinline]] inline BatchResult LeaveBatch(const Batch& batch, Next then,
                                                           BatchResult result,
                                                           std::string_view& input,
                                                           protocol::KeyList& keys) {
  LARDER_ASSERT(result.at < batch.count);
  const char* const rest = batch.ends[result.at];
  LARDER_ASSERT(rest <= input.data() + input.size());
  input = {rest, static_cast<std::size_t>(input.data() + input.size() - rest)};
  keys = batch.key_lists[result.at];
  result.swallow_bytes = 0;
  switch (then) {
    case Next::kLogIn:
      result.end = BatchEnd::kLogIn;
      break;
    case Next::kStream:
      result.end = BatchEnd::kStream;
      break;
    // The request was answered like any other, but the turn has made enough work.
    case Next::kGoOn:
      result.end = BatchEnd::kWorkDone;
      break;
    case Next::kClose:
      result.end = BatchEnd::kClose;
      break;
    case Next::kStop:
      result.end = BatchEnd::kStop;
      break;
    case Next::kFail:
      result.end = BatchEnd::kFail;
      break;
  }
  return result;
}

// What a batch that was executed to its end leaves to do: `status` is what ended its parsing.
inline BatchEnd EndOf(protocol::ParseStatus status, Output& output) {
  using protocol::ParseStatus;
  switch (status) {
    case ParseStatus::kComplete:
    case ParseStatus::kEncodedKey:
      break;
    case ParseStatus::kNeedMore:
      return BatchEnd::kNeedMore;
    case ParseStatus::kNeedValue:
      return BatchEnd::kNeedValue;
    case ParseStatus::kLineTooLong:
      output.Append(protocol::kLineTooLong);
      return BatchEnd::kFail;
    case ParseStatus::kFatal:
      return BatchEnd::kFail;
  }
  return BatchEnd::kFull;
}

// What ParseBatch() found.
//
// Threads: a value.
struct ParsedBatch {
  // How many requests are complete.
  std::size_t count = 0;
  // Of the last request that was parsed.
  protocol::ParseStatus status = protocol::ParseStatus::kComplete;
  // How many bytes of the input belong to the last request, which was refused; see BatchResult.
  std::uint64_t swallow_bytes = 0;
};

// The first pass over a batch: parses up to `count_max` requests, and starts to load the memory of
// their keys. It ends at the first request that is not complete. `Requests` is as for
// ServeBatchOf().
template <class Requests, class Cache>
[[gnu::always_inline]] inline ParsedBatch ParseBatch(Batch& batch, const Cache& cache,
                                                     std::string_view& input,
                                                     protocol::KeyList& keys,
                                                     std::size_t count_max) {
  using protocol::ParseStatus;
  auto& requests = Requests::In(batch);
  ParsedBatch found;
  // In a register while the batch grows.
  std::size_t count = 0;
  while (count < count_max) {
    if (input.empty()) {
      found.status = ParseStatus::kNeedMore;
      break;
    }
    typename Requests::Request& request = requests[count];
    const protocol::ParseResult parsed = Requests::Parse(input, keys, request);
    LARDER_ASSERT(parsed.consumed_bytes <= input.size());
    input.remove_prefix(parsed.consumed_bytes);
    found.status = parsed.status;
    // The rare cases: a key in base64, an incomplete request, an error that ends the connection.
    if (parsed.status != ParseStatus::kComplete) [[unlikely]] {
      if (parsed.status != ParseStatus::kNeedValue && parsed.status != ParseStatus::kEncodedKey) {
        break;
      }
      Requests::DecodeKey(request, batch.decoded_keys[count].data());
      if (parsed.status == ParseStatus::kEncodedKey) found.status = ParseStatus::kComplete;
    }
    // Few commands have no key; the hash of an empty key does no harm.
    const std::uint64_t hash = cache.Hash(request.key);
    batch.hashes[count] = hash;
    cache.PrefetchBucket(hash);
    // The request is stored behind the batch but not counted in it: an upload begins with it.
    if (found.status == ParseStatus::kNeedValue) break;
    batch.ends[count] = input.data();
    batch.key_lists[count] = keys;
    ++count;
    // The rest of a refused request follows and is to be thrown away: parsing cannot continue here.
    if (request.swallow_bytes != 0) {
      found.swallow_bytes = request.swallow_bytes;
      break;
    }
  }
  found.count = count;
  return found;
}

// Has the executor note those reads of the batch whose keys are sampled. Not inlined, because few
// batches have one.
template <class Requests, class RequestExecutor>
[[gnu::noinline, gnu::cold]] void NoteReads(Batch& batch, RequestExecutor& executor) {
  const auto& requests = Requests::In(batch);
  for (std::size_t i = 0; i < batch.count; ++i) {
    const std::uint64_t hash = batch.hashes[i];
    if (!executor.cache().IsSampled(hash) || !RequestExecutor::IsRead(requests[i])) continue;
    executor.NoteRead(hash);
  }
}

// Implements Wire::ServeBatch for one protocol. `Requests` describes its requests:
//
//   using Request = ...;
//   // The array of the batch that these requests are stored in.
//   static std::array<Request, kBatchRequests>& In(Batch& batch);
//   static ParseResult Parse(std::string_view input, KeyList& keys, Request& request) noexcept;
//   // Replaces a key in base64 by its decoded form, which is written to `room`.
//   static void DecodeKey(Request& request, char* room);
//   // Whether it counts as a request of its own; false for all keys of a line but the last.
//   static bool EndsRequest(const Request& request);
//   // The command word, for the log.
//   static std::string_view NameOf(const Request& request);
//
// and `executor` executes them: Execute(), BeginShow(), ShowBefore() and Show(), in its cache().
// Its IsRead() says which requests read an item and do nothing else; some of them it is told to
// NoteRead().
//
// A batch is served in two passes. The first parses up to kBatchRequests requests and starts to
// load the memory of their keys; the second executes them in order, each finding its memory loaded.
// The second pass is in this function, so that the compiler makes Execute() a part of its loop.
template <class Requests, class RequestExecutor>
BatchResult ServeBatchOf(Workspace& workspace, RequestExecutor& executor, std::string_view& input,
                         protocol::KeyList& keys, const BatchLimits& limits) {
  Batch& batch = workspace.batch;
  LARDER_ASSERT(limits.requests_max > 0);
  const auto& cache = executor.cache();
  const std::size_t batch_max = std::min<std::size_t>(kBatchRequests, limits.requests_max);
  const std::size_t work_bytes_max = limits.work_bytes_max;
  const ParsedBatch parsed = ParseBatch<Requests>(batch, cache, input, keys, batch_max);
  const std::size_t count = parsed.count;
  auto& requests = Requests::In(batch);
  BatchResult result;
  result.swallow_bytes = parsed.swallow_bytes;

  batch.count = count;
  result.units = count;
  // A single request would be executed before the memory has arrived.
  std::uint64_t lowest = batch.hashes[0];
  if (count > 1) lowest = cache.PrefetchItems(std::span(batch.hashes).first(count));
  // Sampled keys have low hashes. One look at the batch costs less than one at each request. A read
  // of what the same batch stores is not noted, and one that the turn ends before is noted twice.
  // Neither changes a miss ratio: noted or not, such reads are hits at every size.
  if (cache.IsSampled(lowest)) [[unlikely]]
    NoteReads<Requests>(batch, executor);
  Watchers watchers{.is_logged = workspace.shared.verbosity.load(std::memory_order_relaxed) > 1,
                    .is_shown = executor.BeginShow(),
                    .client_number = limits.client_number,
                    .sampled = executor.DrawPrefixSample(count)};
  const bool is_watched = watchers.any(count);
  // The second pass: execute in order.
  for (std::size_t i = 0; i < count; ++i) {
    const typename Requests::Request& request = requests[i];
    // There is one call of Execute(), so that the compiler makes it a part of this loop.
    if (is_watched) [[unlikely]]
      ShowBefore<Requests>(watchers, executor, batch, i);
    const Next then = executor.Execute(request, batch.hashes[i]);
    if (is_watched) [[unlikely]]
      ShowAfter<Requests>(watchers, executor, batch, i);
    if (then != Next::kGoOn) [[unlikely]] {
      result.at = i;
      return LeaveBatch(batch, then, result, input, keys);
    }
    if (Requests::EndsRequest(request)) ++result.requests;
    if (workspace.output.work_bytes() > work_bytes_max && i + 1 < count) [[unlikely]] {
      // The turn is over. The rest of the batch is parsed again in the next turn, because the input
      // may have moved by then.
      result.at = i;
      return LeaveBatch(batch, then, result, input, keys);
    }
  }

  // All requests of the batch are executed: what ended the first pass decides what comes next.
  result.at = count;
  result.end = EndOf(parsed.status, workspace.output);
  return result;
}

// Implements Wire::BeginUpload for one protocol. The value is followed by `end_bytes` bytes on the
// wire, which are thrown away together with the value if the upload is refused.
template <class Requests, class RequestExecutor>
UploadBegin BeginUploadOf(Workspace& workspace, RequestExecutor& executor, std::size_t at,
                          std::size_t end_bytes) {
  // The request is stored behind those of the batch.
  LARDER_ASSERT(at == workspace.batch.count && at < kBatchRequests);
  const typename Requests::Request& request = Requests::In(workspace.batch)[at];
  auto upload = executor.BeginUpload(request, workspace.batch.hashes[at]);
  if (upload != nullptr) return {.upload = std::move(upload)};
  return {.swallow_bytes = std::uint64_t{request.value_bytes} + end_bytes};
}

}  // namespace larder::server
