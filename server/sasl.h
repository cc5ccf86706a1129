// SASL, by which clients of the binary protocol authenticate.
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
#include "slab/check.h"
#include "slab/result.h"

namespace larder::server {

class SaslSession;

// Sasl is libsasl2, initialised with the application name of memcached, so that it uses
// memcached.conf. In addition there is the password file of MEMCACHED_SASL_PWDB, which works
// without any configuration.
//
// Threads: Create and the destructor: one thread, while no other Sasl is created or destroyed;
//          LookAtPasswords and ReadPasswordsAgain: one thread at a time; all else: any thread.
// Owns:    the state of the library, which all Sasl objects of a process share.
class Sasl {
 public:
  // What Create() needs to know.
  struct Options {
    // MEMCACHED_SASL_PWDB, read at once; empty: there is no such file.
    std::string password_file;
    // 1: warnings of libsasl2 are logged; 2: its notes too.
    int verbosity = 0;
  };

  // Fails with memcached's error message if the library cannot be initialised.
  static Result<std::unique_ptr<Sasl>, std::string> Create(Options options);
  ~Sasl();
  Sasl(const Sasl&) = delete;
  Sasl& operator=(const Sasl&) = delete;

  // The names of the mechanisms, separated by spaces. With a password file it is PLAIN only,
  // because the other mechanisms cannot use it. Nothing if there is no mechanism.
  std::optional<std::string> Mechanisms() const;

  // Read the password file again, if it has changed or in any case: see WatchedPasswords. Attempts
  // to authenticate never read it themselves.
  void LookAtPasswords();
  void ReadPasswordsAgain();

  // A session for one attempt of one client; nullptr if libsasl2 refuses. It must not outlive this
  // object.
  std::unique_ptr<SaslSession> NewSession() const;

 private:
  friend class SaslSession;

  explicit Sasl(Options options);
  using Connection = std::unique_ptr<sasl_conn_t, void (*)(sasl_conn_t*)>;
  // Makes a connection of the library; nullptr if it refuses.
  Connection Connect() const;
  // Logs a message of the library; its callback.
  static int OnLog(void* context, int level, const char* message);
  // Returns whether the password file has this user and password. The user may be in the file as
  // given, or followed by '@' and the name of this host.
  bool Admit(const std::string& user, std::string_view password) const;

  const Options options_;
  // nullptr: there is no password file.
  const std::unique_ptr<WatchedPasswords> passwords_;
  // The realm of users who do not name one.
  const std::string host_;
  // What libsasl2 calls; it keeps a pointer to this array.
  const std::array<sasl_callback_t, 2> callbacks_;
};

// The result of one message of a client.
enum class SaslStatus : std::uint8_t {
  // The client is authenticated.
  kAdmitted,
  // The client must answer `data` with a further message.
  kContinue,
  // The attempt has failed.
  kFailed,
};

// The answer to one message of a client.
struct SaslReply {
  SaslStatus status = SaslStatus::kFailed;
  // For the client; empty unless kContinue.
  std::string data = {};
};

// SaslSession is one attempt of one client to authenticate.
//
// Threads: one worker.
// Owns:    a connection of the library of some 15 KB, so it should live only while an attempt is
//          under way.
class SaslSession {
 public:
  // Handles the first message; an empty `data` means that the client sent none. REQUIRES: is called
  // once.
  SaslReply Start(const std::string& mechanism, std::string_view data);
  // Handles a further message. REQUIRES: the last result was kContinue.
  SaslReply Step(std::string_view data);

 private:
  friend class Sasl;

  SaslSession(const Sasl& sasl, Sasl::Connection connection)
      : sasl_(sasl), connection_(std::move(connection)) {
    LARDER_ASSERT(connection_ != nullptr);
  }
  // Start() and Step() without their checks.
  SaslReply Begin(const std::string& mechanism, std::string_view data);
  SaslReply GoOn(std::string_view data);
  // Returns whether the password file admits the user of a PLAIN message.
  bool AdmitPlain(std::string_view data) const;

  const Sasl& sasl_;
  const Sasl::Connection connection_;
  // The mechanism that the client has chosen.
  std::string mechanism_;
  // The client has begun PLAIN without a message: the next step is its message.
  bool awaits_plain_ = false;
  // Start() was called, and the last result was kContinue; for their contracts.
  bool has_begun_ = false;
  bool awaits_step_ = false;
};

}  // namespace larder::server
