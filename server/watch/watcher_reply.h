// The reply to `watch`: lines, for as long as the client stays.
#pragma once

#include <memory>

#include "server/metrics/counters.h"
#include "server/reply/reply_stream.h"
#include "server/watch/watch_hub.h"

namespace larder::server {

// WatcherReply sends the lines of a watcher. It ends with the connection only.
//
// Threads: one worker.
// Owns:    the place of its watcher in the hub, which must outlive it.
class WatcherReply final : public ReplyStream {
 public:
  // `watcher` was added to the hub. `buffers` are those of the worker.
  WatcherReply(WatchHub& hub, std::shared_ptr<Watcher> watcher, BufferGauges& buffers)
      : hub_(hub), watcher_(std::move(watcher)), buffers_(buffers) {
    buffers_.Add(Buffer::kPending, hub_.limits().watcher_bytes);
  }
  ~WatcherReply() override {
    buffers_.Subtract(Buffer::kPending, hub_.limits().watcher_bytes);
    hub_.Remove(watcher_);
  }
  WatcherReply(const WatcherReply&) = delete;
  WatcherReply& operator=(const WatcherReply&) = delete;

  Progress Continue(slab::Lane&, Output& output) override {
    return watcher_->Take(kPieceBytes, output) ? Progress::kMore : Progress::kWaits;
  }
  bool replaces_requests() const override { return true; }

 private:
  WatchHub& hub_;
  const std::shared_ptr<Watcher> watcher_;
  BufferGauges& buffers_;
};

}  // namespace larder::server
