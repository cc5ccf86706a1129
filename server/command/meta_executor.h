// The meta commands: their requests, and the replies to them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "protocol/meta/meta_flags.h"
#include "protocol/request.h"
#include "server/cluster.h"
#include "server/command/commands.h"
#include "slab/cache.h"

namespace larder::server {

// MetaExecutor turns requests of the meta protocol into commands, and their outcomes into replies.
//
// Threads: one worker.
// Owns:    nothing; all that it refers to outlives it.
class MetaExecutor : private Commands {
 public:
  MetaExecutor(Shared& shared, slab::Lane& lane, WorkerCounters& counters, Output& output)
      : Commands(Protocol::kMeta, shared, lane, counters, output) {}

  // Answers one request; Get() is quicker for mg. `hash` is that of its key.
  void Execute(const protocol::Request& request, std::uint64_t hash);
  void Get(const protocol::Request& request, std::uint64_t hash);

  // As those of TextExecutor.
  std::unique_ptr<Upload> BeginUpload(const protocol::Request& request, std::uint64_t hash);
  bool ReserveUpload(Upload& upload, UploadMemory::Share share);
  void FinishUpload(Upload& upload);

 private:
  struct ShownItem;
  void Set(const protocol::Request& request, std::uint64_t hash);
  void Delete(const protocol::Request& request, std::uint64_t hash);
  void Arithmetic(const protocol::Request& request, std::uint64_t hash);
  void Debug(const protocol::Request& request, std::uint64_t hash);
  void Explain(const protocol::Request& request, std::uint64_t hash);

  char* WriteHit(slab::Item& item, const protocol::Request& request, char* out);
  char* WriteHitFlags(char* out, slab::Item& item, const protocol::Request& request) const;
  char* WriteFlags(char* out, std::string_view arguments, protocol::MetaReplies reply,
                   ShownItem& shown) const;
  void AnswerOther(std::string_view code, const protocol::Request& request);
  void AnswerCluster(const protocol::Request& request, const ClusterSnapshot& cluster);
  void AnswerStore(const StorePlan& plan, const slab::StoreOutcome& outcome,
                   std::string_view arguments);
  void AnswerDelete(const protocol::Request& request, CommandResult result);
  void AnswerNumber(const protocol::Request& request, const ChangeOutcome& outcome);

  [[gnu::noinline]] void Miss(const protocol::Request& request, std::uint64_t hash,
                              slab::Presence presence);
  bool CreateEmpty(const protocol::Request& request, std::uint64_t hash);
  slab::Expiry ExpiryOfNew(const protocol::Request& request, protocol::MetaReplies reply);
  StorePlan PlanStore(const protocol::Request& request, std::uint64_t hash) const;
  CommandResult Invalidate(const protocol::Request& request, std::uint64_t hash);
  CommandResult Empty(const protocol::Request& request, std::uint64_t hash);

  // The CAS that a C flag names; one that fits no item while CAS is off.
  std::optional<std::uint64_t> NamedCas(std::string_view arguments) const;
  // The CAS that an E flag gives; nothing while CAS is off.
  std::optional<std::uint64_t> ChosenCas(std::string_view arguments) const;
  std::uint64_t ShownCas(std::uint64_t cas) const { return shared_.config.use_cas ? cas : 0; }
  slab::ItemSpec SpecOf(const protocol::Request& request, std::uint64_t hash) const;
};

}  // namespace larder::server
