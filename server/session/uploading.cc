#include "server/session/uploading.h"

#include <algorithm>
#include <utility>

#include "server/session/turn_budget.h"
#include "slab/cache.h"
#include "slab/check.h"

namespace larder::server {
Uploading::~Uploading() {
  // Staged bytes are counted together with the kept input of sessions.
  workspace_.buffers().Subtract(Buffer::kTails, upload_->staged_capacity());
  if (is_queued()) workspace_.shared.uploads.LeaveQueue(this);
}

std::uint64_t Uploading::rest_bytes() const {
  return std::uint64_t{upload_->left_bytes()} + wire_.value_end_bytes();
}

Uploading::Step Uploading::Continue(std::string_view& input) {
  LARDER_ASSERT(!awaits_memory());
  const std::size_t end_bytes = wire_.value_end_bytes();
  const std::size_t n = std::min<std::size_t>(upload_->left_bytes(), input.size());
  // The value outgrows the staging buffer: from here on it needs memory that others need, too.
  if (!upload_->is_reserved() && !upload_->FitsStaged(n)) {
    if (!TakeShareOrStage(n)) {
      if (!awaits_memory()) workspace_.counters.Add(Stat::kUploadWaits);
      wait_ = Wait::kForBytes;
      wanted_bytes_ = n;
      // The whole value is here already, so no further byte would bring the session back.
      if (input.size() >= rest_bytes()) Queue();
      return Step::kNeedsMore;
    }
    if (share_ && !Reserve()) return Step::kRefused;
  }
  const std::size_t staged_before = upload_->staged_capacity();
  upload_->Write(input.substr(0, n));
  workspace_.buffers().Add(Buffer::kTails, upload_->staged_capacity() - staged_before);
  input.remove_prefix(n);
  // The value and the bytes that follow it have to be complete.
  if (upload_->left_bytes() != 0 || input.size() < end_bytes) return Step::kNeedsMore;
  wire_.FinishUpload(*upload_, input.substr(0, end_bytes));
  input.remove_prefix(end_bytes);
  return Step::kFinished;
}

bool Uploading::TakeShare() {
  if (share_) return true;
  auto share = workspace_.shared.uploads.Take(upload_->plan(), this);
  if (share) share_.emplace(std::move(*share));
  return share_.has_value();
}

bool Uploading::TakeShareOrStage(std::size_t bytes) {
  if (TakeShare()) return true;
  const std::size_t before = upload_->staged_capacity();
  const bool has_grown =
      upload_->GrowStaged(workspace_.shared.uploads, bytes, workspace_.lane.now_s);
  workspace_.buffers().Add(Buffer::kTails, upload_->staged_capacity() - before);
  return has_grown;
}

bool Uploading::Reserve() {
  LARDER_ASSERT(share_.has_value());
  BufferGauges& buffers = workspace_.buffers();
  // The staging buffer is given back when the item is reserved.
  buffers.Subtract(Buffer::kTails, upload_->staged_capacity());
  UploadMemory::Share share = std::move(*share_);
  share_.reset();
  const bool is_reserved = wire_.ReserveUpload(*upload_, std::move(share));
  buffers.Add(Buffer::kTails, upload_->staged_capacity());
  return is_reserved;
}

void Uploading::Queue() {
  LARDER_ASSERT(wait_ == Wait::kForBytes);
  wait_ = Wait::kQueued;
  queued_at_s_ = workspace_.lane.now_s;
  workspace_.shared.uploads.Await(this);
}

bool Uploading::TakeMemory() {
  LARDER_ASSERT(is_queued());
  LARDER_ASSERT(wanted_bytes_ > 0 && wanted_bytes_ <= upload_->left_bytes());
  if (!TakeShareOrStage(wanted_bytes_)) return false;
  // Take() removes it from the list by itself.
  if (!share_) workspace_.shared.uploads.RemoveServed(this);
  wait_ = Wait::kNone;
  upload_->ExcuseWait(queued_at_s_, workspace_.lane.now_s);
  return true;
}

std::size_t Uploading::FillPieces(InputPieces& pieces, iovec area, std::size_t& room_bytes) {
  room_bytes = 0;
  if (!upload_->is_reserved() || upload_->left_bytes() == 0) return 0;
  std::size_t count = 0;
  slab::ValueCursor at = upload_->at();
  // The value may lie in many chunks; one call covers some of them, up to the work of a turn.
  while (count < kUploadPiecesMax && room_bytes < kWorkPerTurnBytes && !at.piece().empty()) {
    pieces[count++] = {at.piece().data(), at.piece().size()};
    room_bytes += at.piece().size();
    at.Advance(at.piece().size());
  }
  LARDER_ASSERT(count > 0 && room_bytes <= upload_->left_bytes());
  // The pieces cover the rest of the value: whatever follows it goes to the input area.
  if (room_bytes == upload_->left_bytes()) pieces[count++] = area;
  return count;
}

bool Uploading::CheckForStall(std::uint32_t now_s, std::uint32_t since_s) {
  if (is_queued()) return false;
  const Shared& shared = workspace_.shared;
  // A timeout of 0 means that there is none.
  const auto timeout_s = static_cast<std::uint32_t>(shared.config.upload_timeout_s);
  if (timeout_s != 0 && now_s > since_s + timeout_s) return true;
  const std::uint64_t rate_bytes = std::uint64_t{shared.config.upload_rate_kilobytes} * 1024;
  return upload_->CheckForSlowness(now_s, rate_bytes) && shared.uploads.has_waiting();
}

}  // namespace larder::server
