// What each command means.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "protocol/request.h"
#include "server/counters.h"
#include "server/output.h"
#include "server/shared.h"
#include "slab/cache.h"

namespace larder::server {

// What a connection does after a request.
enum class Next : std::uint8_t {
  kGoOn,
  kClose,  // After the replies so far were sent.
};

// A value on its way from the socket into the cache.
struct Upload {
  slab::ReservedItem item;
  slab::ValueCursor at;          // The first byte that has not come yet.
  std::uint32_t left_bytes = 0;  // Of the value; its CRLF comes on top.
  std::uint64_t cas_unique = 0;
  slab::StoreMode mode = slab::StoreMode::kSet;
  bool noreply = false;
};

// Executor turns requests into cache operations and replies: one command, one place.
//
// Threads: one worker.
// Owns:    nothing; all that it refers to outlives it.
class Executor {
 public:
  Executor(Shared& shared, slab::Lane& lane, WorkerCounters& counters, Output& output)
      : shared_(shared), cache_(shared.cache), lane_(lane), counters_(counters), output_(output) {}

  // Answers one request. `hash` is that of its key, if it has one.
  Next Execute(const protocol::Request& request, std::uint64_t hash);

  // A storage request whose value has not wholly come: makes room for it. Nothing, with the reply
  // given, if it cannot be stored: its value_bytes + 2 bytes are to be thrown away then.
  std::unique_ptr<Upload> BeginUpload(const protocol::Request& request, std::uint64_t hash);
  // All bytes of the value are in place, and were followed by CRLF.
  void FinishUpload(Upload upload);
  // They were followed by something else.
  void RejectUpload(const Upload& upload);

 private:
  void Get(const protocol::Request& request, std::uint64_t hash);
  char* PinOrCopy(slab::Item& item, std::uint32_t value_bytes, char* out);
  void Store(const protocol::Request& request, std::uint64_t hash);
  void Delete(const protocol::Request& request, std::uint64_t hash);
  void Touch(const protocol::Request& request, std::uint64_t hash);
  void Arithmetic(const protocol::Request& request, std::uint64_t hash);
  void FlushAll(const protocol::Request& request);
  void Verbosity(const protocol::Request& request);
  void CacheMemlimit(const protocol::Request& request);
  Next Shutdown(const protocol::Request& request);

  slab::ItemSpec SpecOf(const protocol::Request& request, std::uint64_t hash) const;
  // An exptime as sent, as Unix time; 0: never.
  std::uint32_t ExpiresAt(std::int32_t exptime) const;
  void CountMiss(slab::Presence presence, Stat misses);
  void CountStore(slab::StoreMode mode, slab::StoreStatus status, slab::ClassId class_id);
  void AnswerStore(slab::StoreStatus status, bool noreply);
  void Answer(std::string_view reply, bool noreply) {
    if (!noreply) output_.Append(reply);
  }
  bool is_detail_on() const { return shared_.detail_enabled.load(std::memory_order_relaxed); }

  Shared& shared_;
  slab::Cache& cache_;
  slab::Lane& lane_;
  WorkerCounters& counters_;
  Output& output_;
};

}  // namespace larder::server
