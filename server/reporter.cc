#include "server/reporter.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "protocol/binary/binary_reply.h"
#include "server/stats.h"
#include "server/watch/watch_hub.h"
#include "slab/cache.h"
#include "slab/check.h"
#include "slab/sync/thread.h"

namespace larder::server {
namespace {

// The niceness of the thread: where there are few cores, the requests of clients have precedence.
constexpr int kNiceness = 10;

// The reply to `stats`: waits until the report is made, and then sends it in pieces.
//
// Threads: one worker.
// Owns:    a share of the report, which the reporter also holds until it is made.
class ReportStream final : public ReplyStream {
 public:
  ReportStream(std::shared_ptr<Report> report, BufferGauges& buffers)
      : report_(std::move(report)), buffers_(buffers) {}
  ~ReportStream() override { buffers_.Subtract(Buffer::kPending, counted_bytes_); }
  ReportStream(const ReportStream&) = delete;
  ReportStream& operator=(const ReportStream&) = delete;

  Progress Continue(slab::Lane&, Output& output) override {
    // Pairs with the release in Make(): if it is set, the whole text is visible.
    if (!report_->is_made.load(std::memory_order_acquire)) return Progress::kWaits;
    if (counted_bytes_ == 0) {
      counted_bytes_ = report_->text.capacity();
      buffers_.Add(Buffer::kPending, counted_bytes_);
    }
    // Once everything was sent, the stream has ended.
    LARDER_ASSERT(sent_bytes_ < report_->text.size());
    const std::string_view rest = std::string_view(report_->text).substr(sent_bytes_);
    // At most one piece at a time, so that a long report does not fill the memory of the output.
    const std::string_view piece = rest.substr(0, kPieceBytes);
    output.Append(piece);
    sent_bytes_ += piece.size();
    return piece.size() == rest.size() ? Progress::kEnded : Progress::kMore;
  }

 private:
  const std::shared_ptr<Report> report_;
  BufferGauges& buffers_;
  // What buffers_ has of it.
  std::size_t counted_bytes_ = 0;
  // The number of bytes of the text that were appended to the output.
  std::size_t sent_bytes_ = 0;
};

// Returns the error packet for a list that does not exist.
std::string KeyNotFound(const protocol::Echo& echo) {
  const auto status = protocol::BinaryStatus::kKeyNotFound;
  const std::string_view text = protocol::StatusText(status);
  std::string reply(protocol::kPacketHeadBytes, '\0');
  protocol::WriteReplyHead(reply.data(), echo, {.status = status, .value_bytes = text.size()});
  return reply.append(text);
}

}  // namespace

Reporter::Reporter(Shared& shared) : shared_(shared), lane_(shared.cache.AddLane()) {
  // Some reports remove expired items, which clients may watch.
  shared.watch.SourceOf(lane_);
}

void Reporter::Start() {
  LARDER_ASSERT(!thread_.joinable());
  thread_ = StartThread([this] { Run(); });
  const std::lock_guard lock(mutex_);
  // Only now that the thread exists: until then Ask() makes reports itself.
  is_running_ = true;
}

void Reporter::Stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    is_running_ = false;
    is_stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::unique_ptr<ReplyStream> Reporter::Ask(std::string_view arguments,
                                           const std::optional<protocol::Echo>& echo,
                                           BufferGauges& buffers, std::function<void()> when_made) {
  const std::shared_ptr<Report> report(new Report{
      .arguments = std::string(arguments), .echo = echo, .when_made = std::move(when_made)});
  {
    const std::lock_guard lock(mutex_);
    if (is_running_) {
      LARDER_ASSERT(report->when_made != nullptr);
      // Both the queue and the stream own the report, so a client may disconnect meanwhile.
      wanted_.push_back(report);
      changed_.notify_one();
      return std::make_unique<ReportStream>(report, buffers);
    }
  }
  // Without a thread (before Start() or after Stop()) the report is made by the caller.
  Make(*report);
  return std::make_unique<ReportStream>(report, buffers);
}

void Reporter::Run() {
  // Only this thread gets the niceness: on Linux it is a property of a thread.
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness);
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return !wanted_.empty() || is_stopping_; });
    // Also when stopping: first all reports that were requested.
    if (wanted_.empty()) return;
    const std::shared_ptr<Report> report = std::move(wanted_.front());
    wanted_.pop_front();
    lock.unlock();
    Make(*report);
    // Without the lock, because it may take others.
    report->when_made();
    lock.lock();
  }
}

void Reporter::Make(Report& report) {
  LARDER_ASSERT(!report.is_made.load(std::memory_order_relaxed));
  // The time of the report, for ages and expiries.
  lane_.SetNow(shared_.clock.now());
  if (!report.echo) {
    report.text = shared_.stats.Report(report.arguments, lane_);
  } else {
    report.text = shared_.stats.ReportBinary(report.arguments, *report.echo, lane_);
    // An empty text means that there is no such list.
    if (report.text.empty()) report.text = KeyNotFound(*report.echo);
  }
  // A client would wait for ever for an empty reply.
  LARDER_ASSERT(!report.text.empty());
  report.is_made.store(true, std::memory_order_release);
}

}  // namespace larder::server
