// The streams that a client of `watch` may ask for.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace larder::server {

// What an event is about; a watcher gets the events of the streams that it has named.
enum class WatchStream : std::uint8_t {
  // Items that were evicted.
  kEvictions,
  // Look-ups, also those that are part of another command.
  kFetchers,
  // Stores, also refused ones.
  kMutations,
  // Items that clients have deleted.
  kDeletions,
  // Clients that come and go.
  kConnections,
  // What the server does by itself.
  kSystem,
  // Keys of which a reader may hold an old copy now.
  kInvalidations,
  // Retrievals without a hit, with the reason.
  kMisses,
  // Commands that took long.
  kSlow,
  // The number of streams.
  kCount,
};
inline constexpr std::size_t kWatchStreams = static_cast<std::size_t>(WatchStream::kCount);

// A set of streams: bit n is the stream n.
using StreamSet = std::uint32_t;
constexpr StreamSet SetOf(WatchStream stream) {
  return StreamSet{1} << static_cast<unsigned>(stream);
}

// A word of the command, and the streams that it means.
struct WatchWord {
  std::string_view name;
  StreamSet streams;
};

// memcached has the first nine; those that mean nothing are accepted and have no lines, as there
// without a proxy. The others are this server's own.
inline constexpr std::array kWatchWords = {
    WatchWord{"rawcmds", 0},
    WatchWord{"evictions", SetOf(WatchStream::kEvictions)},
    WatchWord{"fetchers", SetOf(WatchStream::kFetchers)},
    WatchWord{"mutations", SetOf(WatchStream::kMutations)},
    WatchWord{"sysevents", SetOf(WatchStream::kSystem)},
    WatchWord{"connevents", SetOf(WatchStream::kConnections)},
    WatchWord{"proxyreqs", 0},
    WatchWord{"proxyevents", 0},
    WatchWord{"proxyuser", 0},
    WatchWord{"deletions", SetOf(WatchStream::kDeletions)},
    WatchWord{"invalidations", SetOf(WatchStream::kInvalidations)},
    WatchWord{"misses", SetOf(WatchStream::kMisses)},
    WatchWord{"slow", SetOf(WatchStream::kSlow)},
};

}  // namespace larder::server
