// The life of a batch, alike in all protocols.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

#include "protocol/meta_flags.h"
#include "protocol/reply.h"
#include "protocol/request.h"
#include "server/log.h"
#include "server/session/wire.h"
#include "server/session/workspace.h"

namespace larder::server {

// Replaces a key in base64 by what it stands for, which gets its place at `room`.
inline void DecodeKey(protocol::Request& request, char* room) {
  if (protocol::HasEncodedKey(request)) request.key = protocol::DecodeBase64(room, request.key);
}

// One line on standard error, as `-vv` asks.
[[gnu::noinline, gnu::cold]] inline void LogRequest(int client_number, std::string_view name,
                                                    std::string_view key) {
  Log("<{} {} {}\n", client_number, name, Printable(key));
}

// The same for an unauthenticated client. Nothing of its request: it may have a password in the
// wrong place.
inline void LogUnauthenticated(const Workspace& workspace, int client_number) {
  if (workspace.shared.verbosity.load(std::memory_order_relaxed) <= 1) return;
  Log("<{} (unauthenticated)\n", client_number);
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

// Wire::ServeBatch for a protocol that is
//
//   static ParseResult Parse(std::string_view input, KeyList& keys, Request& request) noexcept;
//   static std::string_view NameOf(const Request& request);
//
// and whose requests `executor` executes.
template <class Protocol, class ProtocolExecutor>
BatchResult ServeBatchOf(Workspace& workspace, ProtocolExecutor& executor, std::string_view& input,
                         protocol::KeyList& keys, const BatchLimits& limits) {
  using protocol::ParseStatus;
  Batch& batch = workspace.batch;
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
    protocol::Request& request = batch.requests[batch.count];
    const protocol::ParseResult parsed = Protocol::Parse(input, keys, request);
    input.remove_prefix(parsed.consumed_bytes);
    status = parsed.status;
    if (status != ParseStatus::kComplete) [[unlikely]] {
      if (status != ParseStatus::kNeedValue && status != ParseStatus::kEncodedKey) break;
      DecodeKey(request, batch.decoded_keys[batch.count].data());
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
  const bool is_logged = workspace.shared.verbosity.load(std::memory_order_relaxed) > 1;
  for (std::size_t i = 0; i < batch.count; ++i) {
    const protocol::Request& request = batch.requests[i];
    if (is_logged) [[unlikely]]
      LogRequest(limits.client_number, Protocol::NameOf(request), request.key);
    const Next then = executor.Execute(request, batch.hashes[i]);
    if (then != Next::kGoOn) [[unlikely]] {
      result.at = i;
      return LeaveBatch(batch, then, result, input, keys);
    }
    if (request.is_last_key) ++result.requests;
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

}  // namespace larder::server
