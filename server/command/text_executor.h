// What each command of the text protocol means.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "protocol/text/line_request.h"
#include "protocol/text/login_parser.h"
#include "server/cluster.h"
#include "server/command/commands.h"
#include "server/command/meta_executor.h"
#include "server/command/next.h"
#include "server/reply/reply_stream.h"
#include "slab/cache.h"

namespace larder::server {

// TextExecutor turns requests of the text protocol into commands, and their outcomes into replies.
// Those of the meta protocol, which come by the same lines, it hands on.
//
// Threads: one worker.
// Owns:    the executor of meta requests; all that it refers to outlives it.
class TextExecutor : private Commands {
 public:
  TextExecutor(Shared& shared, slab::Lane& lane, WorkerCounters& counters, Output& output)
      : Commands(Protocol::kText, shared, lane, counters, output),
        meta_(shared, lane, counters, output) {}

  using Commands::BeginShow;
  using Commands::set_client;
  using Commands::Show;

  // Answers one request. `hash` is that of its key, if it has one.
  Next Execute(const protocol::LineRequest& request, std::uint64_t hash);

  // Answers a client that has not authenticated yet.
  LoginOutcome LogIn(const protocol::LoginRequest& request);

  // A storage request whose value has not wholly come. Nothing, with the reply given, if it cannot
  // be stored: its value_bytes + 2 bytes are to be thrown away then.
  std::unique_ptr<Upload> BeginUpload(const protocol::LineRequest& request, std::uint64_t hash);
  // Has all of the item reserved. False, with the reply given, if there is no memory: what has not
  // come is to be thrown away then.
  bool ReserveUpload(Upload& upload, UploadMemory::Share share);
  // All bytes of the value have come, and were followed by CRLF.
  void FinishUpload(Upload& upload);
  // They were followed by something else.
  void RejectUpload(const Upload& upload);

  // Begins a reply that is made piece by piece, and may wait for `wake`, which any thread may call.
  // Nothing, with the reply given, if there is nothing to follow.
  std::unique_ptr<ReplyStream> BeginStream(const protocol::LineRequest& request,
                                           std::function<void()> wake);

 private:
  [[gnu::noinline]] Next ExecuteRarer(const protocol::LineRequest& request, std::uint64_t hash);
  void Get(const protocol::LineRequest& request, std::uint64_t hash);
  Next GetAndTouch(const protocol::LineRequest& request, std::uint64_t hash);
  char* WriteHit(slab::Item& item, std::uint32_t value_bytes, const protocol::LineRequest& request,
                 char* out);
  // What is answered where the cache has no item: nothing, or the cluster. Returns where the reply
  // goes on.
  [[gnu::noinline]] char* Miss(const protocol::LineRequest& request, Operation operation,
                               slab::Presence presence, char* out);
  void EndGet(const protocol::LineRequest& request, char* out);
  void Store(const protocol::LineRequest& request, std::uint64_t hash);
  void Delete(const protocol::LineRequest& request, std::uint64_t hash);
  void Touch(const protocol::LineRequest& request, std::uint64_t hash);
  void Arithmetic(const protocol::LineRequest& request, std::uint64_t hash);
  void FlushAll(const protocol::LineRequest& request);
  void AnswerVersion();
  void Verbosity(const protocol::LineRequest& request);
  void CacheMemlimit(const protocol::LineRequest& request);
  Next Shutdown(const protocol::LineRequest& request);
  void Config(const protocol::LineRequest& request);
  std::string_view ConfigSet(const protocol::LineRequest& request);

  std::unique_ptr<ReplyStream> BeginDump(const protocol::LineRequest& request);
  std::unique_ptr<ReplyStream> BeginCachedump(const protocol::LineRequest& request);

  slab::ItemSpec SpecOf(const protocol::LineRequest& request, std::uint64_t hash) const;
  StorePlan PlanStore(const protocol::LineRequest& request, std::uint64_t hash) const;
  void AnswerStore(slab::StoreStatus status, bool noreply);
  [[gnu::noinline]] void AnswerRefusedStore(slab::StoreStatus status, bool noreply);
  void Answer(std::string_view reply, bool noreply) {
    if (!noreply) output_.Append(reply);
  }

  MetaExecutor meta_;
};

}  // namespace larder::server
