// SASL: how clients of the binary protocol authenticate.
#pragma once

#include <sasl/sasl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "server/password_file.h"
#include "slab/result.h"

namespace larder::server {

class SaslSession;

// Sasl is libsasl2 under the name of memcached, so that it finds memcached.conf, and beside it the
// password file of MEMCACHED_SASL_PWDB, which needs no configuration.
//
// Threads: Create and the destructor: one thread, and no other Sasl is created or destroyed
//          meanwhile; LookAtPasswords and ReadPasswordsAgain: one at a time; all else any thread.
// Owns:    the library's state, which all Sasls of a process share.
class Sasl {
 public:
  struct Options {
    std::string password_file;  // MEMCACHED_SASL_PWDB, read at once; empty: none.
    int verbosity = 0;          // 1: what libsasl2 warns of is printed, 2: also its remarks.
  };

  // Or memcached's complaint.
  static Result<std::unique_ptr<Sasl>, std::string> Create(Options options);
  ~Sasl();
  Sasl(const Sasl&) = delete;
  Sasl& operator=(const Sasl&) = delete;

  // The names of mechanisms, with a space between. With a password file PLAIN only: the others
  // cannot look into it. Nothing if there is none.
  std::optional<std::string> Mechanisms() const;

  // Has the password file count as it is now: see WatchedPasswords. Attempts never read it.
  void LookAtPasswords();
  void ReadPasswordsAgain();

  // For one attempt of one client; nothing if libsasl2 refuses. Must not outlive this.
  std::unique_ptr<SaslSession> NewSession() const;

 private:
  friend class SaslSession;

  explicit Sasl(Options options);
  using Connection = std::unique_ptr<sasl_conn_t, void (*)(sasl_conn_t*)>;
  Connection Connect() const;
  static int OnLog(void* context, int level, const char* message);
  // Whether the password file has them, the user as given or with this host behind it.
  bool Admit(const std::string& user, std::string_view password) const;

  const Options options_;
  const std::unique_ptr<WatchedPasswords> passwords_;  // None without a password file.
  const std::string host_;
  const std::array<sasl_callback_t, 2> callbacks_;
};

enum class SaslStatus : std::uint8_t {
  kAdmitted,
  kContinue,  // `data` is for the client, whose next step answers it.
  kFailed,
};

struct SaslReply {
  SaslStatus status = SaslStatus::kFailed;
  std::string data = {};
};

// SaslSession is one attempt of one client to authenticate.
//
// Threads: one worker.
// Owns:    the library's connection: some 15 KB, so keep it only while the client is to answer.
class SaslSession {
 public:
  // The first message. An empty `data` is none. REQUIRES: is called once.
  SaslReply Start(const std::string& mechanism, std::string_view data);
  // What the client answers. REQUIRES: the last reply was kContinue.
  SaslReply Step(std::string_view data);

 private:
  friend class Sasl;

  SaslSession(const Sasl& sasl, Sasl::Connection connection)
      : sasl_(sasl), connection_(std::move(connection)) {}
  bool AdmitPlain(std::string_view data) const;

  const Sasl& sasl_;
  const Sasl::Connection connection_;
  std::string mechanism_;
  bool awaits_plain_ = false;  // The next step is what Start() lacked.
};

}  // namespace larder::server
