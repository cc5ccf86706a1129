// Who may come in.
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

// Authenticator checks what clients say that they are: in the text protocol by the file of -Y, in
// the binary protocol by SASL, if -S is given.
//
// Threads: Look: one at a time; all else any thread.
// Owns:    the list of passwords; libsasl2.
class Authenticator {
 public:
  // Or memcached's complaint and exit code, if what the configuration names cannot be used.
  static Result<std::unique_ptr<Authenticator>, ConfigExit> Create(const Config& config);

  // Clients have to authenticate before anything else.
  bool is_required() const { return file_ != nullptr || sasl_ != nullptr; }

  // Whether the text protocol's clients may come in with this. Never without -Y.
  bool AdmitText(std::string_view user, std::string_view password) const;

  // How the binary protocol's clients may come in; nullptr without -S.
  const Sasl* sasl() const { return sasl_.get(); }

  // Has Look read files again, whatever they look like; returns at once.
  void RequestReload() { wants_reload_.store(true, std::memory_order_release); }
  // Reads again what it was asked to; and the file of SASL's passwords, which is looked at once a
  // second, if it has changed. Takes as long as files do. What has become bad is complained of on
  // standard error; of -Y's file, what counted goes on to count. Clients that are in stay in.
  void Look(std::uint32_t now_s);

 private:
  Authenticator(std::unique_ptr<PasswordFile> file, std::unique_ptr<Sasl> sasl)
      : file_(std::move(file)), sasl_(std::move(sasl)) {}

  const std::unique_ptr<PasswordFile> file_;  // Internally locked.
  const std::unique_ptr<Sasl> sasl_;
  std::atomic<bool> wants_reload_{false};  // Written by anyone, taken by Look.
  std::uint32_t looked_at_s_ = 0;          // Look's.
};

}  // namespace larder::server
