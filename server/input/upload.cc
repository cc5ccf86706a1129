#include "server/input/upload.h"

#include <algorithm>

#include "slab/cache.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// The least capacity of a staging buffer that is allocated, unless the value is shorter.
constexpr std::size_t kStagedBytesMin = 4096;

// When CheckForSlowness() reports an upload: after so many checks in a row without a new byte (four
// checks are made in a second), or, once kGraceS seconds have passed, at an average rate that is
// too low.
constexpr std::uint32_t kQuietChecksMax = 4;
constexpr std::uint32_t kGraceS = 2;

// For so many seconds of the clock a stage counts as young: it has just begun.
constexpr std::uint32_t kYoungS = 1;
// The part of the staging limit that only young stages may use: a quarter. A client that sends fast
// has sent its value before it gets older.
constexpr std::uint64_t kYoungPart = 4;
// The part that only the stage which began first may use, an eighth. So long may a staged value be.
constexpr std::uint64_t kFirstPart = 8;
static_assert(kYoungPart > 1 && kFirstPart > 1);
static_assert(kStagedBytesMin <= kStagedBytesMax);

}  // namespace

std::optional<UploadMemory::Share> UploadMemory::Take(const StorePlan& plan, const void* who) {
  const MutexLock lock(mutex_);
  if (!waiting_.empty() && NextLocked() != who) return std::nullopt;
  const std::uint64_t bytes = cache_.ReservedBytes(plan.spec, plan.chosen_cas);
  // The limit may have been lowered below what is held: then nothing fits until enough was given
  // back.
  const std::uint64_t limit = cache_.memory_limit_bytes() / 100 * percent_;
  const std::uint64_t held = held_bytes();
  if (held != 0 && held + bytes > limit) return std::nullopt;
  held_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  // If any upload waits, this one was next().
  if (!waiting_.empty()) RemoveServedLocked(who);
  return Share(this, bytes);
}

void UploadMemory::Await(const void* who) {
  const MutexLock lock(mutex_);
  LARDER_ASSERT(who != nullptr);
  LARDER_ASSERT(std::ranges::find(waiting_, who) == waiting_.end());
  waiting_.push_back(who);
  waiting_count_.store(waiting_.size(), std::memory_order_relaxed);
}

void UploadMemory::RemoveServed(const void* who) {
  const MutexLock lock(mutex_);
  RemoveServedLocked(who);
}

void UploadMemory::LeaveQueue(const void* who) {
  const MutexLock lock(mutex_);
  LeaveQueueLocked(who);
}

bool UploadMemory::Stage::Grow(std::uint64_t bytes, std::uint32_t now_s) {
  LARDER_ASSERT(bytes > 0);
  LARDER_ASSERT(bytes_ + bytes <= value_bytes_);
  return memory_.Grow(*this, bytes, now_s);
}

bool UploadMemory::Grow(Stage& stage, std::uint64_t bytes, std::uint32_t now_s) {
  const std::uint64_t for_first = staging_bytes_max_ / kFirstPart;
  if (stage.value_bytes_ > for_first) return false;
  const MutexLock lock(mutex_);
  LARDER_ASSERT((stage.bytes_ != 0) == (std::ranges::find(stages_, &stage) != stages_.end()));
  const bool is_young = now_s <= stage.begun_at_s_ + kYoungS;
  const std::uint64_t limit =
      staging_bytes_max_ - for_first - (is_young ? 0 : staging_bytes_max_ / kYoungPart);
  // The others leave the first one enough for its whole value.
  const bool is_first = stages_.empty() || stages_.front() == &stage;
  if (!is_first && staging_bytes() + bytes > limit) return false;
  if (stage.bytes_ == 0) stages_.push_back(&stage);
  stage.bytes_ += bytes;
  staging_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  return true;
}

void UploadMemory::EndStage(const Stage& stage) {
  const MutexLock lock(mutex_);
  LARDER_ASSERT(std::ranges::find(stages_, &stage) != stages_.end());
  LARDER_ASSERT(staging_bytes() >= stage.bytes_);
  std::erase(stages_, &stage);
  staging_bytes_.fetch_sub(stage.bytes_, std::memory_order_relaxed);
}

const void* UploadMemory::next() const {
  const MutexLock lock(mutex_);
  return NextLocked();
}

const void* UploadMemory::NextLocked() const {
  if (waiting_.empty()) return nullptr;
  return is_newest_next_ ? waiting_.back() : waiting_.front();
}

void UploadMemory::RemoveServedLocked(const void* who) {
  LARDER_ASSERT(std::ranges::find(waiting_, who) != waiting_.end());
  LeaveQueueLocked(who);
  // The other end of the list is served next time.
  is_newest_next_ = !is_newest_next_;
}

void UploadMemory::LeaveQueueLocked(const void* who) {
  std::erase(waiting_, who);
  waiting_count_.store(waiting_.size(), std::memory_order_relaxed);
}

Upload::Upload(const StorePlan& plan, const UploadOrigin& asked_by)
    : origin(asked_by), key_(plan.spec.key.bytes), plan_(plan), left_bytes_(plan.spec.value_bytes) {
  plan_.spec.key.bytes = key_;
}

void Upload::Write(std::string_view bytes) {
  LARDER_CHECK(bytes.size() <= left_bytes_);
  LARDER_ASSERT(is_reserved() || FitsStaged(bytes.size()));
  if (is_reserved()) {
    at_.Write(bytes);
  } else {
    // Doubles with the bytes that arrive and never exceeds the value: an announced length alone
    // allocates nothing.
    const std::size_t needed = staged_.size() + bytes.size();
    if (needed > staged_.capacity()) {
      staged_.reserve(std::min<std::size_t>(
          plan_.spec.value_bytes, std::max({needed, kStagedBytesMin, 2 * staged_.size()})));
    }
    staged_.insert(staged_.end(), bytes.begin(), bytes.end());
  }
  left_bytes_ -= static_cast<std::uint32_t>(bytes.size());
}

bool Upload::GrowStaged(UploadMemory& memory, std::size_t bytes, std::uint32_t now_s) {
  LARDER_ASSERT(!is_reserved());
  LARDER_ASSERT(bytes <= left_bytes_);
  LARDER_ASSERT(!FitsStaged(bytes));
  const std::size_t needed = staged_.size() + bytes;
  // A quarter more than what is needed now: the buffer is moved few times, and little is empty.
  const std::size_t capacity = std::min<std::size_t>(plan_.spec.value_bytes, needed + needed / 4);
  if (!stage_) stage_.emplace(memory, plan_.spec.value_bytes, now_s);
  if (stage_->bytes() == 0) held_since_s_ = now_s;
  if (!stage_->Grow(capacity - kStagedBytesMax - stage_->bytes(), now_s)) return false;
  staged_.reserve(capacity);
  LARDER_ASSERT(FitsStaged(bytes));
  return true;
}

void Upload::Reserve(slab::ReservedItem item, UploadMemory::Share share, std::uint32_t now_s) {
  LARDER_ASSERT(!is_reserved());
  LARDER_ASSERT(item.value_bytes() == plan_.spec.value_bytes);
  LARDER_ASSERT(staged_.size() + left_bytes_ == plan_.spec.value_bytes);
  item_.emplace(std::move(item));
  share_.emplace(std::move(share));
  if (!stage_ || stage_->bytes() == 0) held_since_s_ = now_s;
  stage_.reset();
  at_ = item_->value();
  at_.Write(staged());
  // The staging buffer is not needed any more; clear() would keep its memory.
  std::vector<char>().swap(staged_);
}

void Upload::Skip(std::size_t bytes) {
  LARDER_ASSERT(is_reserved());
  LARDER_ASSERT(bytes <= left_bytes_);
  left_bytes_ -= static_cast<std::uint32_t>(bytes);
  // The received bytes may have filled several chunks.
  while (bytes > 0) {
    const std::size_t n = std::min(bytes, at_.piece().size());
    LARDER_ASSERT(n > 0);
    at_.Advance(n);
    bytes -= n;
  }
}

void Upload::ExcuseWait(std::uint32_t since_s, std::uint32_t now_s) {
  LARDER_ASSERT(since_s <= now_s);
  held_since_s_ = std::min(now_s, held_since_s_ + (now_s - since_s));
  quiet_checks_ = 0;
}

bool Upload::CheckForSlowness(std::uint32_t now_s, std::uint64_t bytes_per_second_min) {
  if (!share_ && (!stage_ || stage_->bytes() == 0)) return false;
  const bool is_quiet = std::exchange(checked_left_bytes_, left_bytes_) == left_bytes_;
  quiet_checks_ = is_quiet ? quiet_checks_ + 1 : 0;
  if (quiet_checks_ >= kQuietChecksMax) return true;
  // A client needs some time to begin sending: the average says little in the first seconds.
  if (now_s < held_since_s_ + kGraceS) return false;
  const std::uint64_t came = plan_.spec.value_bytes - left_bytes_;
  return came < (now_s - held_since_s_) * bytes_per_second_min;
}

}  // namespace larder::server
