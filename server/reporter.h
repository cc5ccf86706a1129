// Reporter, which makes the reports of `stats` on a thread of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "protocol/binary/binary_packet.h"
#include "server/metrics/counters.h"
#include "server/reply/output.h"
#include "server/reply/reply_stream.h"
#include "server/shared.h"
#include "slab/lane.h"

namespace larder::server {

// A report that was requested.
//
// Threads: one worker requests and reads it. The reporter writes `text`, and then sets is_made.
struct Report {
  // The words behind `stats`; for a binary request, its key.
  const std::string arguments;
  // What the reply to a binary request repeats; nothing for the text protocol.
  const std::optional<protocol::Echo> echo;
  // Called by the reporter when the report is made; must return at once.
  const std::function<void()> when_made;

  // The whole reply.
  std::string text = {};
  // Written by the reporter with release, read by the worker with acquire; publishes `text`.
  std::atomic<bool> is_made{false};
};

// Reporter makes the reports of `stats` and its subcommands, one after the other, on a thread of
// its own: some take milliseconds, for which the other clients of a worker would have to wait.
//
// Threads: Start and Stop: one thread; Ask: any thread.
// Owns:    its thread. What `shared` refers to must outlive it.
class Reporter {
 public:
  // Does not start the thread.
  explicit Reporter(Shared& shared);
  ~Reporter() { Stop(); }
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  // Starts the thread. Throws std::system_error if the system refuses.
  void Start();
  // Ends the thread; reports that were requested before are made first.
  void Stop();

  // Requests a report, and returns the stream that sends it. `arguments` and `echo` are those of
  // Report; `buffers`, where the text counts while it is sent, are the worker's; `when_made`, which
  // is not empty, is called on the reporter's thread when the stream can go on.
  //
  // If there is no thread, the report is made before the function returns, and when_made is not
  // called. REQUIRES: then no other thread calls Ask at the same time.
  std::unique_ptr<ReplyStream> Ask(std::string_view arguments,
                                   const std::optional<protocol::Echo>& echo, BufferGauges& buffers,
                                   std::function<void()> when_made);

 private:
  // The function of the thread.
  void Run();
  // Makes one report, on the thread that owns lane_ at the time.
  void Make(Report& report);

  Shared& shared_;
  // The lane of the thread; while there is no thread, that of the only caller of Ask.
  slab::Lane& lane_;
  std::thread thread_;

  std::mutex mutex_;  // Guards all below.
  std::condition_variable changed_;
  // True between Start() and Stop().
  bool is_running_ = false;
  bool is_stopping_ = false;
  // The reports that were requested and are not begun.
  std::deque<std::shared_ptr<Report>> wanted_;
};

}  // namespace larder::server
