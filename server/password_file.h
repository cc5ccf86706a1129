// Files of users and their passwords.
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
#include "slab/check.h"
#include "slab/result.h"
#include "slab/sync/mutex.h"

namespace larder::server {

// The longest line in bytes, without its line end: user, colon and password.
inline constexpr std::size_t kPasswordLineBytesMax = 255;
// The largest file in bytes.
inline constexpr std::size_t kPasswordFileBytesMax = std::size_t{16} << 20;

// Passwords is a list of users and their passwords.
//
//   record   |user length|password length|user|password|zeros|
//
// There is one record for each line, in words of 8 bytes. Each length has one byte. The records are
// found by a hash of user and password together, with a seed that is secret and new in each
// process.
//
// Threads: immutable.
// Owns:    its records.
class Passwords {
 public:
  // What Parse() does with a malformed line.
  enum class BadLines : std::uint8_t { kRefused, kSkipped };

  // Parses lines of `user:password`. The user ends at the first colon, and the password at the end
  // of the line; each may be empty. A line is malformed if it has no colon or is longer than
  // kPasswordLineBytesMax.
  //
  // With kRefused it returns nothing if a line is malformed, or if there is none; with kSkipped it
  // always returns a list, which may be empty.
  static std::optional<Passwords> Parse(std::string_view text, BadLines bad_lines);

  // Returns whether there is a line with this user and this password. The time it takes grows with
  // the logarithm of the number of lines. Beyond that it depends on the lengths of the arguments
  // and on the hash of both together only, so it does not reveal whether a user exists, or how much
  // of a password is right.
  bool Admit(std::string_view user, std::string_view password) const;

  // The memory of the records in bytes.
  std::size_t held_bytes() const {
    return (records_.capacity() + places_.capacity()) * sizeof(std::uint64_t);
  }
  // The most records that Admit() may have to compare at once.
  std::size_t compared_max() const;

 private:
  // Large enough for the longest record.
  using Record = std::array<std::uint64_t, 32>;
  // The colon's byte is the second length.
  static_assert(sizeof(Record) > kPasswordLineBytesMax);
  // Each length fits its byte.
  static_assert(kPasswordLineBytesMax <= 255);

  // Returns the record of a user and a password; all bytes that it does not use are zeros.
  // REQUIRES: the lengths are at most kPasswordLineBytesMax - 1 together.
  static Record RecordOf(std::string_view user, std::string_view password);
  // Returns the number of words that a record with these lengths has.
  static std::size_t WordsOf(std::size_t user_bytes, std::size_t password_bytes);
  // Returns the number of words that a stored record has.
  static std::size_t WordsAt(const std::uint64_t* stored);
  // Appends a record.
  void Add(std::string_view user, std::string_view password);
  // Sorts the places, and gives up all but one of the lines that are the same.
  void Sort();
  // Returns whether the stored record at a place is `wanted`.
  bool IsAt(std::uint64_t place, const Record& wanted) const;

  // All records, one behind the other.
  std::vector<std::uint64_t> records_;
  // For each record a part of its hash in the upper half, and its position in records_ in the lower
  // one. They are sorted.
  std::vector<std::uint64_t> places_;
};

// PasswordFile is a password file that can be read again while the server runs.
//
// Threads: internally locked; any thread may call any method.
class PasswordFile {
 public:
  // Fails with memcached's error message if the file cannot be read, has a malformed line or no
  // line.
  static Result<std::unique_ptr<PasswordFile>, std::string> Load(std::string path);

  // Reads the file again; from then on its present contents are valid. Fails with the error
  // message; then the passwords that were valid before stay valid.
  Result<Done, std::string> Reload() LARDER_EXCLUDES(mutex_);

  // See Passwords::Admit().
  bool Admit(std::string_view user, std::string_view password) const LARDER_EXCLUDES(mutex_);

 private:
  PasswordFile(std::string path, std::shared_ptr<const Passwords> passwords)
      : path_(std::move(path)), passwords_(std::move(passwords)) {
    LARDER_ASSERT(passwords_ != nullptr);
  }

  const std::string path_;

  mutable Mutex mutex_;  // Guards all below.
  std::shared_ptr<const Passwords> passwords_ LARDER_GUARDED_BY(mutex_);
};

// WatchedPasswords is a password file whose present contents are always the valid ones. Malformed
// lines are skipped; if the file cannot be read, no client is admitted. The caller decides how
// often it is checked.
//
// Threads: Current: any thread; all else: one thread at a time.
class WatchedPasswords {
 public:
  // Reads the file. If `verbosity` is above 0, the reason why it cannot be read is logged, once.
  WatchedPasswords(std::string path, int verbosity);

  // Reads the file if it has changed since it was read, or if it was changed so shortly before it
  // was read that its stamp may not show a later change. A file that changes while it is read is
  // left for the next call.
  void Look();
  // Reads the file even if it seems unchanged.
  void ReadAgain();

  // The passwords as they were when the file was checked last; nullptr if it could not be read.
  std::shared_ptr<const Passwords> Current() const LARDER_EXCLUDES(mutex_);

 private:
  // Replaces the passwords.
  void Take(std::shared_ptr<const Passwords> passwords) LARDER_EXCLUDES(mutex_);
  // Forgets the passwords, because the file cannot be read.
  void GiveUp(const FileError& error);

  const std::string path_;
  const int verbosity_;
  // The stamp of the file that was read last; nothing: read it at the next Look().
  std::optional<FileStamp> seen_;
  // The last error, which is not logged twice.
  std::string last_complaint_;

  mutable Mutex mutex_;  // Guards all below.
  // nullptr: the file could not be read.
  std::shared_ptr<const Passwords> passwords_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::server
