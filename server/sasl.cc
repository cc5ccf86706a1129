#include "server/sasl.h"

#include <strings.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <mutex>
#include <utility>

#include "server/log.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// The application's name, by which libsasl2 finds its configuration: that of memcached.
constexpr char kApplication[] = "memcached";
// The mechanism with a name and a password as plain text (RFC 4616).
constexpr std::string_view kPlain = "PLAIN";

// libsasl2 (2.1.28) leaks the name of a user if it does not fit, with the realm, into a buffer of
// 1024 bytes. Longer names are refused before they reach the library.
constexpr std::size_t kNamesBytesMax = 768;

// The names of mechanisms are compared without regard to case.
bool IsPlain(const std::string& mechanism) {
  return strcasecmp(mechanism.c_str(), kPlain.data()) == 0;
}

// Returns whether a mechanism uses Kerberos tickets (GSSAPI, GS2-...). Its messages are long, but
// the client cannot choose the names in them.
bool HasTickets(const std::string& mechanism) {
  return strncasecmp(mechanism.c_str(), "GS", 2) == 0;
}

// Returns the position of the password in a PLAIN message, which begins with `authzid NUL authcid
// NUL` (RFC 4616); 0 if there is none.
std::size_t PasswordAt(std::string_view message) {
  const std::size_t first = message.find('\0');
  // find() returns npos if there is no second NUL; npos + 1 is 0.
  return first == message.npos ? 0 : message.find('\0', first + 1) + 1;
}

// Returns whether no name in the message can be too long for libsasl2 (see kNamesBytesMax). For
// mechanisms other than PLAIN the whole message counts, because its format is not known here.
bool IsForLibrary(const std::string& mechanism, std::string_view message) {
  const std::size_t password_at = IsPlain(mechanism) ? PasswordAt(message) : 0;
  const std::size_t names_bytes = password_at != 0 ? password_at : message.size();
  return names_bytes <= kNamesBytesMax || HasTickets(mechanism);
}

// No anonymous clients, and no encryption after authentication, because the protocol has no place
// for it.
constexpr sasl_security_properties_t kSecurity{.min_ssf = 0,
                                               .max_ssf = 0,
                                               .maxbufsize = 0,
                                               .security_flags = SASL_SEC_NOANONYMOUS,
                                               .property_names = nullptr,
                                               .property_values = nullptr};

// Gives libsasl2 functions for mutexes: it locks what connections share, but leaves the kind of
// lock to the application.
void UseMutexes() {
  sasl_set_mutex([]() -> void* { return new std::mutex; },
                 [](void* mutex) {
                   static_cast<std::mutex*>(mutex)->lock();
                   return SASL_OK;
                 },
                 [](void* mutex) {
                   static_cast<std::mutex*>(mutex)->unlock();
                   return SASL_OK;
                 },
                 [](void* mutex) { delete static_cast<std::mutex*>(mutex); });
}

// Returns the name of this machine; empty if the system does not give it.
std::string HostName() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

// Casts a callback to the one type that libsasl2 has for all of them. The intermediate type
// void(*)() keeps gcc from warning: it accepts that type for any function.
auto AnyCallback(sasl_log_t* callback) {
  return reinterpret_cast<int (*)()>(reinterpret_cast<void (*)()>(callback));
}

// Translates a result of libsasl2. Every error becomes kFailed, so that the client does not learn
// the reason.
SaslReply ReplyOf(int result, const char* data, unsigned bytes) {
  if (result == SASL_OK) return {.status = SaslStatus::kAdmitted};
  if (result != SASL_CONTINUE) return {};
  return {.status = SaslStatus::kContinue,
          .data = data == nullptr ? std::string() : std::string(data, bytes)};
}

}  // namespace

// --- Sasl --------------------------------------------------------------------------------------

Result<std::unique_ptr<Sasl>, std::string> Sasl::Create(Options options) {
  // The library must know the functions before it is initialised.
  UseMutexes();
  if (sasl_server_init(nullptr, kApplication) != SASL_OK) {
    return Failure{std::string("Error initializing sasl.")};
  }
  return std::unique_ptr<Sasl>(new Sasl(std::move(options)));
}

Sasl::Sasl(Options options)
    : options_(std::move(options)),
      passwords_(options_.password_file.empty() ? nullptr
                                                : std::make_unique<WatchedPasswords>(
                                                      options_.password_file, options_.verbosity)),
      host_(HostName()),
      callbacks_{
          {{SASL_CB_LOG, AnyCallback(&Sasl::OnLog), this}, {SASL_CB_LIST_END, nullptr, nullptr}}} {}

Sasl::~Sasl() { sasl_server_done(); }

int Sasl::OnLog(void* context, int level, const char* message) {
  // Messages above this level may contain passwords.
  constexpr int kLevelMax = SASL_LOG_NOTE;
  const int verbosity = static_cast<Sasl*>(context)->options_.verbosity;
  const bool is_warning = level == SASL_LOG_ERR || level == SASL_LOG_FAIL || level == SASL_LOG_WARN;
  if (level != SASL_LOG_NONE && level <= kLevelMax && verbosity > (is_warning ? 0 : 1)) {
    Log(LogLevel::kWarning, "SASL: {}", message);
  }
  return SASL_OK;
}

Sasl::Connection Sasl::Connect() const {
  sasl_conn_t* connection = nullptr;
  // As in memcached, the name of the host is the realm of users who do not name one.
  const char* const realm = host_.empty() ? nullptr : host_.c_str();
  const int result = sasl_server_new(kApplication, nullptr, realm, nullptr, nullptr,
                                     callbacks_.data(), 0, &connection);
  Connection owned(connection, [](sasl_conn_t* dead) { sasl_dispose(&dead); });
  // A connection with other security properties than these must not be used.
  if (result != SASL_OK || sasl_setprop(connection, SASL_SEC_PROPS, &kSecurity) != SASL_OK) {
    owned.reset();
  }
  return owned;
}

std::unique_ptr<SaslSession> Sasl::NewSession() const {
  Connection connection = Connect();
  if (connection == nullptr) return nullptr;
  return std::unique_ptr<SaslSession>(new SaslSession(*this, std::move(connection)));
}

std::optional<std::string> Sasl::Mechanisms() const {
  // The other mechanisms cannot use the password file.
  if (passwords_ != nullptr) return std::string(kPlain);
  const Connection connection = Connect();
  const char* names = nullptr;
  if (connection == nullptr ||
      sasl_listmech(connection.get(), nullptr, "", " ", "", &names, nullptr, nullptr) != SASL_OK) {
    return std::nullopt;
  }
  return names;
}

void Sasl::LookAtPasswords() {
  if (passwords_ != nullptr) passwords_->Look();
}

void Sasl::ReadPasswordsAgain() {
  if (passwords_ != nullptr) passwords_->ReadAgain();
}

bool Sasl::Admit(const std::string& user, std::string_view password) const {
  LARDER_ASSERT(passwords_ != nullptr);
  const auto passwords = passwords_->Current();
  if (passwords == nullptr) return false;
  // Both are evaluated, so that the time does not show which one matched.
  const bool is_user = passwords->Admit(user, password);
  const bool is_user_here = passwords->Admit(user + '@' + host_, password);
  return is_user || is_user_here;
}

// --- SaslSession -------------------------------------------------------------------------------

SaslReply SaslSession::Start(const std::string& mechanism, std::string_view data) {
  LARDER_ASSERT(!has_begun_);
  has_begun_ = true;
  SaslReply reply = Begin(mechanism, data);
  awaits_step_ = reply.status == SaslStatus::kContinue;
  return reply;
}

SaslReply SaslSession::Step(std::string_view data) {
  LARDER_ASSERT(awaits_step_);
  SaslReply reply = GoOn(data);
  awaits_step_ = reply.status == SaslStatus::kContinue;
  return reply;
}

SaslReply SaslSession::Begin(const std::string& mechanism, std::string_view data) {
  mechanism_ = mechanism;
  if (sasl_.passwords_ != nullptr && IsPlain(mechanism)) {
    // PLAIN without its message: the client sends it in the next step.
    if (data.empty()) {
      awaits_plain_ = true;
      return {.status = SaslStatus::kContinue};
    }
    // Users that are not in the file are left to libsasl2.
    if (AdmitPlain(data)) return {.status = SaslStatus::kAdmitted};
  }
  if (!IsForLibrary(mechanism, data)) return {};
  const char* out = nullptr;
  unsigned out_bytes = 0;
  const int result =
      sasl_server_start(connection_.get(), mechanism.c_str(), data.empty() ? nullptr : data.data(),
                        static_cast<unsigned>(data.size()), &out, &out_bytes);
  return ReplyOf(result, out, out_bytes);
}

SaslReply SaslSession::GoOn(std::string_view data) {
  if (std::exchange(awaits_plain_, false)) {
    return data.empty() ? SaslReply{} : Begin(std::string(kPlain), data);
  }
  if (!IsForLibrary(mechanism_, data)) return {};
  const char* out = nullptr;
  unsigned out_bytes = 0;
  const int result = sasl_server_step(connection_.get(), data.empty() ? nullptr : data.data(),
                                      static_cast<unsigned>(data.size()), &out, &out_bytes);
  return ReplyOf(result, out, out_bytes);
}

// Checks a PLAIN message against the password file. A user who wants to act for another one is
// refused.
bool SaslSession::AdmitPlain(std::string_view data) const {
  const std::size_t password_at = PasswordAt(data);
  if (password_at == 0 || data.find('\0', password_at) != data.npos) return false;
  const std::string_view names = data.substr(0, password_at - 1);
  const std::string_view acts_for = names.substr(0, names.find('\0'));
  const std::string_view user = names.substr(acts_for.size() + 1);
  if (user.empty() || (!acts_for.empty() && acts_for != user)) return false;
  return sasl_.Admit(std::string(user), data.substr(password_at));
}

}  // namespace larder::server
