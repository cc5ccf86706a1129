#include "server/session/text_wire.h"

#include <algorithm>
#include <utility>

#include "protocol/login_parser.h"
#include "protocol/reply.h"
#include "protocol/text_parser.h"
#include "protocol/verbs.h"
#include "server/session/serve_batch.h"

namespace larder::server {
namespace {

using protocol::ParseStatus;
using protocol::Request;

struct Text {
  static protocol::ParseResult Parse(std::string_view input, protocol::KeyList& keys,
                                     Request& request) noexcept {
    return protocol::ParseText(input, keys, request);
  }
  static std::string_view NameOf(const Request& request) {
    const auto* const row =
        std::ranges::find(protocol::kVerbs, request.verb, &protocol::VerbSpec::verb);
    return row != protocol::kVerbs.end() ? row->name : "(bad line)";
  }
};

}  // namespace

BatchResult TextWire::ServeBatch(std::string_view& input, protocol::KeyList& keys,
                                 const BatchLimits& limits) {
  return ServeBatchOf<Text>(workspace_, workspace_.executor, input, keys, limits);
}

std::size_t TextWire::value_end_bytes() const { return protocol::kCrlf.size(); }

std::unique_ptr<Upload> TextWire::BeginUpload(const Request& request, std::uint64_t hash) {
  return workspace_.executor.BeginUpload(request, hash);
}

bool TextWire::ReserveUpload(Upload& upload, UploadMemory::Share share) {
  return workspace_.executor.ReserveUpload(upload, std::move(share));
}

void TextWire::FinishUpload(Upload& upload, std::string_view end) {
  if (end == protocol::kCrlf) {
    workspace_.executor.FinishUpload(upload);
  } else {
    workspace_.executor.RejectUpload(upload);
  }
}

std::unique_ptr<ReplyStream> TextWire::BeginStream(const Request& request) {
  return workspace_.executor.BeginStream(request,
                                         [&host = workspace_.host] { host.WakeStreams(); });
}

LoginResult TextWire::ServeLogin(std::string_view& input, std::unique_ptr<SaslSession>&,
                                 int client_number) {
  protocol::LoginRequest login;
  const protocol::ParseResult parsed = protocol::ParseLogin(input, login);
  if (parsed.status == ParseStatus::kNeedMore) return {};
  input.remove_prefix(parsed.consumed_bytes);
  LogUnauthenticated(workspace_, client_number);
  using Status = LoginResult::Status;
  return {.status = parsed.status == ParseStatus::kFatal ? Status::kFatal : Status::kAnswered,
          .outcome = workspace_.executor.LogIn(login),
          .swallow_bytes = login.swallow_bytes};
}

// No line of text is for it: a batch never ends so.
LoginOutcome TextWire::LogIn(const Request&, std::unique_ptr<SaslSession>&) {
  return LoginOutcome::kClose;
}

}  // namespace larder::server
