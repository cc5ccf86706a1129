// The commands of the meta protocol.
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

// MetaExecutor executes the requests of the meta protocol: it turns them into commands and their
// outcomes into replies. The flags of a request, their tokens and the replies they appear in are
// described in protocol/meta/meta_flags.h.
//
//   mg   get, also touch or create    Get, GetAndTouch, CreateEmpty
//   ms   store                        Set, BeginUpload to FinishUpload
//   md   delete, invalidate or drop   Delete, Invalidate, Empty, Drop
//   ma   incr and decr                Arithmetic
//   me   show the state of an item    Debug
//   explain                           Explain, in explain_command.cc
//
// Threads: one worker.
// Owns:    nothing. What its constructor takes must outlive it.
class MetaExecutor : private Commands {
 public:
  // `lane` and `counters` are those of the worker; replies are appended to `output`.
  MetaExecutor(Shared& shared, slab::Lane& lane, WorkerCounters& counters, Output& output)
      : Commands(Protocol::kMeta, shared, lane, counters, output) {}

  using Commands::BeginShow;
  using Commands::is_shown;
  using Commands::set_client;
  using Commands::Show;
  using Commands::ShowBefore;

  // Executes one request and replies. `hash` is that of its key, if it has one.
  void Execute(const protocol::LineRequest& request, std::uint64_t hash);

  // Begins an ms whose value has not completely arrived. Returns null if it can never be stored;
  // the error was replied, and the value is to be thrown away, with its CRLF.
  std::unique_ptr<Upload> BeginUpload(const protocol::LineRequest& request, std::uint64_t hash);
  // Reserves the whole item and passes it and `share` to the upload. Returns false if there is no
  // memory; the error was replied, and the rest of the value is to be thrown away.
  bool ReserveUpload(Upload& upload, UploadMemory::Share share);
  // Stores the value and replies. REQUIRES: all its bytes have arrived and were followed by CRLF.
  void FinishUpload(Upload& upload);

 private:
  // The state of an item as the flags of a reply show it. A flag that changes the state takes
  // effect where it stands in the request: flags behind it show the new state.
  //
  // Threads: a value.
  struct ShownItem {
    // A view of the request or of the item; valid while the reply is written.
    std::string_view key = {};
    // The key is written in base64.
    bool is_key_encoded = false;
    // The length of the value in bytes.
    std::uint32_t value_bytes = 0;
    std::uint32_t client_flags = 0;
    slab::Expiry expiry = {};
    // The item's CAS. WriteFlags() shows 0 for it while CAS is switched off.
    std::uint64_t cas = 0;
    // Seconds since the last use.
    std::uint32_t idle_s = 0;
    // The item was read since it was stored.
    bool was_fetched = false;
    // The item was created by this command.
    bool is_new = false;
    // Another client has won the right to store the next value (flag Z of the reply).
    bool has_other_winner = false;
    // This client has just won that right (flag W of the reply).
    bool is_winner = false;
  };

  // Executes the commands that Execute() does not: all but mg.
  [[gnu::noinline]] void ExecuteRarer(const protocol::LineRequest& request, std::uint64_t hash);
  // mg. With the flag T it is a GetAndTouch().
  void Get(const protocol::LineRequest& request, std::uint64_t hash);
  [[gnu::noinline]] void GetAndTouch(const protocol::LineRequest& request, std::uint64_t hash);
  // ms with a value that has arrived completely.
  void Set(const protocol::LineRequest& request, std::uint64_t hash);
  // md. With the flags x and I it keeps the item; see Empty() and Invalidate().
  void Delete(const protocol::LineRequest& request, std::uint64_t hash);
  // md with the flag p: the key is a prefix.
  void Drop(const protocol::LineRequest& request);
  // ma: incr or decr.
  void Arithmetic(const protocol::LineRequest& request, std::uint64_t hash);
  // me: a line that describes the item.
  void Debug(const protocol::LineRequest& request, std::uint64_t hash);
  // explain: where the item is, or how it was removed.
  void Explain(const protocol::LineRequest& request, std::uint64_t hash);

  // Writes the reply to a hit at `out`, where there is room for it, and returns its end.
  template <class NoteUse>
  char* WriteHit(slab::Item& item, std::uint32_t value_bytes, const protocol::LineRequest& request,
                 const NoteUse& note_use, char* out);
  // Writes the flags of the reply to a hit and then the marks W, X and Z. Also gives the item its
  // new expiry and the mark of the win token, as the flags ask. Returns the end.
  char* WriteHitFlags(char* out, slab::Item& item, const protocol::LineRequest& request) const;
  // Writes the flag t: the seconds left, or -1 for an item that never expires. Returns the end.
  char* WriteTimeLeft(char* out, slab::Expiry expiry) const;
  // Writes those flags of the request that appear in a reply of this kind, in the order of the
  // request, and returns the end. Changes `shown` as the flags ask.
  char* WriteFlags(char* out, std::string_view arguments, protocol::MetaReplies reply,
                   ShownItem& shown) const;
  // Replies with a code and without an item; opaque and key are repeated if the request asks for
  // them.
  void AnswerOther(std::string_view code, const protocol::LineRequest& request);
  // Replies with the cluster's configuration in place of an item.
  void AnswerCluster(const protocol::LineRequest& request, const ClusterSnapshot& cluster);
  // Reply to ms, md and ma. Nothing is replied to a success if the request is quiet.
  void AnswerStore(const StorePlan& plan, const slab::StoreOutcome& outcome,
                   std::string_view arguments);
  void AnswerDelete(const protocol::LineRequest& request, CommandResult result);
  void AnswerNumber(const protocol::LineRequest& request, const ChangeOutcome& outcome);

  // Replies to an mg that found no item or had no memory for the new expiry; creates the item if
  // the request asks for it.
  [[gnu::noinline]] void Miss(const protocol::LineRequest& request, std::uint64_t hash,
                              slab::Presence presence);
  // Creates an item without a value, marked as won by this client, and replies. Returns false, with
  // no reply given, if there is no memory. If another client has created the item meanwhile, the
  // request is executed again.
  bool CreateEmpty(const protocol::LineRequest& request, std::uint64_t hash);
  // The expiry of an item that the request creates.
  slab::Expiry ExpiryOfNew(const protocol::LineRequest& request, protocol::MetaReplies reply);
  // The terms of an ms.
  StorePlan PlanStore(const protocol::LineRequest& request, std::uint64_t hash) const;
  // md with I: marks the item as stale. Returns kDone, kMiss, kExists or kNoMemory.
  CommandResult Invalidate(const protocol::LineRequest& request, std::uint64_t hash);
  // md with x: removes the item's value and keeps the item. Returns kDone, kMiss, kExists or
  // kNoMemory.
  CommandResult Empty(const protocol::LineRequest& request, std::uint64_t hash);

  // The CAS that the flag C names; nothing without the flag. While CAS is switched off, a number
  // other than 0 becomes one that no item has.
  std::optional<std::uint64_t> NamedCas(std::string_view arguments) const;
  // The CAS that the flag E chooses for the item; nothing without the flag, or while CAS is
  // switched off.
  std::optional<std::uint64_t> ChosenCas(std::string_view arguments) const;
  // The CAS of a reply: 0 while CAS is switched off.
  std::uint64_t ShownCas(std::uint64_t cas) const { return shared_.config.use_cas ? cas : 0; }
  // The item that the request describes.
  slab::ItemSpec SpecOf(const protocol::LineRequest& request, std::uint64_t hash) const;
};

}  // namespace larder::server
