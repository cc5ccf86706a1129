// The commands of the text protocol.
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

// TextExecutor executes the requests of the text protocol: it turns lines into commands and their
// outcomes into replies. Requests of the meta protocol arrive in lines as well and are passed on to
// a MetaExecutor.
//
// Threads: one worker.
// Owns:    the executor of meta requests. What its constructor takes must outlive it.
class TextExecutor : private Commands {
 public:
  // `lane` and `counters` are those of the worker; replies are appended to `output`.
  TextExecutor(Shared& shared, slab::Lane& lane, WorkerCounters& counters, Output& output)
      : Commands(Protocol::kText, shared, lane, counters, output),
        meta_(shared, lane, counters, output) {}

  using Commands::cache;
  using Commands::CountPrefixRead;
  using Commands::DrawPrefixSample;
  using Commands::missed_reads;
  using Commands::NoteRead;

  // See Commands.
  void set_client(const ClientIdentity& client) {
    Commands::set_client(client);
    meta_.set_client(client);
  }

  // Executes one request, or one key of a retrieval, and replies. `hash` is that of its key, if it
  // has one. See Next for the requests that are not answered here.
  Next Execute(const protocol::LineRequest& request, std::uint64_t hash);
  // Whether a request retrieves the item of its key, and whether it does nothing else.
  static bool IsRetrieval(const protocol::LineRequest& request) noexcept;
  static bool IsRead(const protocol::LineRequest& request) noexcept;
  // See OutcomeObservers. The meta commands have observers of their own.
  bool BeginShow() {
    const bool is_shown = Commands::BeginShow();
    if (is_shown || meta_.is_shown()) [[unlikely]]
      (void)meta_.BeginShow();
    return is_shown;
  }
  void ShowBefore(const protocol::LineRequest& request, std::uint64_t hash);
  void Show(const protocol::LineRequest& request);

  // Answers a request of a client that has not authenticated.
  LoginOutcome LogIn(const protocol::LoginRequest& request);

  // Begins a store whose value has not completely arrived. Returns null if it can never be stored;
  // the error was replied, and the value is to be thrown away, with its CRLF: value_bytes + 2
  // bytes.
  std::unique_ptr<Upload> BeginUpload(const protocol::LineRequest& request, std::uint64_t hash);
  // Reserves the whole item and passes it and `share` to the upload. Returns false if there is no
  // memory; the error was replied, and the rest of the value is to be thrown away.
  bool ReserveUpload(Upload& upload, UploadMemory::Share share);
  // Stores the value and replies. REQUIRES: all its bytes have arrived and were followed by CRLF.
  void FinishUpload(Upload& upload);
  // Replies to a value that was followed by other bytes than CRLF. Nothing is stored.
  void RejectUpload(const Upload& upload);

  // Begins the reply to a request that Execute() answered with kStream: statistics, or a list of
  // keys. The stream may have to wait for its content, and then `wake` is called from another
  // thread when it can continue. Null if the request is refused; the error was replied.
  std::unique_ptr<ReplyStream> BeginStream(const protocol::LineRequest& request,
                                           std::function<void()> wake);

 private:
  // Executes the commands that Execute() does not: all but get, gets, stores and the meta commands.
  [[gnu::noinline]] Next ExecuteRarer(const protocol::LineRequest& request, std::uint64_t hash);
  // Whether the reply to a hit shows the CAS value of the item.
  enum class WithCas : std::uint8_t { kNo, kYes };

  // One key of a get or gets line. A template, so that each has a look-up of its own: one that is
  // called from two places is not inlined, which costs a get 15 instructions.
  template <WithCas with_cas>
  void Get(const protocol::LineRequest& request, std::uint64_t hash);
  [[gnu::noinline]] void Gets(const protocol::LineRequest& request, std::uint64_t hash);
  // One key of a gat or gats line. Returns kFail if an error makes the rest of the reply
  // impossible.
  Next GetAndTouch(const protocol::LineRequest& request, std::uint64_t hash);
  // Writes the reply to a hit at `out`, where there is room for it, and returns its end.
  char* WriteHit(slab::Item& item, std::uint32_t value_bytes, const protocol::LineRequest& request,
                 WithCas with_cas, char* out);
  // Writes what a retrieval that found no item replies for this key: nothing, or the cluster's
  // configuration. Returns where the reply continues. `out` is the end of the reply so far, which
  // was not committed.
  [[gnu::noinline]] char* Miss(const protocol::LineRequest& request, Operation operation,
                               slab::Presence presence, char* out);
  // Ends the reply to one key: commits it, and ends the line's reply after its last key.
  void EndGet(const protocol::LineRequest& request, char* out);
  // set, add, replace, append, prepend and cas.
  void Store(const protocol::LineRequest& request, std::uint64_t hash);
  // delete.
  void Delete(const protocol::LineRequest& request, std::uint64_t hash);
  // touch.
  void Touch(const protocol::LineRequest& request, std::uint64_t hash);
  // incr and decr.
  void Arithmetic(const protocol::LineRequest& request, std::uint64_t hash);
  // drop <prefix>.
  void Drop(const protocol::LineRequest& request);
  // flush_all: now, or after the time that the request names.
  void FlushAll(const protocol::LineRequest& request);
  // version. Unauthenticated clients may ask for it as well.
  void AnswerVersion();
  // verbosity <level>.
  void Verbosity(const protocol::LineRequest& request);
  // cache_memlimit <megabytes>: the new memory limit of the cache.
  void CacheMemlimit(const protocol::LineRequest& request);
  // refresh_certs.
  void RefreshCertificates();
  // lru_crawler: a dump, or what RunLruCrawler executes.
  Next LruCrawler(const protocol::LineRequest& request);
  // shutdown: requests the end of the server, if the configuration allows it.
  Next Shutdown(const protocol::LineRequest& request);
  // The `config` commands; see cluster_commands.cc.
  void Config(const protocol::LineRequest& request);
  // Executes a `config set cluster` and returns the reply.
  std::string_view ConfigSet(const protocol::LineRequest& request);

  // Begin the lists of `lru_crawler metadump` and `mgdump`, and of `stats cachedump`.
  std::unique_ptr<ReplyStream> BeginWatch(const protocol::LineRequest& request,
                                          std::function<void()> wake);
  std::unique_ptr<ReplyStream> BeginDump(const protocol::LineRequest& request);
  std::unique_ptr<ReplyStream> BeginCachedump(const protocol::LineRequest& request);
  std::unique_ptr<ReplyStream> BeginDetailDump();

  // The item that a storage request describes.
  slab::ItemSpec SpecOf(const protocol::LineRequest& request, std::uint64_t hash) const;
  // The terms of a storage request.
  PlainStore HowToStore(const protocol::LineRequest& request) const;
  // Replies to a store. REQUIRES: the client wants a reply.
  void AnswerStore(slab::StoreStatus status);
  // Replies to a store that failed. Not inlined, because most stores succeed.
  [[gnu::noinline]] void AnswerRefusedStore(slab::StoreStatus status);
  // Appends the reply to a request, unless the client wants none.
  void Answer(std::string_view reply, const protocol::LineRequest& request) {
    if (!request.noreply) output_.Append(reply);
  }

  // Executes the lines that are meta commands.
  MetaExecutor meta_;
};

}  // namespace larder::server
