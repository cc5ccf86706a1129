// Authenticator, which decides which clients are admitted.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "server/config/config.h"
#include "server/config/config_exit.h"
#include "server/password_file.h"
#include "server/sasl.h"
#include "slab/result.h"

namespace larder::server {

// Authenticator checks the names and passwords of clients: in the text protocol with the password
// file (-Y), in the binary protocol with SASL (-S).
//
// Threads: Create and Look: one thread at a time; all else: any thread.
// Owns:    the passwords, and the state of libsasl2.
class Authenticator {
 public:
  // Fails with memcached's error message and exit code if a file or a library that the
  // configuration names cannot be used.
  static Result<std::unique_ptr<Authenticator>, ConfigExit> Create(const Config& config);

  // Returns whether clients have to authenticate before they may send commands.
  bool is_required() const { return file_ != nullptr || sasl_ != nullptr; }

  // Returns whether a client of the text protocol is admitted with this name and password. Always
  // false without -Y.
  bool AdmitText(std::string_view user, std::string_view password) const;

  // SASL for clients of the binary protocol; nullptr without -S.
  const Sasl* sasl() const { return sasl_.get(); }

  // Makes the next Look() read all files again, even if they seem unchanged. Returns at once.
  void RequestReload() { wants_reload_.store(true, std::memory_order_release); }
  // Reads the password files again, if that was requested. Once a second it also checks whether the
  // file of SASL's passwords has changed, and reads it then. It blocks as long as file operations
  // take.
  //
  // A file that cannot be used is logged. Of -Y's file, the passwords that were valid before stay
  // valid then. Clients that have authenticated stay so in every case.
  void Look(std::uint32_t now_s);

 private:
  Authenticator(std::unique_ptr<PasswordFile> file, std::unique_ptr<Sasl> sasl)
      : file_(std::move(file)), sasl_(std::move(sasl)) {}

  // Internally locked; nullptr without -Y.
  const std::unique_ptr<PasswordFile> file_;
  // Internally locked; nullptr without -S.
  const std::unique_ptr<Sasl> sasl_;
  // Written by any thread, taken by Look().
  std::atomic<bool> wants_reload_{false};
  // The `now_s` of the last Look(), used by Look() only.
  std::uint32_t looked_at_s_ = 0;
};

}  // namespace larder::server
