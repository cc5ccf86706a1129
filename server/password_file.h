// A file of users and their passwords.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/config/config_exit.h"
#include "server/small_file.h"
#include "slab/result.h"
#include "slab/sync/mutex.h"

namespace larder::server {

// What a line may hold: user, colon and password.
inline constexpr std::size_t kPasswordLineBytesMax = 255;
inline constexpr std::size_t kPasswordFileBytesMax = std::size_t{16} << 20;

// Passwords knows who may come in.
//
//   record   |user's length|password's|user|password|zeros|     one for each line, in words of 8
//   bytes
//
// Threads: immutable.
class Passwords {
 public:
  enum class BadLines : std::uint8_t { kRefused, kSkipped };

  // Reads lines of `user:password`. The user ends at the first colon, the password at the line's
  // end; either may be empty. Lines without a colon or beyond kPasswordLineBytesMax are bad.
  // Nothing if those, or no line at all, are refused.
  static std::optional<Passwords> Parse(std::string_view text, BadLines bad_lines);

  // Whether there is a line with this user and this password. The time it takes tells the size of
  // the file and the arguments' lengths, and nothing of what is right in them.
  bool Admit(std::string_view user, std::string_view password) const;

  std::size_t held_bytes() const { return records_.capacity() * sizeof(std::uint64_t); }

 private:
  using Record = std::array<std::uint64_t, 32>;
  static_assert(sizeof(Record) > kPasswordLineBytesMax);  // The colon makes room for a length.

  // The longest that there may be, zeros at its end.
  static Record RecordOf(std::string_view user, std::string_view password);
  static std::size_t WordsOf(std::size_t user_bytes, std::size_t password_bytes);

  std::vector<std::uint64_t> records_;
};

// PasswordFile is a file of Passwords that can be read again while the server runs.
//
// Threads: internally locked; any thread may call any method.
class PasswordFile {
 public:
  // Or memcached's complaint, if the file cannot be read or has a bad line.
  static Result<std::unique_ptr<PasswordFile>, std::string> Load(std::string path);

  // From now on the file as it is now counts. Or the complaint, and what counted goes on to count.
  Result<Done, std::string> Reload() LARDER_EXCLUDES(mutex_);

  // As Passwords::Admit().
  bool Admit(std::string_view user, std::string_view password) const LARDER_EXCLUDES(mutex_);

 private:
  PasswordFile(std::string path, std::shared_ptr<const Passwords> passwords)
      : path_(std::move(path)), passwords_(std::move(passwords)) {}

  const std::string path_;

  mutable Mutex mutex_;  // Guards all below.
  std::shared_ptr<const Passwords> passwords_ LARDER_GUARDED_BY(mutex_);
};

// WatchedPasswords is a file of Passwords that counts as it is. Lines that are bad are skipped, and
// a file that cannot be read admits nobody. Its reader says how often it is looked at.
//
// Threads: Current: any; all else one at a time.
class WatchedPasswords {
 public:
  // Reads the file. `verbosity` above 0: standard error is told, once, why it cannot be read.
  WatchedPasswords(std::string path, int verbosity);

  // Reads the file if it is not the one that was read, or was changed so shortly before that it may
  // look the same and be another. One that changes while it is read is left for the next time.
  void Look();
  // Reads it whatever it looks like.
  void ReadAgain();

  // As the file was when it was last looked at; nullptr: it could not be read.
  std::shared_ptr<const Passwords> Current() const LARDER_EXCLUDES(mutex_);

 private:
  void Take(std::shared_ptr<const Passwords> passwords) LARDER_EXCLUDES(mutex_);
  void GiveUp(const FileError& error);

  const std::string path_;
  const int verbosity_;
  std::optional<FileStamp> seen_;
  std::string last_complaint_;

  mutable Mutex mutex_;  // Guards all below.
  std::shared_ptr<const Passwords> passwords_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::server
