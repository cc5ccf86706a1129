// What each command of the text protocol means.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "protocol/login_parser.h"
#include "protocol/meta_flags.h"
#include "protocol/request.h"
#include "server/cluster.h"
#include "server/commands.h"
#include "server/reply/reply_stream.h"
#include "slab/cache.h"

namespace larder::server {

// What a connection does after a request.
enum class Next : std::uint8_t {
  kGoOn,
  kClose,   // After the replies so far were sent.
  kLogIn,   // Binary: the request is one for LogIn(), and is not answered yet.
  kStream,  // The same for BeginStream().
};

enum class LoginOutcome : std::uint8_t {
  kAdmitted,  // All requests are to be served from now on.
  kStranger,
  kClose,  // After the replies so far were sent.
};

// Executor turns text requests into cache operations and replies: one command, one place.
//
// Threads: one worker.
// Owns:    nothing; all that it refers to outlives it.
class Executor : private Commands {
 public:
  Executor(Shared& shared, slab::Lane& lane, WorkerCounters& counters, Output& output)
      : Commands(shared, lane, counters, output) {}

  using Commands::set_client;

  // Answers one request. `hash` is that of its key, if it has one.
  Next Execute(const protocol::Request& request, std::uint64_t hash);

  // Answers a client that has not authenticated yet.
  LoginOutcome LogIn(const protocol::LoginRequest& request);

  // A storage request whose value has not wholly come. Nothing, with the reply given, if it cannot
  // be stored: its value_bytes + 2 bytes are to be thrown away then.
  std::unique_ptr<Upload> BeginUpload(const protocol::Request& request, std::uint64_t hash);
  // Has all of the item reserved. False, with the reply given, if there is no memory: what has not
  // come is to be thrown away then.
  bool ReserveUpload(Upload& upload, UploadMemory::Share share);
  // All bytes of the value have come, and were followed by CRLF.
  void FinishUpload(Upload& upload);
  // They were followed by something else.
  void RejectUpload(const Upload& upload);

  // Begins a reply that is made piece by piece, and may wait for `wake`, which any thread may call.
  // Nothing, with the reply given, if there is nothing to follow.
  std::unique_ptr<ReplyStream> BeginStream(const protocol::Request& request,
                                           std::function<void()> wake);

 private:
  [[gnu::noinline]] Next ExecuteRarer(const protocol::Request& request, std::uint64_t hash);
  void Get(const protocol::Request& request, std::uint64_t hash);
  Next GetAndTouch(const protocol::Request& request, std::uint64_t hash);
  void FinishGet(const protocol::Request& request, slab::Presence presence, char* out);
  char* WriteHit(slab::Item& item, const protocol::Request& request, slab::ClassStat stat,
                 char* out);
  // What Get() does when the cache has no item: it counts the miss, or, under the one key that the
  // cache never has, gives the cluster. Returns where the reply goes on.
  [[gnu::noinline]] char* Miss(const protocol::Request& request, slab::Presence presence,
                               char* out);
  void Store(const protocol::Request& request, std::uint64_t hash);
  void Delete(const protocol::Request& request, std::uint64_t hash);
  void Touch(const protocol::Request& request, std::uint64_t hash);
  void Arithmetic(const protocol::Request& request, std::uint64_t hash);
  void FlushAll(const protocol::Request& request);
  void AnswerVersion();
  void Verbosity(const protocol::Request& request);
  void CacheMemlimit(const protocol::Request& request);
  Next Shutdown(const protocol::Request& request);
  void Config(const protocol::Request& request);
  std::string_view ConfigSet(const protocol::Request& request);

  std::unique_ptr<ReplyStream> BeginDump(const protocol::Request& request);
  std::unique_ptr<ReplyStream> BeginCachedump(const protocol::Request& request);
  void Explain(const protocol::Request& request, std::uint64_t hash);

  // The meta commands: see execute_meta.cc.
  struct ShownItem;
  void MetaGet(const protocol::Request& request, std::uint64_t hash);
  char* WriteMetaHit(slab::Item& item, const protocol::Request& request, slab::ClassStat stat,
                     char* out);
  void MetaGetMissed(const protocol::Request& request, std::uint64_t hash, slab::Presence presence);
  void AnswerCluster(const protocol::Request& request, const ClusterSnapshot& cluster);
  bool CreateEmpty(const protocol::Request& request, std::uint64_t hash);
  char* WriteHitFlags(char* out, slab::Item& item, const protocol::Request& request) const;
  char* WriteFlags(char* out, std::string_view arguments, protocol::MetaReplies reply,
                   ShownItem& shown) const;
  void AnswerOther(std::string_view code, const protocol::Request& request);
  void MetaSet(const protocol::Request& request, std::uint64_t hash);
  StorePlan PlanMetaStore(const protocol::Request& request, std::uint64_t hash) const;
  void AnswerMetaStore(const StorePlan& plan, const slab::StoreOutcome& outcome,
                       std::string_view arguments);
  void MetaDelete(const protocol::Request& request, std::uint64_t hash);
  std::string_view Invalidate(const protocol::Request& request, std::uint64_t hash);
  std::string_view Empty(const protocol::Request& request, std::uint64_t hash);
  void MetaArithmetic(const protocol::Request& request, std::uint64_t hash);
  bool CreateNumber(const protocol::Request& request, std::uint64_t hash);
  void AnswerNumber(const protocol::Request& request, std::uint64_t number, ShownItem& shown);
  void MetaDebug(const protocol::Request& request, std::uint64_t hash);
  // The CAS that a C flag names; one that fits no item while CAS is off.
  std::optional<std::uint64_t> NamedCas(std::string_view arguments) const;
  // The CAS that an E flag gives; nothing while CAS is off.
  std::optional<std::uint64_t> ChosenCas(std::string_view arguments) const;
  std::uint64_t ShownCas(std::uint64_t cas) const { return shared_.config.use_cas ? cas : 0; }

  slab::ItemSpec SpecOf(const protocol::Request& request, std::uint64_t hash) const;
  StorePlan PlanStore(const protocol::Request& request, std::uint64_t hash) const;
  void RefuseUpload(const Upload& upload, slab::StoreStatus why);
  // A negative exptime is long past.
  slab::Expiry SignedExpiresAt(std::int32_t exptime) const {
    return exptime < 0 ? LongPast() : ExpiresAt(static_cast<std::uint32_t>(exptime));
  }
  void CountAndAnswerStore(slab::StoreMode mode, const slab::StoreOutcome& outcome, bool noreply);
  void Answer(std::string_view reply, bool noreply) {
    if (!noreply) output_.Append(reply);
  }
};

}  // namespace larder::server
