#include "server/session/session.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "protocol/parse_result.h"
#include "server/command/binary_executor.h"
#include "server/command/text_executor.h"
#include "slab/check.h"

namespace larder::server {

static_assert(kInputBytesBesideOthers <= kInputBytes);

Session::Session(Wires& wires, const SessionTerms& terms, ClientIdentity client, int number)
    : wires_(wires),
      workspace_(wires.workspace),
      client_(std::move(client)),
      protocol_(terms.protocol),
      number_(number) {
  if (terms.authentication == Authentication::kRequired) login_.emplace<Unauthenticated>();
}

Session::~Session() { DropTail(); }

// --- Input -------------------------------------------------------------------------------------

void Session::KeepTail(std::string_view input) {
  // Keep() may change the capacity, so the old one is subtracted first.
  workspace_.buffers().Subtract(Buffer::kTails, tail_.held_bytes());
  tail_.Keep(input);
  workspace_.buffers().Add(Buffer::kTails, tail_.held_bytes());
}

void Session::DropTail() {
  workspace_.buffers().Subtract(Buffer::kTails, tail_.held_bytes());
  tail_.Drop();
}

void Session::BeginTurn() {
  input_ = tail_.view();
  room_in_cache_ = 0;
  wants_turn_ = false;
  budget_.Begin(workspace_.output.work_bytes(),
                static_cast<std::uint32_t>(workspace_.shared.config.requests_per_turn_max));
}

std::span<const iovec> Session::PreparePieces(InputPieces& pieces) {
  LARDER_ASSERT(!is_streaming() && !awaits_memory());
  char* const area = workspace_.input.data();
  const std::size_t kept = tail_.view().size();
  LARDER_ASSERT(kept <= kInputBytes);
  // Input that was kept moves to the front of the area, so that it and the new input lie together
  // and can be parsed as one text.
  if (kept != 0) {
    std::memcpy(area, tail_.view().data(), kept);
    DropTail();
  }
  input_ = {area, kept};
  if (kept == kInputBytes) return {};
  const iovec rest{area + kept, kInputBytes - kept};
  // The rest of a value is received straight into the cache. Bytes of it that were kept, because
  // replies were pending, have to be stored first.
  if (uploading() != nullptr && kept == 0) {
    const std::size_t count = uploading()->FillPieces(pieces, rest, room_in_cache_);
    if (count != 0) return {pieces.data(), count};
  }
  // Less is received at once while other clients come often; see turn_budget.h.
  const std::size_t bytes_max = budget_.others_come_often() ? kInputBytesBesideOthers : kInputBytes;
  pieces[0] = {rest.iov_base, std::min(rest.iov_len, bytes_max)};
  return {pieces.data(), 1};
}

void Session::Took(std::size_t bytes) {
  // Bytes received into the cache are part of the value already. They also count as work.
  const std::size_t into_cache = std::min(bytes, room_in_cache_);
  LARDER_ASSERT(input_.size() + bytes - into_cache <= kInputBytes);
  if (into_cache != 0) {
    uploading()->Skip(into_cache);
    workspace_.output.AddWork(into_cache);
  }
  input_ = {input_.data(), input_.size() + bytes - into_cache};
}

Wire& Session::ChooseWire(char first_byte) const {
  switch (protocol_) {
    // The first byte of a binary packet is one that no text command begins with.
    case BindingProtocol::kNegotiate:
      if (static_cast<unsigned char>(first_byte) == protocol::kRequestMagic) return wires_.binary;
      return wires_.text;
    case BindingProtocol::kBinary:
      return wires_.binary;
    case BindingProtocol::kAscii:
      break;
  }
  return wires_.text;
}

// --- Serving -----------------------------------------------------------------------------------

void Session::Serve() {
  LARDER_ASSERT(!is_streaming() && !awaits_memory());
  std::string_view input = std::exchange(input_, {});
  if (wire_ == nullptr && !input.empty()) wire_ = &ChooseWire(input.front());
  LARDER_ASSERT(wire_ != nullptr);
  // The executors are shared by all sessions of the worker.
  workspace_.executor->set_client(client_);
  workspace_.binary_executor->set_client(client_);
  const auto are_others_ready = [this] { return workspace_.host.AreOthersReady(); };
  bool goes_on = true;
  // At least once: an upload may be complete without a further byte of input.
  do {
    goes_on = ServeOnce(input);
  } while (goes_on && !has_ended() &&
           !budget_.IsSpent(workspace_.output.work_bytes(), are_others_ready));
  if (has_ended()) return DropTail();
  if (!input.empty()) {
    KeepTail(input);
  } else if (!tail_.empty()) {
    DropTail();
  }
  // Otherwise only an event of the socket brings the session another turn, and for input that is
  // here already no event will come.
  wants_turn_ = !tail_.empty() && (goes_on || budget_.requests_left() == 0);
}

bool Session::ServeOnce(std::string_view& input) {
  if (is_between_requests()) [[likely]] {
    if (std::holds_alternative<Unauthenticated>(login_)) [[unlikely]]
      return ServeUnauthenticated(input);
    return ServeRequests(input);
  }
  return uploading() != nullptr ? ContinueUpload(input) : Swallow(input);
}

bool Session::Swallow(std::string_view& input) {
  std::uint64_t& left = std::get<Swallowing>(state_).bytes;
  LARDER_ASSERT(left > 0);
  const std::size_t n = std::min<std::uint64_t>(left, input.size());
  input.remove_prefix(n);
  left -= n;
  if (left != 0) return false;
  state_.emplace<Requests>();
  return true;
}

void Session::SwallowNext(std::uint64_t bytes) {
  if (bytes != 0) state_.emplace<Swallowing>(Swallowing{bytes});
}

bool Session::ContinueUpload(std::string_view& input) {
  switch (uploading()->Continue(input)) {
    case Uploading::Step::kNeedsMore:
      return false;
    case Uploading::Step::kRefused:
      state_.emplace<Swallowing>(Swallowing{uploading()->rest_bytes()});
      return true;
    case Uploading::Step::kFinished:
      break;
  }
  state_.emplace<Requests>();
  return true;
}

bool Session::ServeRequests(std::string_view& input) {
  const BatchResult batch = wire_->ServeBatch(input, key_list_,
                                              {.requests_max = budget_.requests_left(),
                                               .work_bytes_max = budget_.work_bytes_max(),
                                               .client_number = number_});
  budget_.Spend(batch.requests, batch.units);
  SwallowNext(batch.swallow_bytes);
  switch (batch.end) {
    case BatchEnd::kFull:
      return budget_.requests_left() != 0;
    case BatchEnd::kWorkDone:
      return true;
    case BatchEnd::kNeedMore:
      return false;
    case BatchEnd::kNeedValue:
      BeginUpload(batch.at);
      return true;
    case BatchEnd::kLogIn:
      return LogIn(batch.at);
    case BatchEnd::kStream:
      return BeginStream(batch.at);
    case BatchEnd::kClose:
      state_ = Ended{EndReason::kNormal};
      return false;
    case BatchEnd::kStop:
      state_ = Ended{EndReason::kStop};
      return false;
    case BatchEnd::kFail:
      break;
  }
  state_ = Ended{EndReason::kError};
  return false;
}

void Session::BeginUpload(std::size_t at) {
  LARDER_ASSERT(is_between_requests());
  UploadBegin begin = wire_->BeginUpload(at);
  if (begin.upload != nullptr) {
    state_ = std::make_unique<Uploading>(workspace_, *wire_, std::move(begin.upload));
  } else {
    SwallowNext(begin.swallow_bytes);
  }
}

void Session::End() {
  state_.emplace<Ended>();
  stream_awaits_wake_ = false;
  DropTail();
}

// --- Login -------------------------------------------------------------------------------------

bool Session::ServeUnauthenticated(std::string_view& input) {
  const LoginResult login =
      wire_->ServeLogin(input, std::get<Unauthenticated>(login_).sasl, number_);
  if (login.status == LoginResult::Status::kNeedMore) return false;
  return EndLogin(login);
}

bool Session::LogIn(std::size_t at) {
  // A client that asks to authenticate is unauthenticated until that succeeds, even if it was
  // authenticated before.
  if (!std::holds_alternative<Unauthenticated>(login_)) login_.emplace<Unauthenticated>();
  return EndLogin(wire_->LogIn(at, std::get<Unauthenticated>(login_).sasl));
}

bool Session::EndLogin(const LoginResult& login) {
  LARDER_ASSERT(login.status != LoginResult::Status::kNeedMore);
  SwallowNext(login.swallow_bytes);
  if (login.outcome) {
    // An attempt takes as long as there are passwords to compare with, so it ends the turn: one
    // attempt a turn, and other clients in between.
    budget_.Spend(1, 0);
    workspace_.output.AddWork(kWorkPerTurnBytes + 1);
    if (*login.outcome == LoginOutcome::kAdmitted) login_.emplace<Authenticated>();
    if (*login.outcome == LoginOutcome::kClose) state_ = Ended{EndReason::kError};
  }
  if (login.status == LoginResult::Status::kFatal) state_ = Ended{EndReason::kError};
  return budget_.requests_left() != 0;
}

// --- Replies made piece by piece ---------------------------------------------------------------

bool Session::BeginStream(std::size_t at) {
  LARDER_ASSERT(is_between_requests());
  budget_.Spend(1, 0);
  auto stream = wire_->BeginStream(at);
  if (stream != nullptr) {
    state_.emplace<Streaming>(Streaming{.stream = std::move(stream)});
    ContinueStream();
  }
  return !is_streaming() && budget_.requests_left() != 0;
}

void Session::ContinueStream() {
  LARDER_ASSERT(is_streaming() && !awaits_wake());
  switch (std::get<Streaming>(state_).stream->Continue(workspace_.lane, workspace_.output)) {
    case ReplyStream::Progress::kMore:
      break;
    case ReplyStream::Progress::kWaits:
      stream_awaits_wake_ = true;
      break;
    case ReplyStream::Progress::kEnded:
      state_.emplace<Requests>();
      break;
  }
}

ConnectionState Session::resting_state() const {
  if (is_watching()) return ConnectionState::kWatch;
  if (is_streaming()) {
    // A stream that waits is still being produced; otherwise its client has to read.
    return awaits_wake() ? ConnectionState::kParseCmd : ConnectionState::kMwrite;
  }
  if (std::holds_alternative<Swallowing>(state_)) return ConnectionState::kSwallow;
  return uploading() != nullptr ? ConnectionState::kNread : ConnectionState::kWaiting;
}

}  // namespace larder::server
