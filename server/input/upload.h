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

#include "protocol/binary_packet.h"
#include "protocol/request.h"
#include "slab/cache.h"

namespace larder::server {

// A store with all that Cache knows to do, but for the value.
struct StorePlan {
  slab::ItemSpec spec;
  slab::PublishTerms terms = {};
  std::optional<std::uint64_t> chosen_cas = std::nullopt;
  std::uint32_t state = 0;  // See ReservedItem::SetState.

  // Cache::Store can do it.
  bool is_plain() const {
    return !chosen_cas && state == 0 && !terms.is_stale_allowed && !terms.creates &&
           terms.mode != slab::StoreMode::kUnchanged;
  }
};

// UploadMemory bounds what unfinished values may hold of the cache: a share of its memory. So no
// number of clients that announce values and do not send them evicts much, or makes stores fail.
//
// Threads: atomic; any thread may call any method.
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

  // Nothing when there is not so much left now, or another has claimed what there is. One upload of
  // any size always fits. `who` is any address that stands for the one who asks.
  [[nodiscard]] std::optional<Share> Take(const StorePlan& plan, const void* who);
  // Has everybody else refused until `who` got its share, or gave up: else one that needs much
  // would wait as long as others come that need less. Does nothing while another has the claim.
  void Claim(const void* who);
  void GiveUp(const void* who);
  const void* claimant() const { return claimant_.load(std::memory_order_relaxed); }

  std::uint64_t held_bytes() const { return held_bytes_.load(std::memory_order_relaxed); }

  // Of connections that would go on if they had a share.
  void AddWaiting() { waiting_.fetch_add(1, std::memory_order_relaxed); }
  void RemoveWaiting() { waiting_.fetch_sub(1, std::memory_order_relaxed); }
  bool has_waiting() const { return waiting_.load(std::memory_order_relaxed) != 0; }

 private:
  const slab::Cache& cache_;
  const std::uint32_t percent_;  // Of the cache's memory limit as it is now.
  // Relaxed, all: nothing hangs on their order.
  std::atomic<std::uint64_t> held_bytes_{0};
  std::atomic<std::uint64_t> waiting_{0};
  std::atomic<const void*> claimant_{nullptr};
};

// An upload holds what has come of its value in a buffer of its own. Only when that is more than
// this, or so much comes with the line, it takes its share of UploadMemory, has all of its item
// reserved, and receives straight into it.
inline constexpr std::size_t kStagedBytesMax = 32 * 1024;

// A value that has not wholly come.
//
// Threads: one worker.
// Owns:    its key, what was staged, the reserved item.
class Upload {
 public:
  // `plan` names the key, which is copied. `asked`: the echo of a binary request.
  Upload(const protocol::Request& request, const StorePlan& plan, const protocol::Echo& asked = {});
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
  // It has held its share for long, and comes slowly: others that wait for one come first.
  // `idle_s`: since anything has come.
  bool is_slow(std::uint32_t now_s, std::uint32_t idle_s) const;

  const StorePlan& plan() const { return plan_; }  // Lives as long as this.
  // Never from a null pointer, also if it is empty.
  std::string_view staged() const {
    return staged_.empty() ? std::string_view("")
                           : std::string_view(staged_.data(), staged_.size());
  }
  slab::ReservedItem TakeItem() { return *std::exchange(item_, std::nullopt); }

  const protocol::Verb verb;
  const bool noreply;
  const protocol::Echo echo;
  const std::string arguments;  // Meta: the flags of the line.

 private:
  std::string key_;
  StorePlan plan_;
  std::vector<char> staged_;
  std::optional<UploadMemory::Share> share_;
  std::uint32_t reserved_at_s_ = 0;
  std::optional<slab::ReservedItem> item_;
  slab::ValueCursor at_;
  std::uint32_t left_bytes_;
};

}  // namespace larder::server
