#include "server/reply/output.h"

#include <algorithm>

#include "slab/check.h"

namespace larder::server {
namespace {

// The normal size of the area. The system provides memory only for the part that is used.
constexpr std::size_t kAreaBytes = std::size_t{1} << 20;

}  // namespace

void Output::Clear() {
  LARDER_ASSERT(size_ <= capacity_);
  // The counter is updated here and not in Commit(), so that requests do not pay for it.
  if (size_ > touched_bytes_) [[unlikely]]
    SetTouched(size_);
  size_ = 0;
  further_work_bytes_ = 0;
  pins_.clear();
  // One large reply made the area grow: a new area of the normal size occupies no memory yet.
  if (capacity_ > kAreaBytes) {
    area_ = std::make_unique_for_overwrite<char[]>(kAreaBytes);
    capacity_ = kAreaBytes;
    SetTouched(0);
  }
}

void Output::SetTouched(std::size_t bytes) {
  LARDER_ASSERT(bytes <= capacity_);
  // The counter may also decrease: then the difference wraps around, and so does the sum.
  if (touched_counter_ != nullptr) touched_counter_->Add(bytes - touched_bytes_);
  touched_bytes_ = bytes;
}

void Output::Grow(std::size_t bytes) {
  // Doubling keeps the cost of all copies together proportional to the size of the reply.
  const std::size_t capacity = std::max({kAreaBytes, capacity_ * 2, size_ + bytes});
  auto area = std::make_unique_for_overwrite<char[]>(capacity);
  if (size_ != 0) std::memcpy(area.get(), area_.get(), size_);
  area_ = std::move(area);
  capacity_ = capacity;
  LARDER_ASSERT(capacity_ - size_ >= bytes);
}

}  // namespace larder::server
