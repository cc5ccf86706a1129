#include "server/session/text_wire.h"

#include <algorithm>
#include <utility>

#include "protocol/encoding/base64.h"
#include "protocol/encoding/write.h"
#include "protocol/meta/meta_verbs.h"
#include "protocol/text/login_parser.h"
#include "protocol/text/text_parser.h"
#include "protocol/text/text_verbs.h"
#include "server/command/text_executor.h"
#include "server/session/serve_batch.h"
#include "slab/check.h"

namespace larder::server {
namespace {

using protocol::ParseStatus;

// The description of the lines for ServeBatchOf(): see there.
struct Lines {
  using Request = protocol::LineRequest;

  static auto& In(Batch& batch) { return batch.lines; }
  static protocol::ParseResult Parse(std::string_view input, protocol::KeyList& keys,
                                     Request& request) noexcept {
    return protocol::ParseText(input, keys, request);
  }
  static void DecodeKey(Request& request, char* room) {
    if (request.is_key_encoded) request.key = protocol::DecodeBase64(room, request.key);
  }
  // All keys of a retrieval line count as one request.
  static bool EndsRequest(const Request& request) { return request.is_last_key; }
  // The command word, for the log. It is searched, because only a verbose log needs it.
  static std::string_view NameOf(const Request& request) {
    if (request.verb == protocol::TextVerb::kMeta) {
      return std::ranges::find(protocol::kMetaVerbs, request.meta_verb,
                               &protocol::MetaVerbSpec::verb)
          ->name;
    }
    const auto* const row =
        std::ranges::find(protocol::kTextVerbs, request.verb, &protocol::TextVerbSpec::verb);
    return row != protocol::kTextVerbs.end() ? row->name : "(bad line)";
  }
};

}  // namespace

BatchResult TextWire::ServeBatch(std::string_view& input, protocol::KeyList& keys,
                                 const BatchLimits& limits) {
  return ServeBatchOf<Lines>(workspace_, *workspace_.executor, input, keys, limits);
}

std::size_t TextWire::value_end_bytes() const { return protocol::kCrlf.size(); }

UploadBegin TextWire::BeginUpload(std::size_t at) {
  return BeginUploadOf<Lines>(workspace_, *workspace_.executor, at, value_end_bytes());
}

bool TextWire::ReserveUpload(Upload& upload, UploadMemory::Share share) {
  return workspace_.executor->ReserveUpload(upload, std::move(share));
}

void TextWire::FinishUpload(Upload& upload, std::string_view end) {
  LARDER_ASSERT(end.size() == value_end_bytes());
  LARDER_ASSERT(upload.left_bytes() == 0);
  // A value has to be followed by CRLF: otherwise the client has announced a wrong length.
  if (end == protocol::kCrlf) {
    workspace_.executor->FinishUpload(upload);
  } else {
    workspace_.executor->RejectUpload(upload);
  }
}

std::unique_ptr<ReplyStream> TextWire::BeginStream(std::size_t at) {
  LARDER_ASSERT(at < workspace_.batch.count);
  // The reporter wakes the stream from another thread, which WakeStreams() allows.
  return workspace_.executor->BeginStream(workspace_.batch.lines[at],
                                          [&host = workspace_.host] { host.WakeStreams(); });
}

LoginResult TextWire::ServeLogin(std::string_view& input, std::unique_ptr<SaslSession>&,
                                 int client_number) {
  protocol::LoginRequest login;
  const protocol::ParseResult parsed = protocol::ParseLogin(input, login);
  // Nothing is consumed before the login is complete.
  if (parsed.status == ParseStatus::kNeedMore) return {};
  input.remove_prefix(parsed.consumed_bytes);
  LogUnauthenticated(workspace_, client_number);
  using Status = LoginResult::Status;
  return {.status = parsed.status == ParseStatus::kFatal ? Status::kFatal : Status::kAnswered,
          .outcome = workspace_.executor->LogIn(login),
          .swallow_bytes = login.swallow_bytes};
}

// Never called: no line of the text protocol asks to authenticate after the login, so no batch ends
// with kLogIn. If it were called, closing would be the safe answer.
LoginResult TextWire::LogIn(std::size_t, std::unique_ptr<SaslSession>&) {
  return {.status = LoginResult::Status::kAnswered, .outcome = LoginOutcome::kClose};
}

}  // namespace larder::server
