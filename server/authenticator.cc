#include "server/authenticator.h"

#include <cstdlib>

#include "server/log.h"

namespace larder::server {

Result<std::unique_ptr<Authenticator>, ConfigExit> Authenticator::Create(const Config& config) {
  std::unique_ptr<PasswordFile> file;
  if (!config.auth_file.empty()) {
    auto loaded = PasswordFile::Load(config.auth_file);
    if (!loaded) return ConfigExit::BadValue(loaded.error());
    file = std::move(*loaded);
  }
  std::unique_ptr<const Sasl> sasl;
  if (config.sasl) {
    const char* const password_file = std::getenv("MEMCACHED_SASL_PWDB");
    auto created = Sasl::Create({.password_file = password_file == nullptr ? "" : password_file,
                                 .verbosity = config.verbosity});
    if (!created) return ConfigExit::BadValue(created.error());
    sasl = std::move(*created);
  }
  return std::unique_ptr<Authenticator>(new Authenticator(std::move(file), std::move(sasl)));
}

bool Authenticator::AdmitText(std::string_view user, std::string_view password) const {
  return file_ != nullptr && file_->Admit(user, password);
}

void Authenticator::Reload() {
  if (file_ == nullptr) return;
  const auto reloaded = file_->Reload();
  if (!reloaded) Log("{}\n", reloaded.error());
}

}  // namespace larder::server
