// Who may come in.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "server/config.h"
#include "server/password_file.h"
#include "server/sasl.h"
#include "slab/result.h"

namespace larder::server {

// Authenticator checks what clients say that they are: in the text protocol by the file of -Y, in
// the binary protocol by SASL, if -S is given.
//
// Threads: any thread may call any method.
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

  // Reads files again. What has become bad is complained of on standard error, and stays as it was.
  // Clients that are in stay in.
  void Reload();

 private:
  Authenticator(std::unique_ptr<PasswordFile> file, std::unique_ptr<const Sasl> sasl)
      : file_(std::move(file)), sasl_(std::move(sasl)) {}

  const std::unique_ptr<PasswordFile> file_;  // Internally locked.
  const std::unique_ptr<const Sasl> sasl_;
};

}  // namespace larder::server
