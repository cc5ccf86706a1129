// Who may come in.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "server/config.h"
#include "server/password_file.h"
#include "slab/result.h"

namespace larder::server {

// Authenticator checks what clients say that they are: users of the text protocol against the file
// of -Y.
//
// Threads: any thread may call any method.
// Owns:    the list of passwords.
class Authenticator {
 public:
  // Or memcached's complaint and exit code, if what the configuration names cannot be used.
  static Result<std::unique_ptr<Authenticator>, ConfigExit> Create(const Config& config);

  // Clients have to authenticate before anything else.
  bool is_required() const { return file_ != nullptr; }

  // Whether the text protocol's clients may come in with this. Never without -Y.
  bool AdmitText(std::string_view user, std::string_view password) const;

  // Reads files again. What has become bad is complained of on standard error, and stays as it was.
  // Clients that are in stay in.
  void Reload();

 private:
  explicit Authenticator(std::unique_ptr<PasswordFile> file) : file_(std::move(file)) {}

  const std::unique_ptr<PasswordFile> file_;  // Internally locked.
};

}  // namespace larder::server
