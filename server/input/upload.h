// Values on their way from a socket into the cache.
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
#include "slab/cache.h"
#include "slab/sync/mutex.h"

namespace larder::server {

// UploadMemory bounds what unfinished values may hold of the cache: a share of its memory. So no
// number of clients that announce values and do not send them evicts much, or makes stores fail.
//
// Threads: any thread may call any method.
class UploadMemory {
 public:
  // What an upload has of it, until this is destroyed.
  class Share {
   public:
    Share(Share&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_) {}
    Share& operator=(Share&&) = delete;
    ~Share() {
      if (memory_ != nullptr) memory_->held_bytes_.fetch_sub(bytes_, std::memory_order_relaxed);
    }

   private:
    friend class UploadMemory;
    Share(UploadMemory* memory, std::uint64_t bytes) : memory_(memory), bytes_(bytes) {}

    UploadMemory* memory_;
    std::uint64_t bytes_;
  };

  UploadMemory(const slab::Cache& cache, std::uint32_t percent)
      : cache_(cache), percent_(percent) {}

  // Nothing when there is not so much left now, or another is next(): one upload of any size always
  // fits. `who` is any address that stands for the one who asks; it waits no longer if it got some.
  [[nodiscard]] std::optional<Share> Take(const StorePlan& plan, const void* who);
  // Lets `who` wait for a share. Nobody but next() gets any while somebody waits: else one that
  // needs much would wait as long as others come that need less.
  void Await(const void* who);
  void Leave(const void* who);
  // Of all who wait, on any worker, the newest and the oldest in turn: so one that has just come
  // does not stand behind hundreds whose clients are silent, and none waits for ever. Null: nobody.
  const void* next() const;
  bool has_waiting() const { return waiting_count_.load(std::memory_order_relaxed) != 0; }

  std::uint64_t held_bytes() const { return held_bytes_.load(std::memory_order_relaxed); }

 private:
  const void* NextLocked() const LARDER_REQUIRES(mutex_);
  void LeaveLocked(const void* who) LARDER_REQUIRES(mutex_);

  const slab::Cache& cache_;
  const std::uint32_t percent_;  // Of the cache's memory limit as it is now.
  // Relaxed, both: nothing depends on their order.
  std::atomic<std::uint64_t> held_bytes_{0};
  std::atomic<std::size_t> waiting_count_{0};
  mutable Mutex mutex_;
  std::vector<const void*> waiting_ LARDER_GUARDED_BY(mutex_);  // The oldest first.
  bool is_newest_next_ LARDER_GUARDED_BY(mutex_) = true;
};

// An upload holds what has come of its value in a buffer of its own. Only when that is more than
// this, or so much comes with the line, it takes its share of UploadMemory, has all of its item
// reserved, and receives straight into it.
inline constexpr std::size_t kStagedBytesMax = 32 * 1024;

// What the reply to an upload needs of its request.
struct UploadOrigin {
  bool is_meta = false;
  bool noreply = false;
  protocol::Echo echo = {};    // Binary.
  std::string arguments = {};  // Meta: the flags of the line.
};

// A value that has not wholly come.
//
// Threads: one worker.
// Owns:    its key, what was staged, the reserved item.
class Upload {
 public:
  // `plan` names the key, which is copied.
  Upload(const StorePlan& plan, const UploadOrigin& asked_by);
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  // Its item has been reserved: bytes go where at() says.
  bool is_reserved() const { return item_.has_value(); }
  bool FitsStaged(std::size_t bytes) const { return staged_.size() + bytes <= kStagedBytesMax; }

  // Takes the next bytes of the value. REQUIRES: at most left_bytes(); is_reserved() or FitsStaged.
  void Write(std::string_view bytes);
  // Moves what was staged into the item.
  void Reserve(slab::ReservedItem item, UploadMemory::Share share, std::uint32_t now_s);

  // Where the next bytes go, if they are received elsewhere than by Write: then Skip(bytes).
  // REQUIRES: is_reserved().
  const slab::ValueCursor& at() const { return at_; }
  void Skip(std::size_t bytes);

  std::uint32_t left_bytes() const { return left_bytes_; }  // Of the value, without its end.
  std::size_t staged_capacity() const { return staged_.capacity(); }
  // To be asked at each check of all uploads, four times a second. It has a share, and nothing has
  // come for a second, or, after two, less than `bytes_per_second_min`: others that wait for a
  // share come first.
  bool IsSlow(std::uint32_t now_s, std::uint64_t bytes_per_second_min);

  const StorePlan& plan() const { return plan_; }  // Lives as long as this.
  // Never from a null pointer, also if it is empty.
  std::string_view staged() const {
    return staged_.empty() ? std::string_view("")
                           : std::string_view(staged_.data(), staged_.size());
  }
  slab::ReservedItem TakeItem() { return *std::exchange(item_, std::nullopt); }

  const UploadOrigin origin;

 private:
  std::string key_;
  StorePlan plan_;
  std::vector<char> staged_;
  std::optional<UploadMemory::Share> share_;
  std::uint32_t reserved_at_s_ = 0;
  std::uint32_t checked_left_bytes_ = 0;  // What left_bytes() was at the last check,
  std::uint32_t quiet_checks_ = 0;        // for so many.
  std::optional<slab::ReservedItem> item_;
  slab::ValueCursor at_;
  std::uint32_t left_bytes_;
};

}  // namespace larder::server
