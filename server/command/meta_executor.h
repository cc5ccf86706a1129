// The meta commands: their requests, and the replies to them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "protocol/meta/meta_flags.h"
#include "protocol/text/line_request.h"
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

  // Answers one request. `hash` is that of its key, if it has one.
  void Execute(const protocol::LineRequest& request, std::uint64_t hash);

  // As those of TextExecutor.
  std::unique_ptr<Upload> BeginUpload(const protocol::LineRequest& request, std::uint64_t hash);
  bool ReserveUpload(Upload& upload, UploadMemory::Share share);
  void FinishUpload(Upload& upload);

 private:
  // An item as the flags of a reply show it. Those that change it do so where they stand.
  struct ShownItem {
    std::string_view key = {};
    bool is_key_encoded = false;
    std::uint32_t value_bytes = 0;
    std::uint32_t client_flags = 0;
    slab::Expiry expiry = {};
    std::uint64_t cas = 0;
    std::uint32_t idle_s = 0;
    bool was_fetched = false;
    bool is_new = false;  // Created by this command.
    bool is_won = false;  // Another client has won before.
    bool wins = false;
  };

  [[gnu::noinline]] void ExecuteRarer(const protocol::LineRequest& request, std::uint64_t hash);
  void Get(const protocol::LineRequest& request, std::uint64_t hash);
  [[gnu::noinline]] void GetAndTouch(const protocol::LineRequest& request, std::uint64_t hash);
  void Set(const protocol::LineRequest& request, std::uint64_t hash);
  void Delete(const protocol::LineRequest& request, std::uint64_t hash);
  void Arithmetic(const protocol::LineRequest& request, std::uint64_t hash);
  void Debug(const protocol::LineRequest& request, std::uint64_t hash);
  void Explain(const protocol::LineRequest& request, std::uint64_t hash);

  template <class NoteUse>
  char* WriteHit(slab::Item& item, std::uint32_t value_bytes, const protocol::LineRequest& request,
                 const NoteUse& note_use, char* out);
  char* WriteHitFlags(char* out, slab::Item& item, const protocol::LineRequest& request) const;
  char* WriteFlags(char* out, std::string_view arguments, protocol::MetaReplies reply,
                   ShownItem& shown) const;
  void AnswerOther(std::string_view code, const protocol::LineRequest& request);
  void AnswerCluster(const protocol::LineRequest& request, const ClusterSnapshot& cluster);
  void AnswerStore(const StorePlan& plan, const slab::StoreOutcome& outcome,
                   std::string_view arguments);
  void AnswerDelete(const protocol::LineRequest& request, CommandResult result);
  void AnswerNumber(const protocol::LineRequest& request, const ChangeOutcome& outcome);

  [[gnu::noinline]] void Miss(const protocol::LineRequest& request, std::uint64_t hash,
                              slab::Presence presence);
  bool CreateEmpty(const protocol::LineRequest& request, std::uint64_t hash);
  slab::Expiry ExpiryOfNew(const protocol::LineRequest& request, protocol::MetaReplies reply);
  StorePlan PlanStore(const protocol::LineRequest& request, std::uint64_t hash) const;
  CommandResult Invalidate(const protocol::LineRequest& request, std::uint64_t hash);
  CommandResult Empty(const protocol::LineRequest& request, std::uint64_t hash);

  // The CAS that a C flag names; one that fits no item while CAS is off.
  std::optional<std::uint64_t> NamedCas(std::string_view arguments) const;
  // The CAS that an E flag gives; nothing while CAS is off.
  std::optional<std::uint64_t> ChosenCas(std::string_view arguments) const;
  std::uint64_t ShownCas(std::uint64_t cas) const { return shared_.config.use_cas ? cas : 0; }
  slab::ItemSpec SpecOf(const protocol::LineRequest& request, std::uint64_t hash) const;
};

}  // namespace larder::server
