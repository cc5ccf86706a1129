#include "server/connection.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "protocol/base64.h"
#include "protocol/binary_packet.h"
#include "protocol/binary_parser.h"
#include "protocol/login_parser.h"
#include "protocol/meta_flags.h"
#include "protocol/opcodes.h"
#include "protocol/reply.h"
#include "protocol/text_parser.h"
#include "protocol/verbs.h"
#include "server/authenticator.h"
#include "server/log.h"
#include "server/worker.h"

namespace larder::server {
namespace {

using protocol::ParseStatus;
using protocol::Request;

// What is taken off a socket that closes, at most.
constexpr std::size_t kDroppedBytesMax = std::size_t{1} << 20;
constexpr std::size_t kUploadPiecesMax = 16;  // Pieces of a value received at once, at most.

// Replaces a key in base64 by what it stands for, which gets its place at `room`.
void DecodeKey(Request& request, char* room) {
  if (protocol::HasEncodedKey(request)) request.key = protocol::DecodeBase64(room, request.key);
}

// What the protocols do differently.
struct TextWire {
  static constexpr std::size_t kValueEndBytes = protocol::kCrlf.size();

  static protocol::ParseResult Parse(std::string_view input, protocol::KeyList& list,
                                     Request& request) noexcept {
    return protocol::ParseText(input, list, request);
  }
  static Executor& ExecutorOf(Worker& worker) { return worker.executor(); }
  static std::string_view NameOf(const Request& request) {
    const auto* const row =
        std::ranges::find(protocol::kVerbs, request.verb, &protocol::VerbSpec::verb);
    return row != protocol::kVerbs.end() ? row->name : "(bad line)";
  }
};

struct BinaryWire {
  static constexpr std::size_t kValueEndBytes = 0;

  static protocol::ParseResult Parse(std::string_view input, protocol::KeyList&,
                                     Request& request) noexcept {
    return protocol::ParseBinary(input, request);
  }
  static BinaryExecutor& ExecutorOf(Worker& worker) { return worker.binary_executor(); }
  static std::string_view NameOf(const Request& request) {
    return protocol::FindOpcode(protocol::RequestPacket(request.arguments).echo().opcode).name;
  }
};

// One line per request on standard error, as `-vv` asks.
template <class Wire>
[[gnu::noinline]] void LogRequest(int fd, const Request& request) {
  Log("<{} {} {}\n", fd, Wire::NameOf(request), Printable(request.key));
}

}  // namespace

Connection::Connection(Worker& worker, int fd, Kind kind)
    : worker_(worker),
      fd_(fd),
      kind_(kind),
      is_stranger_(worker.shared().authenticator.is_required()),
      slice_units_max_(kUnitsPerSlice) {
  info_.last_command_s.store(worker_.lane().now_s, std::memory_order_relaxed);
  buffers().Add(Buffer::kConnections, sizeof *this);
  worker_.shared().connections.Add(fd_, info_);
  event_assign(&event_, worker_.base(), fd_, EV_READ | EV_PERSIST, &OnEvent, this);
  event_add(&event_, nullptr);
}

Connection::~Connection() {
  buffers().Subtract(Buffer::kConnections, sizeof *this);
  DropTail();
  DropPending();
  DropUpload();
  event_del(&event_);
  worker_.shared().connections.Remove(fd_);
  if (closes_after_flush_ && !is_closed_) DropUnread();
  // In this order: a client that sees the end may come back at once.
  worker_.shared().clients.fetch_sub(1, std::memory_order_relaxed);
  close(fd_);
}

void Connection::DropUnread() {
  shutdown(fd_, SHUT_WR);
  for (std::size_t dropped = 0; dropped < kDroppedBytesMax;) {
    const ssize_t n = recv(fd_, worker_.input_area(), kInputBytes, MSG_DONTWAIT);
    if (n <= 0) break;
    dropped += static_cast<std::size_t>(n);
  }
}

void Connection::OnEvent(int, short, void* self) noexcept {
  auto& connection = *static_cast<Connection*>(self);
  connection.worker_.MakeReady(connection);
}

// --- Memory kept between turns -----------------------------------------------------------------

BufferGauges& Connection::buffers() const { return worker_.counters().buffers; }

void Connection::KeepTail(std::string_view input) {
  buffers().Subtract(Buffer::kTails, tail_.held_bytes());
  tail_.Keep(input);
  buffers().Add(Buffer::kTails, tail_.held_bytes());
}

void Connection::DropTail() {
  buffers().Subtract(Buffer::kTails, tail_.held_bytes());
  tail_.Drop();
}

void Connection::KeepPending() {
  Output& output = worker_.output();
  pending_ = std::make_unique<PendingOutput>(output.data(), output.pins(), output_);
  buffers().Add(Buffer::kPending, pending_->held_bytes());
}

void Connection::DropPending() {
  if (pending_ == nullptr) return;
  buffers().Subtract(Buffer::kPending, pending_->held_bytes());
  pending_.reset();
}

void Connection::Listen() {
  // What has come waits in the socket while the stream or the upload does.
  const short idle = awaits_wake_ || is_queued_ ? short{0} : short{EV_READ};
  const short wanted = pending_ != nullptr ? short{EV_WRITE} : idle;
  if (wanted == std::exchange(listens_for_, wanted)) return;
  event_del(&event_);
  if (wanted == 0) return;
  event_assign(&event_, worker_.base(), fd_, static_cast<short>(wanted | EV_PERSIST), &OnEvent,
               this);
  event_add(&event_, nullptr);
}

void Connection::WakeStream() {
  awaits_wake_ = false;
  SetState(resting_state());
  Listen();
  worker_.MakeReady(*this);
}

bool Connection::is_idle_too_long(std::uint32_t now_s, std::uint32_t timeout_s) const {
  // In the middle of a value or a reply the time since its last request says nothing.
  return kind_ == Kind::kTcp && upload_ == nullptr && swallow_bytes_ == 0 && pending_ == nullptr &&
         stream_ == nullptr &&
         now_s > info_.last_command_s.load(std::memory_order_relaxed) + timeout_s;
}

// --- Process -----------------------------------------------------------------------------------

void Connection::Process() {
  output_ = {.begin = worker_.output().size(),
             .end = worker_.output().size(),
             .pins_begin = worker_.output().pins().size(),
             .pins_end = worker_.output().pins().size()};
  work_begin_ = worker_.output().work_bytes();
  slice_begin_ = work_begin_;
  slice_units_ = 0;
  const bool had_yielded = std::exchange(has_yielded, false);
  if (pending_ != nullptr) return;  // Woken to write: Flush does.
  if (awaits_memory_) {
    if (!is_queued_) QueueForMemory();
    return;
  }
  if (stream_ != nullptr) [[unlikely]] {
    if (!awaits_wake_ && ContinueStream() && !tail_.empty()) worker_.MakeReady(*this);
    return TakeOutput();
  }
  // What a turn left is served where it lies, before more is received.
  std::string_view input = tail_.view();
  if ((!had_yielded || input.empty()) && !Receive(input)) return;
  Serve(input);
  if (closes_after_flush_) DropTail();
  TakeOutput();
}

void Connection::TakeOutput() {
  output_.end = worker_.output().size();
  output_.pins_end = worker_.output().pins().size();
}

bool Connection::has_worked_enough() {
  const std::size_t work_bytes = worker_.output().work_bytes();
  if (work_bytes - work_begin_ > kWorkPerTurnBytes) return true;
  if (slice_units_ < slice_units_max_ && work_bytes - slice_begin_ < kWorkPerSliceBytes)
    return false;
  slice_begin_ = work_bytes;
  slice_units_ = 0;
  const bool are_others_ready = worker_.AreOthersReady(*this);
  slice_units_max_ = are_others_ready
                         ? kUnitsPerSliceMin
                         : std::min(slice_units_max_ + kUnitsPerSliceStep, kUnitsPerSlice);
  return are_others_ready;
}

bool Connection::Receive(std::string_view& input) {
  char* area = worker_.input_area();
  std::size_t have = tail_.view().size();
  if (have != 0) {
    std::memcpy(area, tail_.view().data(), have);
    DropTail();
  }
  std::int64_t received = 0;
  std::size_t in_area = 0;
  // Bytes of the value that were kept, because replies were stuck, come first.
  if (upload_ != nullptr && upload_->is_reserved() && upload_->left_bytes() != 0 && have == 0) {
    in_area = ReceiveUpload(area, kInputBytes, received);
  } else if (have < kInputBytes) {
    const bool others_come_often = slice_units_max_ < kUnitsPerSlice;
    const std::size_t bytes_max = others_come_often ? kInputBytesBesideOthers : kInputBytes;
    received = recv(fd_, area + have, std::min(kInputBytes - have, bytes_max), 0);
    in_area = received > 0 ? static_cast<std::size_t>(received) : 0;
  }
  if (received > 0) {
    worker_.counters().Add(Stat::kBytesRead, static_cast<std::uint64_t>(received));
    info_.last_command_s.store(worker_.lane().now_s, std::memory_order_relaxed);
  } else if (received == 0 && have < kInputBytes) {
    // What it sent before it left is still served.
    has_peer_finished_ = true;
    is_closed_ = have == 0;
    if (is_closed_) return false;
  } else if (received < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
    is_closed_ = true;
    return false;
  }
  have += in_area;
  input = {area, have};
  if (have == 0 && received <= 0) return false;

  if (!has_seen_input_ && have != 0) ChooseProtocol(area[0]);
  return true;
}

void Connection::ChooseProtocol(char first_byte) {
  has_seen_input_ = true;
  switch (worker_.shared().config.protocol) {
    case BindingProtocol::kNegotiate:
      is_binary_ = static_cast<unsigned char>(first_byte) == protocol::kRequestMagic;
      break;
    case BindingProtocol::kAscii:
      is_binary_ = false;
      break;
    case BindingProtocol::kBinary:
      is_binary_ = true;
      break;
  }
}

// Receives straight into the item, and what comes behind the value into the area. Returns the bytes
// in the area.
std::size_t Connection::ReceiveUpload(char* area, std::size_t area_bytes, std::int64_t& received) {
  std::array<iovec, kUploadPiecesMax + 1> pieces;
  std::size_t count = 0;
  std::size_t room = 0;
  slab::ValueCursor at = upload_->at();
  while (count < kUploadPiecesMax && room < kWorkPerTurnBytes && !at.piece().empty()) {
    pieces[count++] = {at.piece().data(), at.piece().size()};
    room += at.piece().size();
    at.Advance(at.piece().size());
  }
  const bool reaches_end = room == upload_->left_bytes();
  if (reaches_end) pieces[count++] = {area, area_bytes};
  received = readv(fd_, pieces.data(), static_cast<int>(count));
  if (received <= 0) return 0;
  const auto into_item = std::min(static_cast<std::size_t>(received), room);
  upload_->Skip(into_item);
  worker_.output().AddWork(into_item);
  return static_cast<std::size_t>(received) - into_item;
}

void Connection::Serve(std::string_view input) {
  SetState(ConnectionState::kParseCmd);
  worker_.executor().set_client(fd_);
  worker_.binary_executor().set_client(fd_);
  requests_left_ = static_cast<std::uint32_t>(worker_.shared().config.requests_per_turn_max);
  bool goes_on = true;
  // At least once: an upload may be whole without a byte of input.
  do {
    if (swallow_bytes_ != 0) {
      goes_on = Swallow(input);
    } else if (upload_ != nullptr) {
      goes_on = ContinueUpload(input);
    } else if (is_stranger_) [[unlikely]] {
      goes_on = ServeStranger(input);
    } else {
      goes_on = is_binary_ ? ServeBatch<BinaryWire>(input) : ServeBatch<TextWire>(input);
    }
  } while (goes_on && !closes_after_flush_ && !has_worked_enough());
  if (!input.empty()) {
    KeepTail(input);
  } else if (!tail_.empty()) {
    DropTail();
  }
  // Only an event brings it back otherwise, and for input that is here already none will come.
  if (!tail_.empty() && !closes_after_flush_ && (goes_on || requests_left_ == 0)) {
    worker_.counters().Add(Stat::kConnYields);
    worker_.MakeReady(*this);
    has_yielded = true;
  }
  if (upload_ != nullptr) worker_.WatchUploads();
  if (has_peer_finished_ && !is_ready && stream_ == nullptr && !awaits_memory_) {
    closes_after_flush_ = true;
  }
  SetState(resting_state());
}

ConnectionState Connection::resting_state() const {
  if (awaits_wake_ && pending_ == nullptr) return ConnectionState::kParseCmd;
  if (pending_ != nullptr || stream_ != nullptr) return ConnectionState::kMwrite;
  if (swallow_bytes_ != 0) return ConnectionState::kSwallow;
  return upload_ != nullptr ? ConnectionState::kNread : ConnectionState::kWaiting;
}

bool Connection::Swallow(std::string_view& input) {
  const std::size_t n = std::min<std::uint64_t>(swallow_bytes_, input.size());
  input.remove_prefix(n);
  swallow_bytes_ -= n;
  return swallow_bytes_ == 0;
}

bool Connection::ContinueUpload(std::string_view& input) {
  const std::size_t n = std::min<std::size_t>(upload_->left_bytes(), input.size());
  if (!upload_->is_reserved() && !upload_->FitsStaged(n)) {
    const bool is_all_there = n == upload_->left_bytes() && input.size() >= n + value_end_bytes();
    if (!ReserveUpload()) {
      if (is_all_there) QueueForMemory();
      return false;
    }
    if (upload_ == nullptr) return true;  // It was refused.
  }
  const std::size_t staged_before = upload_->staged_capacity();
  upload_->Write(input.substr(0, n));
  buffers().Add(Buffer::kTails, upload_->staged_capacity() - staged_before);
  input.remove_prefix(n);
  if (upload_->left_bytes() != 0 || input.size() < value_end_bytes()) return false;
  const bool is_whole = is_binary_ || input.starts_with(protocol::kCrlf);
  input.remove_prefix(value_end_bytes());
  if (is_binary_) {
    worker_.binary_executor().FinishUpload(*upload_);
  } else if (is_whole) {
    worker_.executor().FinishUpload(*upload_);
  } else {
    worker_.executor().RejectUpload(*upload_);
  }
  DropUpload();
  return true;
}

bool Connection::ReserveUpload() {
  UploadMemory& memory = worker_.shared().uploads;
  if (!upload_share_) {
    auto share = memory.Take(upload_->plan(), this);
    if (!share) {
      awaits_memory_ = true;  // And is queued when more comes.
      return false;
    }
    upload_share_.emplace(std::move(*share));
  }
  buffers().Subtract(Buffer::kTails, upload_->staged_capacity());
  UploadMemory::Share share = std::move(*upload_share_);
  upload_share_.reset();
  const bool is_reserved = is_binary_
                               ? worker_.binary_executor().ReserveUpload(*upload_, std::move(share))
                               : worker_.executor().ReserveUpload(*upload_, std::move(share));
  buffers().Add(Buffer::kTails, upload_->staged_capacity());
  if (!is_reserved) {
    swallow_bytes_ = std::uint64_t{upload_->left_bytes()} + value_end_bytes();
    DropUpload();
  }
  return true;
}

bool Connection::TakeUploadMemory() {
  UploadMemory& memory = worker_.shared().uploads;
  auto share = memory.Take(upload_->plan(), this);
  if (!share) return false;
  upload_share_.emplace(std::move(*share));
  awaits_memory_ = is_queued_ = false;
  Listen();
  worker_.MakeReady(*this);
  return true;
}

void Connection::QueueForMemory() {
  is_queued_ = true;
  worker_.shared().uploads.Await(this);
  worker_.AwaitUploadMemory(*this);
  Listen();
}

void Connection::DropUpload() {
  if (upload_ == nullptr) return;
  buffers().Subtract(Buffer::kTails, upload_->staged_capacity());
  if (is_queued_) worker_.shared().uploads.Leave(this);
  upload_share_.reset();
  upload_.reset();
}

std::size_t Connection::value_end_bytes() const {
  return is_binary_ ? BinaryWire::kValueEndBytes : TextWire::kValueEndBytes;
}

bool Connection::IsUploadStalled(std::uint32_t now_s) {
  if (upload_ == nullptr || is_queued_) return false;
  const auto timeout_s = static_cast<std::uint32_t>(worker_.shared().config.upload_timeout_s);
  const std::uint32_t since_s = info_.last_command_s.load(std::memory_order_relaxed);
  if (timeout_s != 0 && now_s > since_s + timeout_s) return true;
  return upload_->IsSlow(now_s) && worker_.shared().uploads.has_waiting();
}

template <class Wire>
bool Connection::ServeBatch(std::string_view& input) {
  Batch& batch = worker_.batch();
  slab::Cache& cache = worker_.shared().cache;
  batch.count = 0;
  ParseStatus status = ParseStatus::kComplete;
  const std::size_t batch_max = std::min<std::size_t>(kBatchRequests, requests_left_);
  while (batch.count < batch_max) {
    if (input.empty()) {
      status = ParseStatus::kNeedMore;
      break;
    }
    Request& request = batch.requests[batch.count];
    const protocol::ParseResult result = Wire::Parse(input, key_list_, request);
    input.remove_prefix(result.consumed_bytes);
    status = result.status;
    if (status != ParseStatus::kComplete) [[unlikely]] {
      if (status != ParseStatus::kNeedValue && status != ParseStatus::kEncodedKey) break;
      DecodeKey(request, batch.decoded_keys[batch.count].data());
      if (status == ParseStatus::kEncodedKey) status = ParseStatus::kComplete;
    }
    // Commands without a key are few: the hash of nothing does no harm.
    batch.hashes[batch.count] = cache.Hash(request.key);
    cache.PrefetchBucket(batch.hashes[batch.count]);
    if (status == ParseStatus::kNeedValue) break;  // Stands behind the batch, not in it.
    batch.rests[batch.count] = input;
    batch.key_lists[batch.count] = key_list_;
    ++batch.count;
    if (request.swallow_bytes != 0) {
      swallow_bytes_ = request.swallow_bytes;
      break;
    }
  }

  slice_units_ += batch.count;
  if (batch.count > 1) {
    cache.PrefetchItems(std::span(batch.hashes).first(batch.count));
  }
  const bool is_logged = worker_.shared().verbosity.load(std::memory_order_relaxed) > 1;
  auto& executor = Wire::ExecutorOf(worker_);
  const std::size_t work_max = work_begin_ + kWorkPerTurnBytes;
  for (std::size_t i = 0; i < batch.count; ++i) {
    const Request& request = batch.requests[i];
    if (is_logged) [[unlikely]]
      LogRequest<Wire>(fd_, request);
    const Next then = executor.Execute(request, batch.hashes[i]);
    if (then != Next::kGoOn) [[unlikely]] {
      return LeaveBatch(then, i, input);
    }
    // All keys of a retrieval line count as one request.
    if (request.is_last_key) --requests_left_;
    if (worker_.output().work_bytes() > work_max && i + 1 < batch.count) [[unlikely]] {
      // The rest of the batch is parsed again in the next turn.
      input = batch.rests[i];
      key_list_ = batch.key_lists[i];
      swallow_bytes_ = 0;
      return true;
    }
  }

  switch (status) {
    case ParseStatus::kComplete:
    case ParseStatus::kEncodedKey:
      return requests_left_ != 0;
    case ParseStatus::kNeedMore:
      return false;
    case ParseStatus::kNeedValue:
      upload_ = executor.BeginUpload(batch.requests[batch.count], batch.hashes[batch.count]);
      if (upload_ == nullptr) {
        swallow_bytes_ =
            std::uint64_t{batch.requests[batch.count].value_bytes} + Wire::kValueEndBytes;
      }
      return true;
    case ParseStatus::kLineTooLong:
      worker_.output().Append(protocol::kLineTooLong);
      [[fallthrough]];
    case ParseStatus::kFatal:
      closes_after_flush_ = true;
      return false;
  }
  return false;
}

bool Connection::LeaveBatch(Next then, std::size_t last, std::string_view& input) {
  const Batch& batch = worker_.batch();
  const Request& request = batch.requests[last];
  // What was parsed behind it may not be served any more, or not now.
  input = batch.rests[last];
  key_list_ = batch.key_lists[last];
  swallow_bytes_ = 0;
  if (then == Next::kLogIn) return LogIn(request);
  if (then == Next::kStream) return BeginStream(request);
  closes_after_flush_ = true;
  return false;
}

bool Connection::ServeStranger(std::string_view& input) {
  protocol::LoginRequest login;
  Request request;
  const protocol::ParseResult result =
      is_binary_ ? protocol::ParseBinary(input, request) : protocol::ParseLogin(input, login);
  if (result.status == ParseStatus::kNeedMore) return false;
  input.remove_prefix(result.consumed_bytes);
  // Nothing of the request: it may have a password in the wrong place.
  if (worker_.shared().verbosity.load(std::memory_order_relaxed) > 1) {
    Log("<{} (unauthenticated)\n", fd_);
  }
  if (!is_binary_) {
    swallow_bytes_ = login.swallow_bytes;
    EndLogin(worker_.executor().LogIn(login));
  } else if (result.status != ParseStatus::kFatal) {
    LogIn(request);
  }
  if (result.status == ParseStatus::kFatal) closes_after_flush_ = true;
  return requests_left_ != 0;
}

bool Connection::LogIn(const Request& request) {
  swallow_bytes_ = request.swallow_bytes;
  EndLogin(worker_.binary_executor().LogIn(request, sasl_session_));
  return requests_left_ != 0;
}

bool Connection::BeginStream(const Request& request) {
  --requests_left_;
  const auto wake = [&worker = worker_] { worker.WakeStreams(); };
  stream_ = is_binary_ ? worker_.binary_executor().BeginStream(request, wake)
                       : worker_.executor().BeginStream(request, wake);
  return (stream_ == nullptr || ContinueStream()) && requests_left_ != 0;
}

bool Connection::ContinueStream() {
  switch (stream_->Continue(worker_.lane(), worker_.output())) {
    case ReplyStream::Progress::kMore:
      return false;
    case ReplyStream::Progress::kWaits:
      awaits_wake_ = true;
      SetState(resting_state());
      Listen();
      worker_.AwaitWake(*this);
      return false;
    case ReplyStream::Progress::kEnded:
      break;
  }
  stream_.reset();
  SetState(resting_state());
  return true;
}

void Connection::EndLogin(LoginOutcome outcome) {
  is_stranger_ = outcome != LoginOutcome::kAdmitted;
  closes_after_flush_ = outcome == LoginOutcome::kClose;
  --requests_left_;
  // An attempt takes as long as there are passwords to compare with: one a turn.
  worker_.output().AddWork(kWorkPerTurnBytes + 1);
}

// --- Flush -------------------------------------------------------------------------------------

void Connection::Flush() {
  if (is_closed_) return;
  std::uint64_t sent_bytes = 0;
  SendStatus status = SendStatus::kDone;
  if (pending_ != nullptr) {
    status = pending_->Send(fd_, sent_bytes);
    if (status == SendStatus::kDone) {
      DropPending();
      SetState(resting_state());
      Listen();
      if (!tail_.empty()) worker_.MakeReady(*this);
    }
  } else if (!output_.is_empty()) {
    Output& output = worker_.output();
    status = Send(fd_, output.data(), output.pins(), output_, sent_bytes);
    if (status == SendStatus::kBlocked) {
      KeepPending();
      SetState(resting_state());
      Listen();
    }
  }
  output_ = {};
  worker_.counters().Add(Stat::kBytesWritten, sent_bytes);
  if (status == SendStatus::kClosed) is_closed_ = true;
  if (stream_ != nullptr && !awaits_wake_ && pending_ == nullptr && !is_closed_) {
    worker_.counters().Add(Stat::kConnYields);  // Before the next piece the others are served.
    worker_.MakeReady(*this);
  }
}

}  // namespace larder::server
