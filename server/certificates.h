// Certificates, which keeps the certificates in use up to date with their files.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/config/config.h"
#include "server/config/config_exit.h"
#include "server/small_file.h"
#include "server/tls/contexts.h"
#include "slab/result.h"
#include "slab/sync/mutex.h"

namespace larder::server {

// What `stats` shows of the certificates in use.
//
// Threads: a value.
struct CertificateState {
  CertificateFacts facts;
  // Seconds since they were loaded.
  std::uint64_t age_s = 0;
  // How often the files were to be loaded and could not be used.
  std::uint64_t reload_errors = 0;
};

// Certificates has the current TlsContexts, and replaces them as a whole when the files have
// changed and can be used. What cannot be used changes nothing. Connections keep the certificates
// with which they began.
//
// Three things lead to a reload: the command refresh_certs (Reload), SIGHUP (RequestReload), and a
// change of the files that Look() notices. A tool that writes the files one after the other may be
// in the middle of that: so Look() tries a second time before it reports a failure.
//
// Threads: internally locked. Look(): one thread at a time.
// Owns:    the current contexts, which connections share.
class Certificates {
 public:
  // Loads the files that the configuration names. Called before the process gives up the rights of
  // root, which it may need for the key. Fails with exit code 64 and the text to print.
  static Result<std::unique_ptr<Certificates>, ConfigExit> Create(const Config& config);

  // What new connections are served with. Never null.
  std::shared_ptr<const TlsContexts> Current() const LARDER_EXCLUDES(mutex_);

  // Loads the files, and uses them if they can be used. Blocks as long as file operations take.
  // Fails with the text to print.
  Result<Done, std::string> Reload() LARDER_EXCLUDES(reload_mutex_, mutex_);

  // Makes the next Look() reload in any case. Returns at once.
  void RequestReload() { wants_reload_.store(true, std::memory_order_release); }
  // Reloads if that was requested; and, every -o ssl_reload_interval seconds, if a file has
  // changed. The log tells of what was loaded and what could not be.
  void Look(std::uint32_t now_s) LARDER_EXCLUDES(reload_mutex_, mutex_);

  // Lines to print: files that the process will not be able to read again.
  std::vector<std::string> UnreadableFiles() const;

  CertificateState state() const LARDER_EXCLUDES(mutex_);

 private:
  // The versions of the files; nothing for a file that cannot be examined.
  using Stamps = std::vector<std::optional<FileStamp>>;

  // `stamps` are from before the files were read.
  Certificates(const Config& config, Stamps stamps, std::shared_ptr<const TlsContexts> loaded);

  static std::vector<std::string> PathsOf(const Config& config);
  static Stamps StampsOf(const Config& config);
  // What a reload has led to.
  enum class Loaded : std::uint8_t { kSame, kNew };
  Result<Loaded, std::string> Load() LARDER_EXCLUDES(reload_mutex_, mutex_);
  // The two halves of Look().
  void ReloadForSignal() LARDER_EXCLUDES(reload_mutex_, mutex_);
  void ReloadIfChanged() LARDER_EXCLUDES(reload_mutex_, mutex_);

  const Config config_;
  // Written by any thread, taken by Look().
  std::atomic<bool> wants_reload_{false};
  // Counts failures; written under reload_mutex_ or by Look(), read by any thread.
  std::atomic<std::uint64_t> reload_errors_{0};

  // The fields of Look().
  std::uint32_t looked_at_s_ = 0;
  Stamps stamps_;
  // The last look has found a change that could not be loaded.
  bool is_second_try_ = false;

  // Taken before mutex_: files are read by one thread at a time.
  Mutex reload_mutex_;
  std::uint64_t generation_ LARDER_GUARDED_BY(reload_mutex_) = 1;

  mutable Mutex mutex_;  // Guards all below; held for moments only.
  std::shared_ptr<const TlsContexts> current_ LARDER_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point loaded_at_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::server
