// Where the list of the cluster's nodes comes from: a file that is watched, or a DNS name that is
// resolved again and again.
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
#include "slab/result.h"
#include "slab/sync/mutex.h"

namespace larder::server {

using AddressesResult = Result<std::vector<std::string>, std::string>;
// May take as long as it likes, on a thread of its own.
using Resolver = std::function<AddressesResult(const std::string& host)>;

// The system's resolver: the IPv4 addresses of a name, sorted, or the IPv6 ones if it has no other:
// a node with both must not count twice. Or the reason why there are none.
AddressesResult ResolveAddresses(const std::string& host);

// ClusterSource feeds a Cluster. What cannot be read, resolved or understood is said on standard
// error, counted as config_errors, and leaves the list as it is.
//
// Threads: the main thread. A lookup runs on a thread of its own that shares nothing but a mailbox,
//          so nobody ever waits for it, not even at the end.
class ClusterSource {
 public:
  ClusterSource(const Config& config, Cluster& cluster, WorkerCounters& counters,
                Resolver resolver = &ResolveAddresses);

  // Reads the file, begins the first lookup. Takes up to a second when the file is as young.
  void Start();
  // Once a second. Files bear the wall clock's time.
  void Tick(const slab::Now& now);
  // While the wall clock shows the same as the server's own.
  void Tick(std::uint32_t now_s) { Tick({.now_s = now_s}); }
  // As Tick, but also reads what seems unchanged, and resolves at once.
  void ReadAgain(const slab::Now& now);

  bool is_looking_up() const { return mailbox_ != nullptr; }

 private:
  struct Mailbox {
    Mutex mutex;
    std::optional<AddressesResult> answer LARDER_GUARDED_BY(mutex);
  };

  void WatchFile(std::uint32_t wall_s);
  void WatchName(const slab::Now& now);
  void BeginLookup();
  void TakeAddresses(const AddressesResult& addresses, std::uint32_t wall_s);
  void Offer(const ClusterList& list, std::uint64_t version_hint, const std::string& source);
  void Complain(const std::string& source, const std::string& text);

  const std::string file_path_;
  const std::size_t file_bytes_max_;
  const std::string dns_host_;
  const std::uint16_t dns_port_;
  const std::uint32_t dns_interval_s_;
  const std::size_t nodes_max_;
  const Resolver resolver_;
  Cluster& cluster_;
  WorkerCounters& counters_;
  std::optional<FileStamp> seen_;     // Of the file that was read last.
  std::shared_ptr<Mailbox> mailbox_;  // Of the lookup under way, if there is one.
  std::uint32_t next_lookup_s_ = 0;
  std::string last_complaint_;  // Not to be repeated every second.
};

}  // namespace larder::server
