// The reply lines of the classic text protocol, and the lines that it shares with the meta
// protocol. Each includes its CRLF, unless noted.
//
// Threads: any; everything is a constant or uses only its arguments.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "protocol/encoding/numbers.h"
#include "protocol/encoding/write.h"
#include "protocol/line_error.h"
#include "protocol/parse_result.h"

namespace larder::protocol {

// The outcomes of commands that worked, or whose conditions were not met.
inline constexpr std::string_view kStored = "STORED\r\n";
inline constexpr std::string_view kNotStored = "NOT_STORED\r\n";
inline constexpr std::string_view kExists = "EXISTS\r\n";
inline constexpr std::string_view kNotFound = "NOT_FOUND\r\n";
inline constexpr std::string_view kDeleted = "DELETED\r\n";
inline constexpr std::string_view kTouched = "TOUCHED\r\n";
inline constexpr std::string_view kOk = "OK\r\n";
inline constexpr std::string_view kEnd = "END\r\n";
inline constexpr std::string_view kReset = "RESET\r\n";
inline constexpr std::string_view kTlsNotEnabled = "Error TLS not enabled\r\n";
inline constexpr std::string_view kRefreshNotAllowed = "CLIENT_ERROR refresh_certs not allowed\r\n";

// The reply to `version` begins with this; the version and kCrlf follow.
inline constexpr std::string_view kVersionHead = "VERSION ";

// Errors of the client. ErrorText() below maps the errors of the parsers to them.
inline constexpr std::string_view kError = "ERROR\r\n";
inline constexpr std::string_view kBadLine = "CLIENT_ERROR bad command line format\r\n";
inline constexpr std::string_view kBadExptime = "CLIENT_ERROR invalid exptime argument\r\n";
inline constexpr std::string_view kBadDelta = "CLIENT_ERROR invalid numeric delta argument\r\n";
inline constexpr std::string_view kBadDataChunk = "CLIENT_ERROR bad data chunk\r\n";
inline constexpr std::string_view kNonNumeric =
    "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
inline constexpr std::string_view kDuplicateFlag = "CLIENT_ERROR duplicate flag\r\n";
inline constexpr std::string_view kInvalidFlag = "CLIENT_ERROR invalid flag\r\n";
inline constexpr std::string_view kBadMetaToken =
    "CLIENT_ERROR bad token in command line format\r\n";
inline constexpr std::string_view kBadMetaInitial =
    "CLIENT_ERROR invalid numeric initial value\r\n";
inline constexpr std::string_view kBadMetaDelta = "CLIENT_ERROR invalid numeric delta value\r\n";
inline constexpr std::string_view kBadBase64 = "CLIENT_ERROR error decoding key\r\n";
inline constexpr std::string_view kTooManyFlags = "CLIENT_ERROR options flags are too long\r\n";
inline constexpr std::string_view kOpaqueTooLong = "CLIENT_ERROR opaque token too long\r\n";
inline constexpr std::string_view kBadSetMode = "CLIENT_ERROR invalid mode for ms M token\r\n";
inline constexpr std::string_view kBadArithmeticMode =
    "CLIENT_ERROR invalid mode for ma M token\r\n";
inline constexpr std::string_view kBadArithmeticFlag = "CLIENT_ERROR invalid or duplicate flag\r\n";
// flush_all while it is disabled (-F).
inline constexpr std::string_view kFlushNotAllowed = "CLIENT_ERROR flush_all not allowed\r\n";
// Errors after which the connection closes.
inline constexpr std::string_view kLineTooLong = "CLIENT_ERROR line too long\r\n";
inline constexpr std::string_view kTooManyConnections = "ERROR Too many open connections\r\n";

// Replies to a client that has to authenticate.
inline constexpr std::string_view kUnauthenticated = "CLIENT_ERROR unauthenticated\r\n";
inline constexpr std::string_view kAuthFailure = "CLIENT_ERROR authentication failure\r\n";
inline constexpr std::string_view kBadAuthFormat =
    "CLIENT_ERROR bad authentication token format\r\n";
inline constexpr std::string_view kAuthTooLong = "CLIENT_ERROR auth token too long\r\n";
inline constexpr std::string_view kBadAuthEnd = "CLIENT_ERROR bad command line termination\r\n";

// Errors of the server: its limits, and lack of memory. The spelling of each is memcached's.
inline constexpr std::string_view kTooLarge = "SERVER_ERROR object too large for cache\r\n";
inline constexpr std::string_view kNoMemoryStoring =
    "SERVER_ERROR out of memory storing object\r\n";
inline constexpr std::string_view kNoMemoryReadingValue =
    "SERVER_ERROR Out of memory during read\r\n";
inline constexpr std::string_view kNoMemoryReadingRequest =
    "SERVER_ERROR out of memory reading request\r\n";
inline constexpr std::string_view kNoMemoryWriting =
    "SERVER_ERROR out of memory writing get response\r\n";
inline constexpr std::string_view kNoMemory = "SERVER_ERROR out of memory\r\n";
inline constexpr std::string_view kNoMemoryCreating =
    "SERVER_ERROR Out of memory allocating new item\r\n";

// Replies to lru and lru_crawler.
inline constexpr std::string_view kLruPercentTooHigh =
    "ERROR hot and warm pcts must not exceed 80\r\n";
inline constexpr std::string_view kLruFactorTooLow =
    "ERROR hot/warm age factors must be greater than 0\r\n";
inline constexpr std::string_view kNoTempLru = "ERROR there is no temporary LRU\r\n";
inline constexpr std::string_view kCrawlerNotStarted =
    "ERROR failed to start lru crawler thread\r\n";
inline constexpr std::string_view kCrawlerSleepTooLong =
    "CLIENT_ERROR sleep must be one second or less\r\n";
inline constexpr std::string_view kBadCrawlerClass = "BADCLASS invalid class id\r\n";
inline constexpr std::string_view kCrawlerDisabled = "CLIENT_ERROR lru crawler disabled\r\n";
inline constexpr std::string_view kCrawlerBusy = "BUSY currently processing crawler request\r\n";
inline constexpr std::string_view kMetadumpNotAllowed = "ERROR metadump not allowed\r\n";
inline constexpr std::string_view kMgdumpNotAllowed = "ERROR key dump not allowed\r\n";
// The first line of a dump is kOk, and the last one of a metadump is kEnd. The line ends of
// metadump are memcached's.
inline constexpr std::string_view kMetadumpLineEnd = " \n";
inline constexpr std::string_view kMgdumpEnd = "EN\r\n";

// Replies to slabs.
inline constexpr std::string_view kReassignBusy = "BUSY currently processing reassign request\r\n";
inline constexpr std::string_view kReassignBadClass = "BADCLASS invalid src or dst class id\r\n";
inline constexpr std::string_view kReassignNoSpare = "NOSPARE source class has no spare pages\r\n";
inline constexpr std::string_view kReassignSame = "SAME src and dst class are identical\r\n";
inline constexpr std::string_view kReassignDisabled = "CLIENT_ERROR slab reassignment disabled\r\n";
inline constexpr std::string_view kBadAutomoveWindow =
    "CLIENT_ERROR automove window too low or too high\r\n";

// Replies to cache_memlimit.
inline constexpr std::string_view kMemlimitTooSmall =
    "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n";
inline constexpr std::string_view kMemlimitNotBytes =
    "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n";
inline constexpr std::string_view kMemlimitOutOfBounds =
    "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n";

// Replies to shutdown. The colon of the first one is memcached's.
inline constexpr std::string_view kShutdownNotEnabled = "SERVER_ERROR: shutdown not enabled\r\n";
inline constexpr std::string_view kBadShutdownMode = "CLIENT_ERROR invalid shutdown mode\r\n";

// Replies to config. For config get: kConfigHead, the length of the cluster's value in bytes,
// kCrlf, the value, kCrlf and kEnd.
inline constexpr std::string_view kConfigHead = "CONFIG cluster 0 ";
inline constexpr std::string_view kDropNotAllowed = "CLIENT_ERROR drop not allowed\r\n";
inline constexpr std::string_view kWatchNotAllowed = "CLIENT_ERROR watch commands not allowed\r\n";
inline constexpr std::string_view kTooManyWatchers =
    "WATCHER_TOO_MANY log watcher limit reached\r\n";
inline constexpr std::string_view kTooManyDrops = "SERVER_ERROR too many drops\r\n";
inline constexpr std::string_view kConfigNotAllowed =
    "CLIENT_ERROR changing the config not allowed\r\n";
inline constexpr std::string_view kBadConfig = "CLIENT_ERROR bad cluster config\r\n";
inline constexpr std::string_view kOldConfigVersion =
    "CLIENT_ERROR cluster config version must grow\r\n";

// Replies to stats. A statistic is kStatHead, its name, a space, its value and kCrlf; kEnd ends the
// list.
inline constexpr std::string_view kStatHead = "STAT ";
inline constexpr std::string_view kStatsDetailUsage =
    "CLIENT_ERROR usage: stats detail on|off|dump\r\n";
inline constexpr std::string_view kStatsDetailNotAllowed =
    "CLIENT_ERROR stats detail not allowed\r\n";
inline constexpr std::string_view kCachedumpNotAllowed =
    "CLIENT_ERROR stats cachedump not allowed\r\n";
inline constexpr std::string_view kCachedumpUsage = "CLIENT_ERROR bad command line\r\n";
inline constexpr std::string_view kIllegalSlabId = "CLIENT_ERROR Illegal slab id\r\n";

// Returns the line that answers a request with this error; empty for kNone.
constexpr std::string_view ErrorText(LineError error) noexcept {
  switch (error) {
    case LineError::kNone:
      return {};
    case LineError::kUnknownCommand:
      return kError;
    case LineError::kBadLine:
      return kBadLine;
    case LineError::kBadExptime:
      return kBadExptime;
    case LineError::kBadDelta:
      return kBadDelta;
    case LineError::kBadDataChunk:
      return kBadDataChunk;
    case LineError::kDuplicateFlag:
      return kDuplicateFlag;
    case LineError::kInvalidFlag:
      return kInvalidFlag;
    case LineError::kBadMetaToken:
      return kBadMetaToken;
    case LineError::kBadMetaInitial:
      return kBadMetaInitial;
    case LineError::kBadMetaDelta:
      return kBadMetaDelta;
    case LineError::kBadBase64:
      return kBadBase64;
    case LineError::kTooManyFlags:
      return kTooManyFlags;
    case LineError::kOpaqueTooLong:
      return kOpaqueTooLong;
    case LineError::kBadSetMode:
      return kBadSetMode;
    case LineError::kBadArithmeticMode:
      return kBadArithmeticMode;
    case LineError::kBadArithmeticFlag:
      return kBadArithmeticFlag;
  }
  assert(false && "an error without a line");
  return {};
}
// Each error has its line, which ends like all lines.
static_assert([] {
  for (auto error = static_cast<int>(LineError::kNone) + 1;
       error <= static_cast<int>(LineError::kLast); ++error) {
    if (!ErrorText(static_cast<LineError>(error)).ends_with(kCrlf)) return false;
  }
  return ErrorText(LineError::kNone).empty();
}());

// The most bytes that each of the functions below writes: VALUE, key, flags, bytes and CAS with the
// spaces between them, and the line end.
inline constexpr std::size_t kValueHeadBytesMax =
    sizeof("VALUE ") - 1 + kKeyBytesMax + 1 + 10 + 1 + 10 + 1 + kDecimalBytesMax + 2;

// Writes "VALUE <key> <flags> <bytes>" without a line end, and returns the position behind it.
//
// REQUIRES: key.size() <= kKeyBytesMax, and kValueHeadBytesMax bytes are writable at `out`.
inline char* WriteValueFields(char* out, std::string_view key, std::uint32_t client_flags,
                              std::uint32_t value_bytes) noexcept {
  assert(key.size() <= kKeyBytesMax);
  std::memcpy(out, "VALUE ", 6);
  out += 6;
  out = WriteKey(out, key);
  // Most items have no flags: one copy replaces three writes.
  if (client_flags == 0) [[likely]] {
    std::memcpy(out, " 0 ", 3);
    out += 3;
  } else {
    *out++ = ' ';
    out = WriteDecimal(out, client_flags);
    *out++ = ' ';
  }
  return WriteDecimal(out, value_bytes);
}

// Writes the line before a value in the replies of get and gat, and returns the position behind it.
//
// REQUIRES: key.size() <= kKeyBytesMax, and kValueHeadBytesMax bytes are writable at `out`.
inline char* WriteValueHead(char* out, std::string_view key, std::uint32_t client_flags,
                            std::uint32_t value_bytes) noexcept {
  out = WriteValueFields(out, key, client_flags, value_bytes);
  std::memcpy(out, "\r\n", 2);
  return out + 2;
}

// Writes the line before a value in the replies of gets and gats, which ends with the CAS of the
// item, and returns the position behind it.
//
// REQUIRES: key.size() <= kKeyBytesMax, and kValueHeadBytesMax bytes are writable at `out`.
inline char* WriteValueHeadWithCas(char* out, std::string_view key, std::uint32_t client_flags,
                                   std::uint32_t value_bytes, std::uint64_t cas) noexcept {
  out = WriteValueFields(out, key, client_flags, value_bytes);
  *out++ = ' ';
  out = WriteDecimal(out, cas);
  std::memcpy(out, "\r\n", 2);
  return out + 2;
}

}  // namespace larder::protocol
