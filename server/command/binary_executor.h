// What each command of the binary protocol means.
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

// BinaryExecutor turns packets into commands, and their outcomes into replies.
//
// Threads: one worker.
// Owns:    nothing; all that it refers to outlives it.
class BinaryExecutor : private Commands {
 public:
  BinaryExecutor(Shared& shared, slab::Lane& lane, WorkerCounters& counters, Output& output)
      : Commands(Protocol::kBinary, shared, lane, counters, output) {}

  using Commands::BeginShow;
  using Commands::set_client;
  using Commands::Show;

  // As those of TextExecutor. What is to be thrown away has no CRLF.
  Next Execute(const protocol::BinaryRequest& request, std::uint64_t hash);
  std::unique_ptr<Upload> BeginUpload(const protocol::BinaryRequest& request, std::uint64_t hash);
  bool ReserveUpload(Upload& upload, UploadMemory::Share share);
  void FinishUpload(Upload& upload);
  std::unique_ptr<ReplyStream> BeginStream(const protocol::BinaryRequest& request,
                                           std::function<void()> wake);

  // Answers a client that has not authenticated yet, or any client's SASL request. `session` is the
  // attempt that waits for the client's next step, if there is one.
  LoginOutcome LogIn(const protocol::BinaryRequest& request, std::unique_ptr<SaslSession>& session);

 private:
  [[gnu::noinline]] Next ExecuteRarer(const protocol::BinaryRequest& request, std::uint64_t hash);
  void Get(const protocol::BinaryRequest& request, std::uint64_t hash);
  char* WriteHit(slab::Item& item, std::uint32_t value_bytes,
                 const protocol::BinaryRequest& request, char* out);
  [[gnu::noinline]] void Miss(const protocol::BinaryRequest& request, Operation operation,
                              slab::Presence presence);
  void Store(const protocol::BinaryRequest& request, std::uint64_t hash);
  void Delete(const protocol::BinaryRequest& request, std::uint64_t hash);
  void Touch(const protocol::BinaryRequest& request, std::uint64_t hash);
  void Arithmetic(const protocol::BinaryRequest& request, std::uint64_t hash);
  void AnswerChange(const protocol::BinaryRequest& request, const ChangeOutcome& outcome);
  void Flush(const protocol::BinaryRequest& request);
  void ConfigGet(const protocol::BinaryRequest& request);
  void ConfigSet(const protocol::BinaryRequest& request);
  void ConfigDelete(const protocol::BinaryRequest& request);
  void AnswerCluster(const protocol::BinaryRequest& request, const ClusterSnapshot& cluster);
  LoginOutcome Authenticate(const Sasl& sasl, const protocol::BinaryRequest& request,
                            std::unique_ptr<SaslSession>& session);
  Next Refuse(const protocol::BinaryRequest& request);

  PlainStore HowToStore(const protocol::BinaryRequest& request) const;
  slab::ItemSpec SpecOf(const protocol::BinaryRequest& request, std::uint64_t hash) const;
  slab::Expiry ExpiresAt(const protocol::BinaryRequest& request) const {
    return Commands::ExpiresAt(request.exptime);
  }
  // The CAS that a delete, incr or decr asks for.
  std::uint64_t CasWanted(std::uint64_t cas) const;
  // What a client may know of an item's CAS.
  std::uint64_t CasShown(std::uint64_t cas) const { return shared_.config.use_cas ? cas : 0; }

  void AnswerStore(const protocol::Echo& echo, slab::StoreMode mode,
                   const slab::StoreOutcome& outcome, bool noreply);
  void AnswerSuccess(const protocol::Echo& echo, std::uint64_t cas, std::string_view value = {});
  void AnswerError(const protocol::Echo& echo, protocol::BinaryStatus status,
                   std::string_view text);
  void AnswerError(const protocol::Echo& echo, protocol::BinaryStatus status) {
    AnswerError(echo, status, protocol::StatusText(status));
  }
};

}  // namespace larder::server
