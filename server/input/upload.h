// Values that arrive from a socket in several pieces, and the bound on the memory that they hold.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/binary/binary_packet.h"
#include "server/input/store_plan.h"
#include "slab/check.h"
#include "slab/engine/item_handle.h"
#include "slab/item/value_cursor.h"
#include "slab/sync/mutex.h"

namespace larder::slab {
class Cache;
}  // namespace larder::slab

namespace larder::server {

// UploadMemory bounds what unfinished values may hold, in two places. In the cache they may hold a
// share of the memory limit. Without the bound, clients that announce large values and never send
// them could evict the whole cache, or make the stores of other clients fail. Values that find
// nothing left there stage the bytes that have come in buffers, up to a limit of its own: so many
// clients that send slowly do not hold up those that send fast.
//
// Uploads that find room in neither place wait in a list. The list is served from both ends in
// turn, the newest and then the oldest: a client that has just arrived does not wait for hundreds
// of silent ones, and no client waits for ever.
//
// Threads: internally locked; any worker may call any method.
// Owns:    nothing. `cache` must outlive it, and every Share must be destroyed before it.
class UploadMemory {
 public:
  // The bytes that one upload has taken. Its destructor gives them back.
  // Threads:    one worker at a time.
  // Invariants: memory_ is null only after it was moved from.
  class Share {
   public:
    Share(Share&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_) {}
    Share& operator=(Share&&) = delete;
    ~Share() {
      if (memory_ == nullptr) return;
      const std::uint64_t held = memory_->held_bytes_.fetch_sub(bytes_, std::memory_order_relaxed);
      LARDER_ASSERT(held >= bytes_);
    }

   private:
    friend class UploadMemory;
    Share(UploadMemory* memory, std::uint64_t bytes) : memory_(memory), bytes_(bytes) {}

    UploadMemory* memory_;
    std::uint64_t bytes_;
  };

  // The bytes that the staging buffer of one upload may hold beyond kStagedBytesMax. Its destructor
  // gives them back.
  // Threads:    one worker.
  // Invariants: it is in the memory's list of stages exactly when bytes() is not 0.
  class Stage {
   public:
    // `value_bytes` is the length of the whole value, `now_s` the time at which the upload begins
    // to stage.
    Stage(UploadMemory& memory, std::uint64_t value_bytes, std::uint32_t now_s)
        : memory_(memory), value_bytes_(value_bytes), begun_at_s_(now_s) {}
    ~Stage() {
      if (bytes_ != 0) memory_.EndStage(*this);
    }
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;

    std::uint64_t bytes() const { return bytes_; }
    // Takes so many bytes more. Returns false when they do not fit. A part of the limit is for the
    // stage that began first, which always gets what it needs, so that uploads never wait for each
    // other only; and a part is for those that have only just begun. REQUIRES: all that it takes is
    // at most the length of its value.
    [[nodiscard]] bool Grow(std::uint64_t bytes, std::uint32_t now_s);

   private:
    friend class UploadMemory;

    UploadMemory& memory_;
    const std::uint64_t value_bytes_;
    const std::uint32_t begun_at_s_;
    std::uint64_t bytes_ = 0;
  };

  // `percent` is the share of the cache's memory limit that unfinished values may hold together,
  // `staging_bytes` the limit of all stages together; 0: nothing is staged.
  UploadMemory(const slab::Cache& cache, std::uint32_t percent, std::uint64_t staging_bytes)
      : cache_(cache), percent_(percent), staging_bytes_max_(staging_bytes) {
    LARDER_ASSERT(percent <= 100);
  }
  ~UploadMemory() {
    LARDER_ASSERT(held_bytes() == 0);
    LARDER_ASSERT(staging_bytes() == 0);
  }
  UploadMemory(const UploadMemory&) = delete;
  UploadMemory& operator=(const UploadMemory&) = delete;

  // Takes what an upload of `plan` needs. Returns nothing when the remaining share is too small, or
  // when other uploads wait and next() is not `who`. If nothing is held at all, an upload of any
  // size succeeds, so that a value larger than the share can still be stored.
  //
  // `who` is any address that identifies the upload. A successful call also removes it from the
  // list of waiting uploads.
  [[nodiscard]] std::optional<Share> Take(const StorePlan& plan, const void* who);
  // Appends `who` to the list of waiting uploads. While the list is not empty, Take() succeeds for
  // next() only: otherwise an upload that needs much would wait for as long as smaller ones arrive.
  // REQUIRES: `who` is not in the list.
  void Await(const void* who);
  // Removes `who`, which has got memory without Take(), from the list. REQUIRES: it is in the list.
  void RemoveServed(const void* who);
  // Removes `who` from the list, if it is there: the client has left before it got memory.
  void LeaveQueue(const void* who);
  // The waiting upload that may take memory next, of any worker; null when none waits. The answer
  // may be out of date when it is used: Take() checks it again under the lock.
  const void* next() const;
  // Whether any upload waits, without taking the lock. The answer may be slightly out of date.
  bool has_waiting() const { return waiting_count_.load(std::memory_order_relaxed) != 0; }

  // The bytes that all shares hold together now.
  std::uint64_t held_bytes() const { return held_bytes_.load(std::memory_order_relaxed); }
  // The bytes that all stages hold together now.
  std::uint64_t staging_bytes() const { return staging_bytes_.load(std::memory_order_relaxed); }

 private:
  // The implementation of Stage::Grow(), and the end of a stage that holds bytes.
  bool Grow(Stage& stage, std::uint64_t bytes, std::uint32_t now_s);
  void EndStage(const Stage& stage);
  // The implementations of next(), RemoveServed() and LeaveQueue() for callers that hold the lock.
  const void* NextLocked() const LARDER_REQUIRES(mutex_);
  void RemoveServedLocked(const void* who) LARDER_REQUIRES(mutex_);
  void LeaveQueueLocked(const void* who) LARDER_REQUIRES(mutex_);

  const slab::Cache& cache_;
  // Of the cache's memory limit at the moment of the call: `cache_memlimit` may change it.
  const std::uint32_t percent_;
  const std::uint64_t staging_bytes_max_;
  // All three are read without the lock, in relaxed order: no other data depends on their values.
  // held_bytes_ is raised under mutex_ only and lowered by any thread; the others are written under
  // mutex_.
  std::atomic<std::uint64_t> held_bytes_{0};
  std::atomic<std::uint64_t> staging_bytes_{0};
  std::atomic<std::size_t> waiting_count_{0};
  mutable Mutex mutex_;
  // The waiting uploads in the order of their arrival, the oldest first.
  std::vector<const void*> waiting_ LARDER_GUARDED_BY(mutex_);
  // The stages that hold bytes, in the order in which they began.
  std::vector<const Stage*> stages_ LARDER_GUARDED_BY(mutex_);
  // Which end of waiting_ is served next. It changes each time that a waiting upload gets memory.
  bool is_newest_next_ LARDER_GUARDED_BY(mutex_) = true;
};

// An upload first collects its value in a buffer of its own, up to this size. A value that outgrows
// it, or of which more than this arrives with the request, takes a share of UploadMemory, has its
// whole item reserved in the cache, and is received straight into the item. So a client that
// announces a large value and sends little of it occupies little. If no share is left, it stages on
// in the buffer, as far as UploadMemory lets its stage grow.
inline constexpr std::size_t kStagedBytesMax = 32 * 1024;

// The parts of the request that the reply to an upload needs when the value is complete.
// Threads: a value.
struct UploadOrigin {
  // The request is `ms`, a meta command; otherwise it is a classic text command or a binary packet.
  bool is_meta = false;
  // The client wants no reply, or, in the binary protocol, none to a success.
  bool noreply = false;
  // Binary: what the reply repeats of the request.
  protocol::Echo echo = {};
  // Meta: the flags of the request line, which decide what the reply shows.
  std::string arguments = {};
};

// Upload is a value that has not completely arrived. It begins in a staging buffer and moves to a
// reserved item if it is large; see kStagedBytesMax.
//
// Threads:    one worker.
// Owns:       a copy of the key, the staging buffer, the reserved item and its share of
//             UploadMemory.
// Invariants: bytes are either in the staging buffer or in the item, never in both.
class Upload {
 public:
  // Copies the key that `plan` names; the caller's view may end.
  Upload(const StorePlan& plan, const UploadOrigin& asked_by);
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  // Whether the item was reserved: the next bytes belong at at().
  bool is_reserved() const { return item_.has_value(); }
  // Whether so many further bytes fit into the staging buffer.
  bool FitsStaged(std::size_t bytes) const {
    return staged_.size() + bytes <= kStagedBytesMax + (stage_ ? stage_->bytes() : 0);
  }
  // Makes the staging buffer larger, so that so many further bytes fit. Returns false if `memory`,
  // which must outlive the upload, does not have them. REQUIRES: not is_reserved(); bytes <=
  // left_bytes(); not FitsStaged(bytes).
  [[nodiscard]] bool GrowStaged(UploadMemory& memory, std::size_t bytes, std::uint32_t now_s);

  // Takes the next bytes of the value. REQUIRES: bytes.size() <= left_bytes(); is_reserved() or
  // FitsStaged(bytes.size()).
  void Write(std::string_view bytes);
  // Moves the staged bytes into `item`, gives the staging buffer back, and keeps `share` for as
  // long as the upload lives. REQUIRES: not is_reserved(); `item` has the length of the value.
  void Reserve(slab::ReservedItem item, UploadMemory::Share share, std::uint32_t now_s);

  // The place in the item where the next bytes of the value belong, for a caller that receives them
  // there itself. It then calls Skip() with their number. REQUIRES: is_reserved().
  const slab::ValueCursor& at() const {
    LARDER_ASSERT(is_reserved());
    return at_;
  }
  // Accounts for bytes that were received at at(). REQUIRES: is_reserved(); bytes <= left_bytes().
  void Skip(std::size_t bytes);

  // Bytes of the value that have not arrived. What follows the value on the wire is not counted.
  std::uint32_t left_bytes() const { return left_bytes_; }
  // Bytes that the staging buffer holds, for the statistics of buffers.
  std::size_t staged_capacity() const { return staged_.capacity(); }
  // Whether the upload holds some of UploadMemory and makes so little progress that others should
  // have it: no byte arrived for a second, or, after two seconds, the average rate is below
  // `bytes_per_second_min`. Each call counts as one check, so the caller has to call it regularly,
  // four times a second.
  bool CheckForSlowness(std::uint32_t now_s, std::uint64_t bytes_per_second_min);

  // The upload could not go on from `since_s` until `now_s` because there was no memory for it:
  // that time says nothing about its client, and does not count for CheckForSlowness().
  void ExcuseWait(std::uint32_t since_s, std::uint32_t now_s);

  // Lives as long as this object, and so does the key in it.
  const StorePlan& plan() const { return plan_; }
  // The staged bytes; valid until the next Write() or Reserve(). The pointer is never null, not
  // even when there are none, so that it may be passed to memcpy.
  std::string_view staged() const {
    return staged_.empty() ? std::string_view("")
                           : std::string_view(staged_.data(), staged_.size());
  }
  // Hands the complete item over, to be published. REQUIRES: is_reserved(); left_bytes() is 0; it
  // is called once.
  slab::ReservedItem TakeItem() {
    LARDER_ASSERT(is_reserved());
    LARDER_ASSERT(left_bytes_ == 0);
    return *std::exchange(item_, std::nullopt);
  }

  // What the reply needs of the request.
  const UploadOrigin origin;

 private:
  // plan_ holds a view of it.
  std::string key_;
  StorePlan plan_;
  std::vector<char> staged_;
  // At most one of both is there: the share once the item is reserved.
  std::optional<UploadMemory::Share> share_;
  std::optional<UploadMemory::Stage> stage_;
  // When it first held bytes of one of them: the start of the time over which CheckForSlowness()
  // measures the rate. ExcuseWait() moves it on by the time of the wait.
  std::uint32_t held_since_s_ = 0;
  // For CheckForSlowness(): left_bytes() at the last check, and for how many checks in a row it has
  // not changed.
  std::uint32_t checked_left_bytes_ = 0;
  std::uint32_t quiet_checks_ = 0;
  std::optional<slab::ReservedItem> item_;
  slab::ValueCursor at_;
  std::uint32_t left_bytes_;
};

}  // namespace larder::server
