// The life of a batch, alike in all protocols.
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

namespace larder::server {

// Who wants to know of each request: asked once a batch.
struct Watchers {
  bool is_logged = false;  // One line per request on standard error, as `-vv` asks.
  bool is_shown = false;   // See OutcomeObservers.

  bool any() const { return is_logged || is_shown; }
};

[[gnu::noinline, gnu::cold]] inline void LogRequest(int client_number, std::string_view name,
                                                    std::string_view key) {
  Log(LogLevel::kDebug, "<{} {} {}", client_number, name, Printable(key));
}

// Of an unauthenticated client, nothing of its request is logged: it may have a password in the
// wrong place.
inline void LogUnauthenticated(const Workspace& workspace, int client_number) {
  if (workspace.shared.verbosity.load(std::memory_order_relaxed) <= 1) return;
  Log(LogLevel::kDebug, "<{} (unauthenticated)", client_number);
}

// Ends a batch after its request `at`: what was parsed behind it may not be served any more, or not
// now.
[[gnu::cold, gnu::noinline]] inline BatchResult LeaveBatch(const Batch& batch, Next then,
                                                           BatchResult result,
                                                           std::string_view& input,
                                                           protocol::KeyList& keys) {
  input = batch.rests[result.at];
  keys = batch.key_lists[result.at];
  result.swallow_bytes = 0;
  switch (then) {
    case Next::kLogIn:
      result.end = BatchEnd::kLogIn;
      break;
    case Next::kStream:
      result.end = BatchEnd::kStream;
      break;
    case Next::kGoOn:
      result.end = BatchEnd::kWorkDone;
      break;
    case Next::kClose:
      result.end = BatchEnd::kClose;
      break;
  }
  return result;
}

// Wire::ServeBatch for requests of a type that is described by
//
//   using Request = ...;
//   static std::array<Request, kBatchRequests>& In(Batch& batch);
//   static ParseResult Parse(std::string_view input, KeyList& keys, Request& request) noexcept;
//   // Replaces a key in base64 by what it stands for, which gets its place at `room`.
//   static void DecodeKey(Request& request, char* room);
//   // It counts as a request; others are parts of one.
//   static bool EndsRequest(const Request& request);
//   static std::string_view NameOf(const Request& request);
//
// and which `executor` executes.
template <class Requests, class RequestExecutor>
BatchResult ServeBatchOf(Workspace& workspace, RequestExecutor& executor, std::string_view& input,
                         protocol::KeyList& keys, const BatchLimits& limits) {
  using protocol::ParseStatus;
  Batch& batch = workspace.batch;
  auto& requests = Requests::In(batch);
  slab::Cache& cache = workspace.shared.cache;
  BatchResult result;
  batch.count = 0;
  ParseStatus status = ParseStatus::kComplete;
  const std::size_t batch_max = std::min<std::size_t>(kBatchRequests, limits.requests_max);
  const std::size_t work_bytes_max = limits.work_bytes_max;
  while (batch.count < batch_max) {
    if (input.empty()) {
      status = ParseStatus::kNeedMore;
      break;
    }
    typename Requests::Request& request = requests[batch.count];
    const protocol::ParseResult parsed = Requests::Parse(input, keys, request);
    input.remove_prefix(parsed.consumed_bytes);
    status = parsed.status;
    if (status != ParseStatus::kComplete) [[unlikely]] {
      if (status != ParseStatus::kNeedValue && status != ParseStatus::kEncodedKey) break;
      Requests::DecodeKey(request, batch.decoded_keys[batch.count].data());
      if (status == ParseStatus::kEncodedKey) status = ParseStatus::kComplete;
    }
    // Commands without a key are few: the hash of nothing does no harm.
    batch.hashes[batch.count] = cache.Hash(request.key);
    cache.PrefetchBucket(batch.hashes[batch.count]);
    if (status == ParseStatus::kNeedValue) break;  // Stands behind the batch, not in it.
    batch.rests[batch.count] = input;
    batch.key_lists[batch.count] = keys;
    ++batch.count;
    if (request.swallow_bytes != 0) {
      result.swallow_bytes = request.swallow_bytes;
      break;
    }
  }

  result.units = batch.count;
  if (batch.count > 1) {
    cache.PrefetchItems(std::span(batch.hashes).first(batch.count));
  }
  const Watchers watchers{
      .is_logged = workspace.shared.verbosity.load(std::memory_order_relaxed) > 1,
      .is_shown = executor.BeginShow()};
  const bool is_watched = watchers.any();
  for (std::size_t i = 0; i < batch.count; ++i) {
    const typename Requests::Request& request = requests[i];
    // One call of Execute(): so the compiler makes it a part of this loop.
    if (is_watched && watchers.is_logged) [[unlikely]]
      LogRequest(limits.client_number, Requests::NameOf(request), request.key);
    const Next then = executor.Execute(request, batch.hashes[i]);
    if (is_watched && watchers.is_shown) [[unlikely]]
      executor.Show(request.key);
    if (then != Next::kGoOn) [[unlikely]] {
      result.at = i;
      return LeaveBatch(batch, then, result, input, keys);
    }
    if (Requests::EndsRequest(request)) ++result.requests;
    if (workspace.output.work_bytes() > work_bytes_max && i + 1 < batch.count) [[unlikely]] {
      // The rest of the batch is parsed again in the next turn.
      result.at = i;
      return LeaveBatch(batch, then, result, input, keys);
    }
  }

  result.at = batch.count;
  switch (status) {
    case ParseStatus::kComplete:
    case ParseStatus::kEncodedKey:
      break;
    case ParseStatus::kNeedMore:
      result.end = BatchEnd::kNeedMore;
      break;
    case ParseStatus::kNeedValue:
      result.end = BatchEnd::kNeedValue;
      break;
    case ParseStatus::kLineTooLong:
      workspace.output.Append(protocol::kLineTooLong);
      [[fallthrough]];
    case ParseStatus::kFatal:
      result.end = BatchEnd::kClose;
      break;
  }
  return result;
}

// Wire::BeginUpload, likewise. `end_bytes` follow the value.
template <class Requests, class RequestExecutor>
UploadBegin BeginUploadOf(Workspace& workspace, RequestExecutor& executor, std::size_t at,
                          std::size_t end_bytes) {
  const typename Requests::Request& request = Requests::In(workspace.batch)[at];
  auto upload = executor.BeginUpload(request, workspace.batch.hashes[at]);
  if (upload != nullptr) return {.upload = std::move(upload)};
  return {.swallow_bytes = std::uint64_t{request.value_bytes} + end_bytes};
}

}  // namespace larder::server
