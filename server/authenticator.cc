#include "server/authenticator.h"

#include <cstdlib>

#include "server/log.h"

namespace larder::server {

Result<std::unique_ptr<Authenticator>, ConfigExit> Authenticator::Create(const Config& config) {
  std::unique_ptr<PasswordFile> file;
  if (!config.auth_file.empty()) {
    // A file that cannot be used at the start is an error, unlike one at a reload.
    auto loaded = PasswordFile::Load(config.auth_file);
    if (!loaded) return ConfigExit::BadValue(loaded.error());
    file = std::move(*loaded);
  }
  std::unique_ptr<Sasl> sasl;
  if (config.sasl) {
    // memcached uses this variable too.
    const char* const password_file = std::getenv("MEMCACHED_SASL_PWDB");
    auto created = Sasl::Create({.password_file = password_file == nullptr ? "" : password_file,
                                 .verbosity = config.verbosity});
    if (!created) return ConfigExit::BadValue(created.error());
    sasl = std::move(*created);
  }
  return std::unique_ptr<Authenticator>(new Authenticator(std::move(file), std::move(sasl)));
}

bool Authenticator::AdmitText(std::string_view user, std::string_view password) const {
  // Without -Y there are no passwords for the text protocol.
  return file_ != nullptr && file_->Admit(user, password);
}

void Authenticator::Look(std::uint32_t now_s) {
  // Reset before the files are read: a request that comes meanwhile causes one more reading.
  const bool reloads = wants_reload_.exchange(false, std::memory_order_acquire);
  if (reloads && file_ != nullptr) {
    const auto reloaded = file_->Reload();
    if (!reloaded) Log(LogLevel::kWarning, "{}", reloaded.error());
  }
  // Only SASL's file is checked every second; that of -Y is read on request.
  const bool is_next_second = std::exchange(looked_at_s_, now_s) != now_s;
  if (sasl_ == nullptr) return;
  if (reloads) {
    sasl_->ReadPasswordsAgain();
  } else if (is_next_second) {
    sasl_->LookAtPasswords();
  }
}

}  // namespace larder::server
