// Cluster, the list of nodes that clients discover by `config get cluster`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "server/config/cluster_nodes.h"
#include "server/small_file.h"
#include "slab/result.h"
#include "slab/sync/mutex.h"

namespace larder::server {

// Clients that are older than `config get` read the list under this key. The cache never stores it.
inline constexpr std::string_view kClusterKey = "AmazonElastiCache:cluster";
// The only name that `config get` and `config set` accept.
inline constexpr std::string_view kClusterConfigName = "cluster";

// The list as it was at one moment, in the forms that replies need.
//
// Threads: immutable.
struct ClusterSnapshot {
  // The version of the list, which clients compare with theirs.
  std::uint64_t version = 0;
  // The nodes in the form of FormatNodes(); never empty.
  std::string nodes;
  // The value in the form of FormatClusterValue().
  std::string value;
};

// The result of an attempt to change the list.
enum class ClusterChange : std::uint8_t {
  // The list has been replaced.
  kChanged,
  // Nothing was done: the nodes, and the version if one was given, are the current ones.
  kSame,
  // Refused: the version that was given is not greater than all versions before.
  kOldVersion,
  // Refused: there is no version greater than the last one.
  kNoVersion,
  // Refused, by SetValue() only: the value is malformed.
  kBadList,
};

// Cluster stores the current list and its version. The version only grows, because clients ignore a
// list unless its version is greater than theirs. With a state file it also grows over restarts:
// every version is written to the file before clients can see it.
//
// Threads:    internally locked. Reading never waits for a file to be written.
// Invariants: a version that was current once is never current again with other nodes.
class Cluster {
 public:
  // Has the contract of ReplaceSmallFile(); tests replace it.
  using Writer = std::function<std::string(const std::string& path, std::string_view text)>;

  // `state_path` is the state file; empty: there is none. Loads the list that an earlier server
  // left in the file, which is served until there is a newer one. A file that cannot be used is
  // logged, and there is no list then.
  explicit Cluster(std::string state_path, Writer writer = &ReplaceSmallFile);

  // The current list, which stays valid as long as the pointer; nullptr if no cluster is
  // configured. Takes a lock, so it is not for the path of an ordinary get.
  std::shared_ptr<const ClusterSnapshot> Current() const LARDER_EXCLUDES(mutex_);

  // Makes `list` the current one. If it has a version, that must be greater than all before (or
  // equal to the current one, with equal nodes). If it has none and its nodes differ from the
  // current ones, it gets the greater of `version_hint` and the number after the last version. A
  // hint that two servers share, such as the time of a file, makes their versions equal.
  //
  // Returns kChanged, kSame, kOldVersion or kNoVersion. Blocks while the state file is written.
  //
  // REQUIRES: list.nodes is not empty; list.version is at most kClusterVersionMax.
  ClusterChange Set(const ClusterList& list, std::uint64_t version_hint)
      LARDER_EXCLUDES(change_mutex_, mutex_);

  // Parses the value of `config set cluster`, and makes it the current list as Set() does. Also
  // returns kBadList, if the value is malformed or has more than nodes_max nodes.
  ClusterChange SetValue(std::string_view value, std::size_t nodes_max)
      LARDER_EXCLUDES(change_mutex_, mutex_);

  // Removes the current list; returns false if there was none. The versions of later lists are
  // still greater.
  bool Delete() LARDER_EXCLUDES(change_mutex_, mutex_);

 private:
  // Loads the state file; for the constructor.
  void LoadState() LARDER_REQUIRES(change_mutex_) LARDER_EXCLUDES(mutex_);
  // Writes the state file. A failure is logged: then the version is not remembered after a restart.
  void SaveState(std::string_view value) LARDER_REQUIRES(change_mutex_) LARDER_EXCLUDES(mutex_);
  // Replaces the list that readers get.
  void Publish(std::shared_ptr<const ClusterSnapshot> next) LARDER_REQUIRES(change_mutex_)
      LARDER_EXCLUDES(mutex_);

  // Empty: there is no state file.
  const std::string state_path_;
  const Writer writer_;

  // Held while the list is changed and the file is written, so that versions reach the file and
  // then the clients in their order. Locked before mutex_.
  Mutex change_mutex_;
  // The greatest version that was ever current.
  std::uint64_t last_version_ LARDER_GUARDED_BY(change_mutex_) = 0;

  // Guards current_ against readers; never held during a file operation.
  mutable Mutex mutex_;
  // nullptr: there is no list. Replaced only by a thread that holds both locks.
  std::shared_ptr<const ClusterSnapshot> current_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::server
