// What clients may ask for before they have authenticated. A new command is refused, unless its row
// says otherwise.
#include <memory>
#include <string>
#include <string_view>

#include "protocol/binary/binary_packet.h"
#include "protocol/binary/opcodes.h"
#include "protocol/text/login_parser.h"
#include "protocol/text/text_reply.h"
#include "server/authenticator.h"
#include "server/command/binary_executor.h"
#include "server/command/text_executor.h"

namespace larder::server {
namespace {

using protocol::BinaryRequest;
using protocol::BinaryStatus;
using protocol::BinaryVerb;
using protocol::Echo;
using protocol::Login;

constexpr std::size_t kMechanismBytesMax = 32;
constexpr std::string_view kAuthenticated = "Authenticated";

}  // namespace

// --- Text --------------------------------------------------------------------------------------

LoginOutcome TextExecutor::LogIn(const protocol::LoginRequest& request) {
  std::string_view reply;
  LoginOutcome outcome = LoginOutcome::kUnauthenticated;
  switch (request.login) {
    case Login::kCredentials:
      counters_.Add(Stat::kAuthCmds);
      if (shared_.authenticator.AdmitText(request.user, request.password)) {
        outcome = LoginOutcome::kAdmitted;
        reply = protocol::kStored;
      } else {
        counters_.Add(Stat::kAuthErrors);
        reply = protocol::kAuthFailure;
      }
      break;
    case Login::kVersion:
      AnswerVersion();
      break;
    case Login::kQuit:
      outcome = LoginOutcome::kClose;
      break;
    case Login::kRefused:
      reply = protocol::kUnauthenticated;
      break;
    case Login::kTooLong:
      reply = protocol::kAuthTooLong;
      break;
    case Login::kBadEnd:
      reply = protocol::kBadAuthEnd;
      break;
    case Login::kBadFormat:
      reply = protocol::kBadAuthFormat;
      break;
  }
  output_.Append(reply);
  return outcome;
}

// --- Binary ------------------------------------------------------------------------------------

LoginOutcome BinaryExecutor::LogIn(const BinaryRequest& request,
                                   std::unique_ptr<SaslSession>& session) {
  const Echo echo = request.echo();
  // Wrong lengths are answered as such only where the command is allowed, but for a packet that is
  // none: memcached's order.
  const bool is_packet = request.error != protocol::PacketError::kBadBodyLength;
  if (is_packet && !protocol::FindOpcode(echo.opcode).is_before_login) {
    AnswerError(echo, BinaryStatus::kAuthError);
    return LoginOutcome::kClose;
  }
  const Sasl* const sasl = shared_.authenticator.sasl();
  switch (request.verb) {
    case BinaryVerb::kSaslList:
    case BinaryVerb::kSaslAuth:
    case BinaryVerb::kSaslStep:
      if (sasl != nullptr) return Authenticate(*sasl, request, session);
      AnswerError(echo, BinaryStatus::kAuthError);
      return LoginOutcome::kClose;
    default:
      return ExecuteRarer(request, 0) == Next::kClose ? LoginOutcome::kClose
                                                      : LoginOutcome::kUnauthenticated;
  }
}

// A client that asks for any of these is unauthenticated until a last step succeeds, whatever it
// was before.
LoginOutcome BinaryExecutor::Authenticate(const Sasl& sasl, const BinaryRequest& request,
                                          std::unique_ptr<SaslSession>& session) {
  const Echo echo = request.echo();
  if (request.verb == BinaryVerb::kSaslList) {
    session.reset();
    const auto mechanisms = sasl.Mechanisms();
    if (mechanisms) {
      AnswerSuccess(echo, 0, *mechanisms);
    } else {
      AnswerError(echo, BinaryStatus::kAuthError);
    }
    return LoginOutcome::kUnauthenticated;
  }
  if (request.key.size() > kMechanismBytesMax) {
    AnswerError(echo, BinaryStatus::kInvalidArguments);
    return LoginOutcome::kUnauthenticated;
  }
  if (request.value.size() != request.value_bytes) {  // Too long to be looked at.
    AnswerError(echo, BinaryStatus::kOutOfMemory);
    return LoginOutcome::kUnauthenticated;
  }

  SaslReply reply;
  if (request.verb == BinaryVerb::kSaslAuth) {
    session = sasl.NewSession();
    if (session != nullptr) reply = session->Start(std::string(request.key), request.value);
  } else if (session != nullptr) {
    reply = session->Step(request.value);
  }
  if (reply.status == SaslStatus::kContinue) {
    AnswerError(echo, BinaryStatus::kAuthContinue, reply.data);
    return LoginOutcome::kUnauthenticated;
  }
  session.reset();
  counters_.Add(Stat::kAuthCmds);
  if (reply.status == SaslStatus::kFailed) {
    counters_.Add(Stat::kAuthErrors);
    AnswerError(echo, BinaryStatus::kAuthError);
    return LoginOutcome::kUnauthenticated;
  }
  AnswerSuccess(echo, 0, kAuthenticated);
  return LoginOutcome::kAdmitted;
}

}  // namespace larder::server
