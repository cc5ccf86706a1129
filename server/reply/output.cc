#include "server/reply/output.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace larder::server {
namespace {

// Of these only what is used is ever touched.
constexpr std::size_t kAreaBytes = std::size_t{1} << 20;
constexpr int kPiecesPerSendMax = 64;

// Where the stream of bytes pauses for the next pin.
std::size_t StopAt(const std::vector<PinnedValue>& pins, const OutputSlice& slice) {
  return slice.pins_begin < slice.pins_end ? pins[slice.pins_begin].at : slice.end;
}

int Gather(const char* data, const std::vector<PinnedValue>& pins, OutputSlice slice,
           std::array<iovec, kPiecesPerSendMax>& pieces) {
  int count = 0;
  const auto add = [&](const void* at, std::size_t bytes) {
    pieces[static_cast<std::size_t>(count++)] = {const_cast<void*>(at), bytes};
  };
  while (count < kPiecesPerSendMax) {
    const std::size_t stop = StopAt(pins, slice);
    if (slice.begin < stop) {
      add(data + slice.begin, stop - slice.begin);
      slice.begin = stop;
      continue;
    }
    if (slice.pins_begin == slice.pins_end) break;
    slab::ValueCursor value = pins[slice.pins_begin].value;
    while (count < kPiecesPerSendMax && !value.piece().empty()) {
      add(value.piece().data(), value.piece().size());
      value.Advance(value.piece().size());
    }
    if (!value.piece().empty()) break;
    ++slice.pins_begin;
  }
  return count;
}

void Consume(std::vector<PinnedValue>& pins, OutputSlice& slice, std::size_t bytes) {
  while (bytes > 0) {
    const std::size_t stop = StopAt(pins, slice);
    if (slice.begin < stop) {
      const std::size_t taken = std::min(bytes, stop - slice.begin);
      slice.begin += taken;
      bytes -= taken;
      continue;
    }
    PinnedValue& pin = pins[slice.pins_begin];
    const std::size_t taken = std::min(bytes, pin.value.piece().size());
    pin.value.Advance(taken);
    bytes -= taken;
    if (pin.value.piece().empty()) {
      pin.item = slab::ItemHandle();
      ++slice.pins_begin;
    }
  }
}

}  // namespace

void Output::Clear() {
  if (size_ > touched_bytes_) [[unlikely]]
    SetTouched(size_);
  size_ = 0;
  further_work_bytes_ = 0;
  pins_.clear();
  if (capacity_ > kAreaBytes) {
    area_ = std::make_unique_for_overwrite<char[]>(kAreaBytes);
    capacity_ = kAreaBytes;
    SetTouched(0);
  }
}

void Output::SetTouched(std::size_t bytes) {
  if (touched_counter_ != nullptr) touched_counter_->Add(bytes - touched_bytes_);
  touched_bytes_ = bytes;
}

void Output::Grow(std::size_t bytes) {
  const std::size_t capacity = std::max({kAreaBytes, capacity_ * 2, size_ + bytes});
  auto area = std::make_unique_for_overwrite<char[]>(capacity);
  if (size_ != 0) std::memcpy(area.get(), area_.get(), size_);
  area_ = std::move(area);
  capacity_ = capacity;
}

SendStatus Send(int fd, const char* data, std::vector<PinnedValue>& pins, OutputSlice& slice,
                std::uint64_t& sent_bytes) {
  while (!slice.is_empty()) {
    ssize_t sent = 0;
    if (slice.pins_begin == slice.pins_end) {
      sent = send(fd, data + slice.begin, slice.end - slice.begin, MSG_NOSIGNAL);
    } else {
      std::array<iovec, kPiecesPerSendMax> pieces;
      msghdr message{};
      message.msg_iov = pieces.data();
      message.msg_iovlen = static_cast<std::size_t>(Gather(data, pins, slice, pieces));
      sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    }
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? SendStatus::kBlocked : SendStatus::kClosed;
    }
    sent_bytes += static_cast<std::uint64_t>(sent);
    Consume(pins, slice, static_cast<std::size_t>(sent));
  }
  return SendStatus::kDone;
}

PendingOutput::PendingOutput(const char* data, std::vector<PinnedValue>& pins,
                             const OutputSlice& slice)
    : bytes_(data + slice.begin, slice.end - slice.begin) {
  for (std::size_t i = slice.pins_begin; i < slice.pins_end; ++i) {
    pins_.push_back(
        {.at = pins[i].at - slice.begin, .item = std::move(pins[i].item), .value = pins[i].value});
  }
  slice_ = {.begin = 0, .end = bytes_.size(), .pins_begin = 0, .pins_end = pins_.size()};
}

}  // namespace larder::server
