// The commands of the binary protocol.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "protocol/binary/binary_packet.h"
#include "protocol/binary/binary_reply.h"
#include "protocol/binary/binary_request.h"
#include "server/cluster.h"
#include "server/command/commands.h"
#include "server/command/next.h"
#include "server/reply/reply_stream.h"

namespace larder::server {

class Sasl;
class SaslSession;

// BinaryExecutor executes the requests of the binary protocol: it turns packets into commands and
// their outcomes into replies. A quiet request gets no reply to a success or, if it is a retrieval,
// to a miss; errors are always replied.
//
// Threads: one worker.
// Owns:    nothing. What its constructor takes must outlive it.
class BinaryExecutor : private Commands {
 public:
  // `lane` and `counters` are those of the worker; replies are appended to `output`.
  BinaryExecutor(Shared& shared, slab::Lane& lane, WorkerCounters& counters, Output& output)
      : Commands(Protocol::kBinary, shared, lane, counters, output) {}

  using Commands::BeginShow;
  using Commands::cache;
  using Commands::CountPrefixRead;
  using Commands::DrawPrefixSample;
  using Commands::missed_reads;
  using Commands::NoteRead;
  using Commands::set_client;

  // Executes one request and replies. `hash` is that of its key, if it has one. See Next for the
  // requests that are not answered here.
  Next Execute(const protocol::BinaryRequest& request, std::uint64_t hash);
  // Whether a request retrieves the item of its key, and whether it does nothing else.
  static bool IsRetrieval(const protocol::BinaryRequest& request) noexcept;
  static bool IsRead(const protocol::BinaryRequest& request) noexcept;
  // See OutcomeObservers.
  void ShowBefore(const protocol::BinaryRequest& request, std::uint64_t hash);
  void Show(const protocol::BinaryRequest& request) { Commands::Show(request.key); }
  // Begins a store whose value has not completely arrived. Returns null if it can never be stored;
  // the error was replied, and the value is to be thrown away: value_bytes bytes, for nothing
  // follows it.
  std::unique_ptr<Upload> BeginUpload(const protocol::BinaryRequest& request, std::uint64_t hash);
  // Reserves the whole item and passes it and `share` to the upload. Returns false if there is no
  // memory; the error was replied, and the rest of the value is to be thrown away.
  bool ReserveUpload(Upload& upload, UploadMemory::Share share);
  // Stores the value and replies. REQUIRES: all its bytes have arrived.
  void FinishUpload(Upload& upload);
  // Begins the reply to a `stat` request, which Execute() answered with kStream. The stream may
  // have to wait for its content, and then `wake` is called from another thread when it can
  // continue. Never null. REQUIRES: the request is a `stat`.
  std::unique_ptr<ReplyStream> BeginStream(const protocol::BinaryRequest& request,
                                           std::function<void()> wake);

  // Answers any request of a client that has not authenticated, or a SASL request of any client.
  // `session` is the client's attempt that waits for its next step, if there is one; the call may
  // replace or end it.
  LoginOutcome LogIn(const protocol::BinaryRequest& request, std::unique_ptr<SaslSession>& session);

 private:
  // Executes the commands that Execute() does not: all but retrievals and stores.
  [[gnu::noinline]] Next ExecuteRarer(const protocol::BinaryRequest& request, std::uint64_t hash);
  // get, getk, gat and gatk, and their quiet forms.
  void Get(const protocol::BinaryRequest& request, std::uint64_t hash);
  // Writes the reply to a hit at `out`, where there is room for it, and returns its end.
  char* WriteHit(slab::Item& item, std::uint32_t value_bytes,
                 const protocol::BinaryRequest& request, char* out);
  // Replies to a retrieval that found no item, or had no memory for the new expiry.
  [[gnu::noinline]] void Miss(const protocol::BinaryRequest& request, Operation operation,
                              slab::Presence presence);
  // set, add, replace, append and prepend, with or without a CAS.
  void Store(const protocol::BinaryRequest& request, std::uint64_t hash);
  // delete, with or without a CAS.
  void Delete(const protocol::BinaryRequest& request, std::uint64_t hash);
  // A touch without the value. The reply has the item's flags, as in memcached.
  void Touch(const protocol::BinaryRequest& request, std::uint64_t hash);
  // incr and decr, which may create their item.
  void Arithmetic(const protocol::BinaryRequest& request, std::uint64_t hash);
  // Replies to an incr or decr.
  void AnswerChange(const protocol::BinaryRequest& request, const ChangeOutcome& outcome);
  // flush: now, or at the time that the request names.
  void Flush(const protocol::BinaryRequest& request);
  // The `config` commands; see cluster_commands.cc.
  void ConfigGet(const protocol::BinaryRequest& request);
  void ConfigSet(const protocol::BinaryRequest& request);
  void ConfigDelete(const protocol::BinaryRequest& request);
  // Replies with the cluster's configuration in place of an item, or to a `config get`.
  void AnswerCluster(const protocol::BinaryRequest& request, const ClusterSnapshot& cluster);
  // The three SASL commands; see login_commands.cc.
  LoginOutcome Authenticate(const Sasl& sasl, const protocol::BinaryRequest& request,
                            std::unique_ptr<SaslSession>& session);
  // Replies to a packet that could not be parsed as a request.
  Next Refuse(const protocol::BinaryRequest& request);

  // The terms of a storage request.
  PlainStore HowToStore(const protocol::BinaryRequest& request) const;
  // The item that a storage request describes.
  slab::ItemSpec SpecOf(const protocol::BinaryRequest& request, std::uint64_t hash) const;
  // The expiry that the request's exptime means now.
  slab::Expiry ExpiresAt(const protocol::BinaryRequest& request) const {
    return Commands::ExpiresAt(request.exptime);
  }
  // The CAS that the item must have for a delete, incr or decr that names `cas`; 0 means any. While
  // CAS is switched off, a number that no item has.
  std::uint64_t CasWanted(std::uint64_t cas) const;
  // The CAS of a reply: 0 while CAS is switched off.
  std::uint64_t CasShown(std::uint64_t cas) const { return shared_.config.use_cas ? cas : 0; }

  // Replies to a store that was refused.
  void AnswerRefusedStore(const protocol::Echo& echo, slab::StoreMode mode,
                          slab::StoreStatus status);
  // Append a reply with a value or an error text, and without extras and key.
  void AnswerSuccess(const protocol::Echo& echo, std::uint64_t cas, std::string_view value = {});
  void AnswerError(const protocol::Echo& echo, protocol::BinaryStatus status,
                   std::string_view text);
  void AnswerError(const protocol::Echo& echo, protocol::BinaryStatus status) {
    AnswerError(echo, status, protocol::StatusText(status));
  }
};

}  // namespace larder::server
