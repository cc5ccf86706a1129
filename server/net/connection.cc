#include "server/net/connection.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
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
#include "server/net/worker.h"

namespace larder::server {
namespace {

using protocol::ParseStatus;
using protocol::Request;

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

Connection::Connection(Worker& worker, AcceptedClient client)
    : worker_(worker),
      identity_(std::move(client.identity)),
      protocol_(client.terms.protocol),
      is_stranger_(client.terms.authentication == Authentication::kRequired),
      slice_units_max_(kUnitsPerSlice),
      transport_(MakeTransport(client.terms.transport, client.fd, *worker.base(), *this)) {
  info_.last_command_s.store(worker_.lane().now_s, std::memory_order_relaxed);
  buffers().Add(Buffer::kConnections, sizeof *this + transport_->held_bytes());
  worker_.shared().connections.Add(transport_->descriptor(), info_);
}

Connection::~Connection() {
  buffers().Subtract(Buffer::kConnections, sizeof *this + transport_->held_bytes());
  DropTail();
  DropPending();
  DropUpload();
  worker_.shared().connections.Remove(transport_->descriptor());
  if (closes_after_flush_ && !is_closed_) transport_->Finish({worker_.input_area(), kInputBytes});
  // Before the transport closes: a client that sees the end may come back at once.
  worker_.shared().clients.fetch_sub(1, std::memory_order_relaxed);
}

void Connection::OnTransportReady() noexcept { worker_.MakeReady(*this); }

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
  using Await = Transport::Await;
  // What has come waits in the socket while the stream or the upload does.
  const Await unless_pending = awaits_wake_ || is_queued_ ? Await::kNothing : Await::kInput;
  transport_->Wake(pending_ != nullptr ? Await::kOutput : unless_pending);
}

void Connection::WakeStream() {
  awaits_wake_ = false;
  SetState(resting_state());
  Listen();
  worker_.MakeReady(*this);
}

bool Connection::is_idle_too_long(std::uint32_t now_s, std::uint32_t timeout_s) const {
  // In the middle of a value or a reply the time since its last request says nothing.
  return !identity_.address.is_unix() && upload_ == nullptr && swallow_bytes_ == 0 &&
         pending_ == nullptr && stream_ == nullptr &&
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
  Transferred received;
  if (have < kInputBytes) {
    std::size_t in_area = 0;
    received = ReceiveInto({area + have, kInputBytes - have}, in_area);
    switch (received.status) {
      case TransferStatus::kDone:
        worker_.counters().Add(Stat::kBytesRead, received.bytes);
        info_.last_command_s.store(worker_.lane().now_s, std::memory_order_relaxed);
        break;
      case TransferStatus::kBlocked:
        break;
      case TransferStatus::kEnded:
        // What it sent before it left is still served.
        has_peer_finished_ = true;
        is_closed_ = have == 0;
        break;
      case TransferStatus::kFailed:
        is_closed_ = true;
        return false;
    }
    have += in_area;
  }
  input = {area, have};
  if (have == 0 && received.bytes == 0) return false;

  if (!has_seen_input_ && have != 0) ChooseProtocol(area[0]);
  return true;
}

Transferred Connection::ReceiveInto(std::span<char> area, std::size_t& in_area) {
  // Bytes of the value that were kept, because replies were stuck, come first.
  const bool has_kept = area.size() != kInputBytes;
  if (upload_ != nullptr && upload_->is_reserved() && upload_->left_bytes() != 0 && !has_kept) {
    return ReceiveUpload(area, in_area);
  }
  const iovec piece{area.data(), area.size()};
  const Transferred received = transport_->Receive({&piece, 1});
  in_area = received.bytes;
  return received;
}

void Connection::ChooseProtocol(char first_byte) {
  has_seen_input_ = true;
  switch (protocol_) {
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

// Receives straight into the item, and what comes behind the value into the area.
Transferred Connection::ReceiveUpload(std::span<char> area, std::size_t& in_area) {
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
  if (reaches_end) pieces[count++] = {area.data(), area.size()};
  const Transferred received = transport_->Receive(std::span(pieces).first(count));
  const std::size_t into_item = std::min(received.bytes, room);
  upload_->Skip(into_item);
  worker_.output().AddWork(into_item);
  in_area = received.bytes - into_item;
  return received;
}

void Connection::Serve(std::string_view input) {
  SetState(ConnectionState::kParseCmd);
  worker_.executor().set_client(identity_);
  worker_.binary_executor().set_client(identity_);
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
  if (!share) {
    memory.Claim(this);
    return false;
  }
  upload_share_.emplace(std::move(*share));
  awaits_memory_ = is_queued_ = false;
  memory.RemoveWaiting();
  Listen();
  worker_.MakeReady(*this);
  return true;
}

void Connection::QueueForMemory() {
  is_queued_ = true;
  worker_.shared().uploads.AddWaiting();
  worker_.AwaitUploadMemory(*this);
  Listen();
}

void Connection::DropUpload() {
  if (upload_ == nullptr) return;
  buffers().Subtract(Buffer::kTails, upload_->staged_capacity());
  if (is_queued_) worker_.shared().uploads.RemoveWaiting();
  worker_.shared().uploads.GiveUp(this);
  upload_share_.reset();
  upload_.reset();
}

std::size_t Connection::value_end_bytes() const {
  return is_binary_ ? BinaryWire::kValueEndBytes : TextWire::kValueEndBytes;
}

bool Connection::is_upload_stalled(std::uint32_t now_s) const {
  if (upload_ == nullptr || is_queued_) return false;
  const auto timeout_s = static_cast<std::uint32_t>(worker_.shared().config.upload_timeout_s);
  const std::uint32_t since_s = info_.last_command_s.load(std::memory_order_relaxed);
  if (timeout_s != 0 && now_s > since_s + timeout_s) return true;
  const std::uint32_t idle_s = now_s - std::min(now_s, since_s);
  return worker_.shared().uploads.has_waiting() && upload_->is_slow(now_s, idle_s);
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
      LogRequest<Wire>(transport_->descriptor(), request);
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
    Log("<{} (unauthenticated)\n", transport_->descriptor());
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

SendStatus Connection::Send(UnsentOutput output) {
  std::uint64_t sent_bytes = 0;
  TransferStatus status = TransferStatus::kDone;
  while (status == TransferStatus::kDone && !output.is_empty()) {
    OutputPieces pieces;
    const Transferred sent = transport_->Send(output.Pieces(pieces));
    output.Consume(sent.bytes);
    sent_bytes += sent.bytes;
    status = sent.status;
  }
  worker_.counters().Add(Stat::kBytesWritten, sent_bytes);
  if (status == TransferStatus::kDone) return SendStatus::kDone;
  return status == TransferStatus::kBlocked ? SendStatus::kBlocked : SendStatus::kClosed;
}

void Connection::Flush() {
  if (is_closed_) return;
  SendStatus status = SendStatus::kDone;
  if (pending_ != nullptr) {
    status = Send(pending_->unsent());
    if (status == SendStatus::kDone) {
      DropPending();
      SetState(resting_state());
      Listen();
      if (!tail_.empty()) worker_.MakeReady(*this);
    }
  } else if (!output_.is_empty()) {
    Output& output = worker_.output();
    status = Send({output.data(), output.pins(), output_});
    if (status == SendStatus::kBlocked) {
      KeepPending();
      SetState(resting_state());
      Listen();
    }
  }
  output_ = {};
  if (status == SendStatus::kClosed) is_closed_ = true;
  if (stream_ != nullptr && !awaits_wake_ && pending_ == nullptr && !is_closed_) {
    worker_.counters().Add(Stat::kConnYields);  // Before the next piece the others are served.
    worker_.MakeReady(*this);
  }
}

}  // namespace larder::server
