// ClusterSource, which gets the list of the cluster's nodes from a file that it watches, or from a
// DNS name that it resolves periodically.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/cluster.h"
#include "server/config/config.h"
#include "server/metrics/counters.h"
#include "server/small_file.h"
#include "slab/item/expiry.h"
#include "slab/result.h"
#include "slab/sync/mutex.h"

namespace larder::server {

// The addresses of a name, at least one, or the reason why there are none.
using AddressesResult = Result<std::vector<std::string>, std::string>;
// Resolves a name. It may block for any time, because it is called on a thread of its own.
using Resolver = std::function<AddressesResult(const std::string& host)>;

// Resolves a name with the system's resolver. Returns the IPv4 addresses, sorted and each once; or
// the IPv6 ones if the name has no others, because a node with both kinds must not be in the list
// twice. Fails with the reason if there are none.
AddressesResult ResolveAddresses(const std::string& host);

// ClusterSource gives new lists to a Cluster. A file or a name that cannot be read, resolved or
// parsed is logged and counted as config_errors, and leaves the current list unchanged.
//
// Threads: one worker (the main thread). A lookup runs on a thread of its own, which shares only a
//          mailbox with this object, so no other thread ever waits for it, not even the destructor.
// Owns:    nothing; `cluster` and `counters` must outlive it.
class ClusterSource {
 public:
  // Copies what it needs of `config`; does not read anything yet. REQUIRES: `config` names a file
  // or a name or neither, and `resolver` is not empty.
  ClusterSource(const Config& config, Cluster& cluster, WorkerCounters& counters,
                Resolver resolver = &ResolveAddresses);

  // Reads the file, or begins the first lookup. Blocks until the second in which the file was
  // changed is over, if that is the present one.
  void Start();
  // Call it once a second. Checks the file against the wall clock, because files have its time.
  void Tick(const slab::Now& now);
  // For a wall clock that agrees with the server's own clock.
  void Tick(std::uint32_t now_s) { Tick({.now_s = now_s}); }
  // As Tick(), but reads the file even if it seems unchanged, and resolves the name at once.
  void ReadAgain(const slab::Now& now);

  // Returns whether a lookup is under way.
  bool is_looking_up() const { return mailbox_ != nullptr; }

 private:
  // Where the thread of a lookup leaves its result.
  struct Mailbox {
    Mutex mutex;
    // Empty until the lookup has ended.
    std::optional<AddressesResult> answer LARDER_GUARDED_BY(mutex);
  };

  // Reads the file if it has changed.
  void WatchFile(std::uint32_t wall_s);
  // Takes the result of a lookup, and begins the next one when it is due.
  void WatchName(const slab::Now& now);
  // Starts a thread that resolves the name.
  void BeginLookup();
  // Makes a list of the addresses. All nodes have the same port.
  void TakeAddresses(const AddressesResult& addresses, std::uint32_t wall_s);
  // Makes the list the current one. `source` is the file or the name, for the log.
  void Offer(const ClusterList& list, std::uint64_t version_hint, const std::string& source);
  // Logs an error and counts it, unless the last one was equal.
  void Complain(const std::string& source, const std::string& text);

  // Constants of the configuration.
  const std::string file_path_;
  const std::size_t file_bytes_max_;
  const std::string dns_host_;
  const std::uint16_t dns_port_;
  const std::uint32_t dns_interval_s_;
  const std::size_t nodes_max_;
  const Resolver resolver_;
  Cluster& cluster_;
  WorkerCounters& counters_;
  // The stamp of the file that was read last.
  std::optional<FileStamp> seen_;
  // The mailbox of the lookup that is under way; nullptr: there is none.
  std::shared_ptr<Mailbox> mailbox_;
  // When the next lookup is due, by the server's own clock.
  std::uint32_t next_lookup_s_ = 0;
  // The last error, which is not repeated every second.
  std::string last_complaint_;
};

}  // namespace larder::server
