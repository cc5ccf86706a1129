#include "server/certificates.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "server/log.h"
#include "slab/check.h"

namespace larder::server {

using std::chrono::steady_clock;

Result<std::unique_ptr<Certificates>, ConfigExit> Certificates::Create(const Config& config) {
  LARDER_ASSERT(config.tls);
  Stamps stamps = StampsOf(config);
  auto loaded = TlsContexts::Load(config, 1);
  // memcached ends these messages with CR LF.
  if (!loaded) return ConfigExit::Refused(loaded.error() + "\r\n");
  for (const std::string& warning : (*loaded)->warnings()) Log(LogLevel::kWarning, "{}", warning);
  return std::unique_ptr<Certificates>(
      new Certificates(config, std::move(stamps), std::move(*loaded)));
}

Certificates::Certificates(const Config& config, Stamps stamps,
                           std::shared_ptr<const TlsContexts> loaded)
    : config_(config),
      stamps_(std::move(stamps)),
      current_(std::move(loaded)),
      loaded_at_(steady_clock::now()) {}

std::shared_ptr<const TlsContexts> Certificates::Current() const {
  const MutexLock lock(mutex_);
  return current_;
}

CertificateState Certificates::state() const {
  const MutexLock lock(mutex_);
  const auto age = steady_clock::now() - loaded_at_;
  return {.facts = current_->facts(),
          .age_s = static_cast<std::uint64_t>(
              std::chrono::duration_cast<std::chrono::seconds>(age).count()),
          .reload_errors = reload_errors_.load(std::memory_order_relaxed)};
}

std::vector<std::string> Certificates::PathsOf(const Config& config) {
  std::vector<std::string> paths = {config.tls_chain_file};
  if (!config.tls_key_file.empty()) paths.push_back(config.tls_key_file);
  if (!config.tls_ca_file.empty()) paths.push_back(config.tls_ca_file);
  return paths;
}

Certificates::Stamps Certificates::StampsOf(const Config& config) {
  Stamps stamps;
  for (const std::string& path : PathsOf(config)) {
    const auto stamp = StampOf(path);
    stamps.push_back(stamp ? std::optional(*stamp) : std::nullopt);
  }
  return stamps;
}

std::vector<std::string> Certificates::UnreadableFiles() const {
  std::vector<std::string> lines;
  for (const std::string& path : PathsOf(config_)) {
    if (faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) == 0) continue;
    lines.push_back("warning: this user cannot read " + path +
                    " again: changed certificates will not be loaded");
  }
  return lines;
}

// --- Reloads -----------------------------------------------------------------------------------

Result<Certificates::Loaded, std::string> Certificates::Load() {
  const MutexLock reload_lock(reload_mutex_);
  auto loaded = TlsContexts::Load(config_, ++generation_);
  if (!loaded) return Failure{loaded.error()};
  for (const std::string& warning : (*loaded)->warnings()) Log(LogLevel::kWarning, "{}", warning);
  const MutexLock lock(mutex_);
  loaded_at_ = steady_clock::now();
  // The same certificates: sessions go on to be resumed.
  if ((*loaded)->facts().digest == current_->facts().digest) return Loaded::kSame;
  current_ = std::move(*loaded);
  return Loaded::kNew;
}

Result<Done, std::string> Certificates::Reload() {
  const auto loaded = Load();
  if (loaded) return Done{};
  reload_errors_.fetch_add(1, std::memory_order_relaxed);
  return Failure{loaded.error()};
}

void Certificates::Look(std::uint32_t now_s) {
  if (wants_reload_.exchange(false, std::memory_order_acquire)) ReloadForSignal();
  const std::uint32_t interval_s = config_.tls_reload_interval_s;
  if (interval_s == 0 || now_s - looked_at_s_ < interval_s) return;
  looked_at_s_ = now_s;
  ReloadIfChanged();
}

void Certificates::ReloadForSignal() {
  Stamps stamps = StampsOf(config_);
  const auto reloaded = Reload();
  if (!reloaded) {
    Log(LogLevel::kError, "Could not reload TLS certificates on SIGHUP: {}", reloaded.error());
  }
  // What was reported is not reported again by ReloadIfChanged().
  stamps_ = std::move(stamps);
  is_second_try_ = false;
}

void Certificates::ReloadIfChanged() {
  // Examined before the files are read: a change in between is noticed the next time.
  Stamps stamps = StampsOf(config_);
  if (stamps == stamps_ && !is_second_try_) return;
  const bool is_second_try = std::exchange(is_second_try_, false);
  const auto loaded = Load();
  if (loaded) {
    if (*loaded == Loaded::kNew) Log(LogLevel::kInfo, "the TLS certificates have changed: loaded");
  } else if (!is_second_try || stamps != stamps_) {
    // The files may be half written.
    is_second_try_ = true;
  } else {
    reload_errors_.fetch_add(1, std::memory_order_relaxed);
    Log(LogLevel::kError, "the TLS certificates have changed and cannot be used: {}",
        loaded.error());
  }
  stamps_ = std::move(stamps);
}

}  // namespace larder::server
