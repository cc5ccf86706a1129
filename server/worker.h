// A worker thread and its connections.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "protocol/base64.h"
#include "protocol/request.h"
#include "protocol/text_parser.h"
#include "server/connection.h"
#include "server/counters.h"
#include "server/event_loop.h"
#include "server/execute.h"
#include "server/execute_binary.h"
#include "server/output.h"
#include "server/shared.h"
#include "slab/mutex.h"

namespace larder::server {

inline constexpr std::size_t kInputBytes = 64 * 1024;  // What a connection may bring per turn.
inline constexpr std::size_t kBatchRequests = 32;
// When its requests have made so much work (Output::work_bytes), a connection's turn is over, and
// the others come first: 10 to 25 us. With the largest value on top, it is also the most of
// replies that is kept for a client that does not read. The replies are sent at once, which nothing
// interrupts: with four times as many, a small request beside binary gets waits 1.5 times as long.
inline constexpr std::size_t kWorkPerTurnBytes = 64 * 1024;
// Replies of several connections are sent when they have made so much work together.
inline constexpr std::size_t kWorkPerFlushBytes = 256 * 1024;
// After so many requests or keys, or so much work, it is asked whether others are ready: a turn
// that goes on until it has nothing left costs less, but only alone. 10 to 40 us.
inline constexpr std::size_t kUnitsPerSlice = 128;
// While others come often a slice is shorter, and becomes longer by so many each time none came.
// Until it has its whole length again, no more than this is received at once, for the same reason.
inline constexpr std::size_t kUnitsPerSliceMin = 32;
inline constexpr std::size_t kUnitsPerSliceStep = 2;
inline constexpr std::size_t kInputBytesBesideOthers = 32 * 1024;
inline constexpr std::size_t kWorkPerSliceBytes = 32 * 1024;

// Requests parsed ahead, so that their memory is on the way when they are executed.
struct Batch {
  std::array<protocol::Request, kBatchRequests> requests;
  std::array<std::uint64_t, kBatchRequests> hashes;
  // Where the parser stood behind each request: a batch may have to end before its last one.
  std::array<std::string_view, kBatchRequests> rests;
  std::array<protocol::KeyList, kBatchRequests> key_lists;
  // Room for keys that come in base64.
  std::array<std::array<char, protocol::DecodedBytesMax(protocol::kKeyBytesMax)>, kBatchRequests>
      decoded_keys;
  std::size_t count = 0;
};

// Worker serves its connections on a thread and an event base of its own. A turn of its loop has
// three phases, kept apart:
//
//   collect   libevent's callbacks only put connections on the ready list
//   process   each ready connection receives, parses and executes; replies gather in Output
//   flush     one send per connection; who has yielded sends after those that it yielded to
//
// Threads: one worker; Adopt, RequestStop, Stop and WakeStreams: any thread.
// Owns:    its connections.
class Worker {
 public:
  // It and Start throw std::system_error when the system refuses what a loop needs.
  explicit Worker(Shared& shared);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void Start();
  // Takes over an accepted socket, in non-blocking mode.
  void Adopt(int fd, Connection::Kind kind) LARDER_EXCLUDES(mutex_);
  // The thread serves what has come, sends what clients take within some seconds, closes everything
  // and ends. RequestStop returns at once, Stop when that is done.
  void RequestStop();
  void Stop();
  // Tests, instead of Start: one turn on the caller's thread, which waits for nothing.
  void RunOnce() { RunTurn(EVLOOP_ONCE | EVLOOP_NONBLOCK); }

  // For connections, on this worker's thread.
  Shared& shared() { return shared_; }
  event_base* base() { return base_.get(); }
  slab::Lane& lane() { return lane_; }
  WorkerCounters& counters() { return counters_; }
  Executor& executor() { return executor_; }
  BinaryExecutor& binary_executor() { return binary_executor_; }
  Output& output() { return output_; }
  Batch& batch() { return batch_; }
  char* input_area() { return input_area_.get(); }
  void MakeReady(Connection& connection);
  // In the middle of a turn: others than `current` wait to be served.
  bool AreOthersReady(const Connection& current);
  // Its stream waits for the next WakeStreams().
  void AwaitWake(Connection& connection) { awaiting_.push_back(&connection); }

  // It waits for upload memory.
  void AwaitUploadMemory(Connection& connection);
  // A connection has an upload from now on: see to it that it does not stall.
  void WatchUploads();

  // Lets the streams that wait go on. Any thread may call it, as long as the worker lives.
  void WakeStreams() { wake_.Wake(); }

 private:
  struct Handover {
    int fd;
    Connection::Kind kind;
  };

  void Run();
  void RunTurn(int loop_flags);
  void FlushAll();
  // All but those that have yielded.
  void FlushServed();
  void OnWake();
  void TakeHandovers() LARDER_EXCLUDES(mutex_);
  // What falls due while connections are served is done at the end of the turn.
  void CloseDue();
  void CloseIdle();
  void CloseStalledUploads();
  // When stopping: what has come of these values has been received, and more is not waited for.
  void CloseUploads();
  // To those that wait, as far as it goes.
  void GiveUploadMemory();
  void Drain();
  void Destroy(Connection& connection);

  Shared& shared_;
  slab::Lane& lane_;
  WorkerCounters& counters_;
  const EventBase base_;
  const WakeFd wake_;
  Event wake_event_;
  Event second_event_;  // None without idle_timeout.
  Event upload_event_;  // Pending while there are uploads.
  Event memory_event_;  // And while some wait for memory.
  std::unique_ptr<char[]> input_area_;
  Output output_;
  Batch batch_;
  Executor executor_;
  BinaryExecutor binary_executor_;
  Connection* connections_ = nullptr;  // All of them, linked by Connection::next.
  std::vector<Connection*> ready_;     // To be served in the next turn.
  std::vector<Connection*> serving_;   // In this turn.
  // Served, with replies in output_; from turn to turn those that have yielded and are ready again.
  std::vector<Connection*> unflushed_;
  std::vector<Connection*> awaiting_;  // Their streams wait.
  std::deque<Connection*> uploading_;  // They wait for upload memory.
  bool has_given_memory_ = false;      // Since Drain has asked.
  std::size_t served_ = 0;             // Of serving_, those whose turn it is or was.
  bool is_idle_check_due_ = false;
  bool is_upload_check_due_ = false;
  std::thread thread_;
  std::atomic<bool> is_stopping_{false};  // Written by RequestStop, read by the thread.

  Mutex mutex_;
  std::vector<Handover> handovers_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::server
