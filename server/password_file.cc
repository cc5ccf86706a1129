#include "server/password_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "server/config/split.h"
#include "server/log.h"
#include "server/small_file.h"

namespace larder::server {
namespace {

// How close, in seconds, the time of a change may be to the present for the file to be read again:
// see ReadAgain().
constexpr std::int64_t kStampStepMaxS = 2;

// Reads and parses the file of -Y. The error messages are memcached's.
Result<std::shared_ptr<const Passwords>, std::string> ReadPasswords(const std::string& path) {
  const auto file = ReadSmallFile(path, kPasswordFileBytesMax);
  if (!file) {
    const std::string& reason = file.error().text;
    return Failure{fmt::format("Could not open authfile [{}] for reading, error {}: {}", path,
                               reason, reason)};
  }
  auto passwords = Passwords::Parse(file->text, Passwords::BadLines::kRefused);
  if (!passwords) {
    return Failure{
        fmt::format("Authfile [{}] has a malformed entry. Should be 'user:password'", path)};
  }
  return std::make_shared<const Passwords>(std::move(*passwords));
}

}  // namespace

// --- Passwords ---------------------------------------------------------------------------------

std::optional<Passwords> Passwords::Parse(std::string_view text, BadLines bad_lines) {
  Passwords passwords;
  std::vector<std::uint64_t>& records = passwords.records_;
  while (!text.empty()) {
    std::string_view line = TakePiece(text, "\n");
    // Files with CRLF line ends are accepted.
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && line.size() <= kPasswordLineBytesMax) {
      const std::string_view user = line.substr(0, colon);
      const std::string_view password = line.substr(colon + 1);
      // Only the words that the record uses are stored.
      const Record record = RecordOf(user, password);
      records.insert(records.end(), record.begin(),
                     record.begin() + WordsOf(user.size(), password.size()));
    } else if (bad_lines == BadLines::kRefused) {
      return std::nullopt;
    }
  }
  if (records.empty() && bad_lines == BadLines::kRefused) return std::nullopt;
  // The list lives as long as the file is unchanged, so it should not hold unused memory.
  records.shrink_to_fit();
  return passwords;
}

std::size_t Passwords::WordsOf(std::size_t user_bytes, std::size_t password_bytes) {
  constexpr std::size_t kWordBytes = sizeof(Record::value_type);
  // The two lengths take one byte each.
  return (2 + user_bytes + password_bytes + kWordBytes - 1) / kWordBytes;
}

Passwords::Record Passwords::RecordOf(std::string_view user, std::string_view password) {
  Record record{};
  auto* out = reinterpret_cast<unsigned char*>(record.data());
  *out++ = static_cast<unsigned char>(user.size());
  *out++ = static_cast<unsigned char>(password.size());
  std::ranges::copy(user, out);
  std::ranges::copy(password, out + user.size());
  return record;
}

bool Passwords::Admit(std::string_view user, std::string_view password) const {
  // Arguments that are too long cannot match. They are compared nevertheless, with a record of
  // zeros, so that the time does not depend on it.
  const bool may_fit =
      user.size() < kPasswordLineBytesMax && password.size() < kPasswordLineBytesMax - user.size();
  const Record wanted = may_fit ? RecordOf(user, password) : Record{};
  std::uint64_t found = 0;
  for (auto record = records_.begin(); record != records_.end();) {
    // The lengths of the stored record, which say where the next one begins.
    std::array<unsigned char, 2> lengths;
    std::memcpy(lengths.data(), &*record, lengths.size());
    const std::size_t words = WordsOf(lengths[0], lengths[1]);
    // If the lengths are equal, both records have only zeros behind these words.
    std::uint64_t difference = 0;
    for (std::size_t i = 0; i < words; ++i) difference |= *record++ ^ wanted[i];
    // The compiler must not find out that a difference makes the rest of the comparison
    // unnecessary.
    asm volatile("" : "+r"(difference));
    // No early return: all records are compared in every case.
    found |= static_cast<std::uint64_t>(difference == 0);
  }
  return may_fit && found != 0;
}

// --- PasswordFile ------------------------------------------------------------------------------

Result<std::unique_ptr<PasswordFile>, std::string> PasswordFile::Load(std::string path) {
  auto passwords = ReadPasswords(path);
  if (!passwords) return Failure{passwords.error()};
  return std::unique_ptr<PasswordFile>(new PasswordFile(std::move(path), std::move(*passwords)));
}

Result<Done, std::string> PasswordFile::Reload() {
  // The file is read before the lock is taken, so that clients do not wait for it.
  auto passwords = ReadPasswords(path_);
  if (!passwords) return Failure{passwords.error()};
  const MutexLock lock(mutex_);
  passwords_ = std::move(*passwords);
  return Done{};
}

bool PasswordFile::Admit(std::string_view user, std::string_view password) const {
  std::shared_ptr<const Passwords> passwords;
  // A shared pointer keeps the old list alive while it is compared, and Reload() need not wait.
  {
    const MutexLock lock(mutex_);
    passwords = passwords_;
  }
  return passwords->Admit(user, password);
}

// --- WatchedPasswords --------------------------------------------------------------------------

WatchedPasswords::WatchedPasswords(std::string path, int verbosity)
    : path_(std::move(path)), verbosity_(verbosity) {
  ReadAgain();
}

void WatchedPasswords::Look() {
  const auto stamp = StampOf(path_);
  if (!stamp) return GiveUp(stamp.error());
  if (seen_ != *stamp) ReadAgain();
}

void WatchedPasswords::ReadAgain() {
  const auto file = ReadSmallFile(path_, kPasswordFileBytesMax);
  if (!file) {
    if (file.error().error_number != EAGAIN) GiveUp(file.error());
    return;
  }
  auto passwords = Passwords::Parse(file->text, Passwords::BadLines::kSkipped);
  Take(passwords ? std::make_shared<const Passwords>(std::move(*passwords)) : nullptr);
  last_complaint_.clear();
  seen_ = file->stamp;
  // Some file systems store the time of a change in steps of a second or two. A file that was
  // changed just before it was read may be changed again with an equal stamp, so it is read again
  // at the next Look().
  if (std::abs(std::time(nullptr) - file->stamp.changed_s()) <= kStampStepMaxS) seen_.reset();
}

std::shared_ptr<const Passwords> WatchedPasswords::Current() const {
  const MutexLock lock(mutex_);
  return passwords_;
}

void WatchedPasswords::Take(std::shared_ptr<const Passwords> passwords) {
  {
    const MutexLock lock(mutex_);
    passwords_.swap(passwords);
  }
  // The old list is destroyed here, outside of the lock, or by the thread that is still using it.
}

void WatchedPasswords::GiveUp(const FileError& error) {
  seen_.reset();
  Take(nullptr);
  if (error.text == last_complaint_) return;
  last_complaint_ = error.text;
  if (verbosity_ > 0) Log(LogLevel::kError, "{}: {}", path_, error.text);
}

}  // namespace larder::server
