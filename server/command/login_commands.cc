// What clients may do before they have authenticated, in both protocols. A new command is refused
// there unless its row in the table of commands allows it.
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

// The longest name of a SASL mechanism, in bytes, that is passed to the library.
constexpr std::size_t kMechanismBytesMax = 32;
// The text of the reply to a successful authentication, as in memcached.
constexpr std::string_view kAuthenticated = "Authenticated";

}  // namespace

// --- Text --------------------------------------------------------------------------------------

// In the text protocol a client authenticates by a `set` whose value has its user name and
// password. Everything else but `version` and `quit` is refused.
LoginOutcome TextExecutor::LogIn(const protocol::LoginRequest& request) {
  std::string_view reply;
  LoginOutcome outcome = LoginOutcome::kUnauthenticated;
  switch (request.login) {
    case Login::kCredentials:
      // An attempt is counted whether it succeeds or not.
      counters_.Add(Stat::kAuthCmds);
      if (shared_.authenticator.AdmitText(request.user, request.password)) {
        outcome = LoginOutcome::kAdmitted;
        reply = protocol::kStored;
      } else {
        counters_.Add(Stat::kAuthErrors);
        reply = protocol::kAuthFailure;
      }
      break;
    // Clients may ask for the version before they log in.
    case Login::kVersion:
      AnswerVersion();
      break;
    case Login::kQuit:
      outcome = LoginOutcome::kClose;
      break;
    case Login::kRefused:
      reply = protocol::kUnauthenticated;
      break;
    // The remaining cases are lines that look like a login and are not a valid one.
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
  // memcached's order of checks: a command that is not allowed is refused before its lengths are
  // checked, except a packet whose lengths are contradictory.
  const bool is_packet = request.error != protocol::PacketError::kBadBodyLength;
  if (is_packet && !protocol::FindOpcode(echo.opcode).is_before_login) {
    AnswerError(echo, BinaryStatus::kAuthError);
    return LoginOutcome::kClose;
  }
  // The remaining commands are those that the table of opcodes allows before the login.
  const Sasl* const sasl = shared_.authenticator.sasl();
  switch (request.verb) {
    case BinaryVerb::kSaslList:
    case BinaryVerb::kSaslAuth:
    case BinaryVerb::kSaslStep:
      if (sasl != nullptr) return Authenticate(*sasl, request, session);
      AnswerError(echo, BinaryStatus::kAuthError);
      return LoginOutcome::kClose;
    default:
      return ExecuteRarer(request, 0) != Next::kGoOn ? LoginOutcome::kClose
                                                     : LoginOutcome::kUnauthenticated;
  }
}

// Executes one of the three SASL commands. A client that sends any of them is unauthenticated until
// a last step succeeds, even if it was authenticated before. `session` is its attempt in progress:
// it is replaced by a new start, and destroyed when the attempt has ended.
LoginOutcome BinaryExecutor::Authenticate(const Sasl& sasl, const BinaryRequest& request,
                                          std::unique_ptr<SaslSession>& session) {
  const Echo echo = request.echo();
  // A request for the list of mechanisms ends an attempt in progress.
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
  // The key of the packet is the name of the mechanism.
  if (request.key.size() > kMechanismBytesMax) {
    AnswerError(echo, BinaryStatus::kInvalidArguments);
    return LoginOutcome::kUnauthenticated;
  }
  // The value is longer than any that is received as a whole, and is thrown away.
  if (request.value.size() != request.value_bytes) {
    AnswerError(echo, BinaryStatus::kOutOfMemory);
    return LoginOutcome::kUnauthenticated;
  }

  // Without an attempt in progress, or if the library refuses one, the reply stays kFailed.
  SaslReply reply;
  if (request.verb == BinaryVerb::kSaslAuth) {
    session = sasl.NewSession();
    if (session != nullptr) reply = session->Start(std::string(request.key), request.value);
  } else if (session != nullptr) {
    reply = session->Step(request.value);
  }
  // The mechanism has further steps: the attempt is kept for the next one.
  if (reply.status == SaslStatus::kContinue) {
    AnswerError(echo, BinaryStatus::kAuthContinue, reply.data);
    return LoginOutcome::kUnauthenticated;
  }
  // The attempt has ended: its memory is given back at once.
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
