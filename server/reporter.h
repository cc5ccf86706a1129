// Reports of `stats`, made beside the workers.
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
#include "server/reply/output.h"
#include "server/reply/reply_stream.h"
#include "server/shared.h"
#include "slab/lane.h"

namespace larder::server {

// A report that was asked for.
//
// Threads: one worker, who asks and reads; the reporter writes `text`, then sets is_made.
struct Report {
  const std::string arguments;               // Binary: the key of the packet.
  const std::optional<protocol::Echo> echo;  // Of a binary request.
  const std::function<void()> when_made;     // Called by the reporter; returns at once.

  std::string text = {};             // The whole reply.
  std::atomic<bool> is_made{false};  // Publishes `text`.
};

// Reporter answers `stats` and its subcommands on a thread of its own, one report after the other:
// some take milliseconds, which other clients of a worker would have to wait.
//
// Threads: Start and Stop: one thread; Ask: any thread.
// Owns:    its thread. What `shared` names must outlive it.
class Reporter {
 public:
  explicit Reporter(Shared& shared);
  ~Reporter() { Stop(); }
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  void Start();
  // Ends the thread; reports that were asked for are made before.
  void Stop();

  // Has a report made. Where there is no thread it is made at once, and when_made is not called.
  std::unique_ptr<ReplyStream> Ask(std::string_view arguments,
                                   const std::optional<protocol::Echo>& echo,
                                   std::function<void()> when_made);

 private:
  void Run();
  void Make(Report& report);

  Shared& shared_;
  slab::Lane& lane_;  // The thread's; without one, whoever asks is the only thread.
  std::thread thread_;

  std::mutex mutex_;  // Guards all below.
  std::condition_variable changed_;
  bool is_running_ = false;  // Between Start and Stop.
  bool is_stopping_ = false;
  std::deque<std::shared_ptr<Report>> wanted_;
};

}  // namespace larder::server
