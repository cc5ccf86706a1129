// WatchFilter: what a watcher has asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/watch/event.h"
#include "server/watch/stream.h"

namespace larder::server {

// WatchFilter decides which events a watcher gets: those of its streams that pass all its
// conditions. memcached has no conditions; without them nobody could watch a busy server.
//
// Threads: one at a time.
class WatchFilter {
 public:
  // Reads the words behind `watch`, separated by blanks: words of kWatchWords, and conditions.
  // Without any stream it is `fetchers`. Nothing if a word is not known, or has a bad value.
  //
  //   prefix=<text>   keys that begin so; percent-encoded
  //   key=<key>       this key; percent-encoded
  //   cfd=<n>         events of this client
  //   status=<word>   events with this status or cause
  //   sample=<n>      one of n events, 1 or more
  //   slow=<us>       the stream `slow`: commands that take at least so long; the default is
  //                   kSlowUsDefault
  static std::optional<WatchFilter> Parse(std::string_view words);

  static constexpr std::uint64_t kSlowUsDefault = 1000;

  StreamSet streams() const { return streams_; }
  std::uint64_t slow_us() const { return slow_us_; }

  // Whether the watcher gets this event. An event without a key, such as a flush, passes all
  // conditions but that on the client: it concerns every key.
  bool Passes(const WatchEvent& event);

 private:
  // Reads one condition; false: it is none, or bad.
  bool ReadCondition(std::string_view word);

  StreamSet streams_ = 0;
  std::string prefix_;
  std::optional<std::string> key_;
  std::optional<int> client_;
  std::string status_;
  std::uint64_t sample_ = 1;
  std::uint64_t slow_us_ = kSlowUsDefault;
  // Events with a key that have passed all other conditions.
  std::uint64_t passed_ = 0;
};

}  // namespace larder::server
