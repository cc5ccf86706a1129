#include "server/input/upload.h"

#include <algorithm>

#include "slab/check.h"

namespace larder::server {
namespace {

constexpr std::size_t kStagedBytesMin = 4096;

// While others wait for a share: slower than this, after the first seconds, is too slow.
constexpr std::uint64_t kBytesPerSecondMin = 64 * 1024;
constexpr std::uint32_t kGraceS = 2;

}  // namespace

void UploadMemory::Claim(const void* who) {
  const void* nobody = nullptr;
  (void)claimant_.compare_exchange_strong(nobody, who, std::memory_order_relaxed);
}

void UploadMemory::GiveUp(const void* who) {
  (void)claimant_.compare_exchange_strong(who, nullptr, std::memory_order_relaxed);
}

std::optional<UploadMemory::Share> UploadMemory::Take(const StorePlan& plan, const void* who) {
  const void* const claimant = claimant_.load(std::memory_order_relaxed);
  if (claimant != nullptr && claimant != who) return std::nullopt;
  const std::uint64_t bytes = cache_.ReservedBytes(plan.spec, plan.chosen_cas.has_value());
  const std::uint64_t limit = cache_.memory_limit_bytes() / 100 * percent_;
  std::uint64_t held = held_bytes();
  do {
    if (held != 0 && held + bytes > limit) return std::nullopt;
  } while (!held_bytes_.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
  GiveUp(who);
  return Share(this, bytes);
}

Upload::Upload(const protocol::Request& request, const StorePlan& plan, const protocol::Echo& asked)
    : verb(request.verb),
      noreply(request.noreply),
      echo(asked),
      arguments(request.verb == protocol::Verb::kMs ? request.arguments : std::string_view()),
      key_(plan.spec.key.bytes),
      plan_(plan),
      left_bytes_(plan.spec.value_bytes) {
  plan_.spec.key.bytes = key_;
}

void Upload::Write(std::string_view bytes) {
  LARDER_CHECK(bytes.size() <= left_bytes_);
  if (is_reserved()) {
    at_.Write(bytes);
  } else {
    // Grows with what comes, and never beyond the value.
    const std::size_t needed = staged_.size() + bytes.size();
    if (needed > staged_.capacity()) {
      staged_.reserve(std::min<std::size_t>(
          plan_.spec.value_bytes, std::max({needed, kStagedBytesMin, 2 * staged_.size()})));
    }
    staged_.insert(staged_.end(), bytes.begin(), bytes.end());
  }
  left_bytes_ -= static_cast<std::uint32_t>(bytes.size());
}

void Upload::Reserve(slab::ReservedItem item, UploadMemory::Share share, std::uint32_t now_s) {
  item_.emplace(std::move(item));
  share_.emplace(std::move(share));
  reserved_at_s_ = now_s;
  at_ = item_->value();
  at_.Write(staged());
  std::vector<char>().swap(staged_);
}

void Upload::Skip(std::size_t bytes) {
  left_bytes_ -= static_cast<std::uint32_t>(bytes);
  while (bytes > 0) {
    const std::size_t n = std::min(bytes, at_.piece().size());
    at_.Advance(n);
    bytes -= n;
  }
}

bool Upload::is_slow(std::uint32_t now_s, std::uint32_t idle_s) const {
  if (!share_ || now_s < reserved_at_s_ + kGraceS) return false;
  if (idle_s >= kGraceS) return true;
  const std::uint64_t came = plan_.spec.value_bytes - left_bytes_;
  return came < std::uint64_t{now_s - reserved_at_s_} * kBytesPerSecondMin;
}

}  // namespace larder::server
