#include "server/password_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>

#include "server/config/split.h"
#include "server/log.h"
#include "server/small_file.h"
#include "slab/check.h"
#include "slab/item/hash.h"

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

// A place holds a part of a hash above, and the position of a record below.
std::uint64_t HashIn(std::uint64_t place) { return place >> 32; }
std::size_t PositionIn(std::uint64_t place) { return place & 0xffff'ffff; }
// Each line of the largest file takes at most one word more than it has bytes.
static_assert(2 * kPasswordFileBytesMax <= 0xffff'ffff);

// Returns the hash of a record as the upper half of a place. Nobody outside can compute it.
std::uint64_t HashOf(const std::uint64_t* record, std::size_t words) {
  static const std::uint64_t seed = std::random_device()() | std::uint64_t{std::random_device()()}
                                                                 << 32;
  const std::string_view bytes(reinterpret_cast<const char*>(record), words * sizeof *record);
  return slab::HashKey(bytes, seed) & ~std::uint64_t{0xffff'ffff};
}

}  // namespace

// --- Passwords ---------------------------------------------------------------------------------

std::optional<Passwords> Passwords::Parse(std::string_view text, BadLines bad_lines) {
  Passwords passwords;
  while (!text.empty()) {
    std::string_view line = TakePiece(text, "\n");
    // Files with CRLF line ends are accepted.
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && line.size() <= kPasswordLineBytesMax) {
      const std::string_view user = line.substr(0, colon);
      const std::string_view password = line.substr(colon + 1);
      passwords.Add(user, password);
    } else if (bad_lines == BadLines::kRefused) {
      return std::nullopt;
    }
  }
  if (passwords.records_.empty() && bad_lines == BadLines::kRefused) return std::nullopt;
  passwords.Sort();
  // The list lives as long as the file is unchanged, so it should not hold unused memory.
  passwords.records_.shrink_to_fit();
  passwords.places_.shrink_to_fit();
  return passwords;
}

void Passwords::Add(std::string_view user, std::string_view password) {
  const Record record = RecordOf(user, password);
  const std::size_t words = WordsOf(user.size(), password.size());
  LARDER_ASSERT(words <= record.size());
  LARDER_ASSERT(PositionIn(records_.size()) == records_.size());
  places_.push_back(HashOf(record.data(), words) | records_.size());
  // Only the words that the record uses are stored.
  records_.insert(records_.end(), record.begin(), record.begin() + words);
}

void Passwords::Sort() {
  std::ranges::sort(places_);
  // Records that are the same have the same hash, so they stand side by side.
  const auto same =
      std::unique(places_.begin(), places_.end(), [this](std::uint64_t a, std::uint64_t b) {
        if (HashIn(a) != HashIn(b)) return false;
        const std::uint64_t* const record = &records_[PositionIn(a)];
        const std::size_t words = WordsAt(record);
        return words == WordsAt(&records_[PositionIn(b)]) &&
               std::equal(record, record + words, &records_[PositionIn(b)]);
      });
  places_.erase(same, places_.end());
  LARDER_ASSERT(std::ranges::is_sorted(places_));
}

std::size_t Passwords::WordsOf(std::size_t user_bytes, std::size_t password_bytes) {
  constexpr std::size_t kWordBytes = sizeof(Record::value_type);
  // The two lengths take one byte each.
  return (2 + user_bytes + password_bytes + kWordBytes - 1) / kWordBytes;
}

std::size_t Passwords::WordsAt(const std::uint64_t* stored) {
  std::array<unsigned char, 2> lengths;
  std::memcpy(lengths.data(), stored, lengths.size());
  return WordsOf(lengths[0], lengths[1]);
}

std::size_t Passwords::compared_max() const {
  std::size_t most = 0;
  std::size_t run = 0;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    run = i > 0 && HashIn(places_[i - 1]) == HashIn(places_[i]) ? run + 1 : 1;
    most = std::max(most, run);
  }
  return most;
}

Passwords::Record Passwords::RecordOf(std::string_view user, std::string_view password) {
  LARDER_ASSERT(user.size() + password.size() < kPasswordLineBytesMax);
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
  const std::uint64_t hash = HashOf(wanted.data(), WordsAt(wanted.data()));
  bool is_found = false;
  for (auto place = std::ranges::lower_bound(places_, hash);
       place != places_.end() && HashIn(*place) == HashIn(hash); ++place) {
    // No early return: all records with this hash are compared.
    is_found |= IsAt(*place, wanted);
  }
  return may_fit && is_found;
}

bool Passwords::IsAt(std::uint64_t place, const Record& wanted) const {
  LARDER_ASSERT(PositionIn(place) < records_.size());
  const std::uint64_t* const record = &records_[PositionIn(place)];
  // If the lengths are equal, both records have only zeros behind these words.
  const std::size_t words = WordsAt(record);
  LARDER_ASSERT(words <= wanted.size());
  std::uint64_t difference = 0;
  for (std::size_t i = 0; i < words; ++i) difference |= record[i] ^ wanted[i];
  // The compiler must not find out that a difference makes the rest of the comparison unnecessary.
  asm volatile("" : "+r"(difference));
  return difference == 0;
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
