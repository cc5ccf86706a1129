// The cluster that clients discover: `config get cluster` and what may change its answer.
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

// Clients older than `config get` read the cluster under this key. The cache never holds it.
inline constexpr std::string_view kClusterKey = "AmazonElastiCache:cluster";
// The one thing that `config` knows.
inline constexpr std::string_view kClusterConfigName = "cluster";

// What clients get, as it was at one moment.
//
// Threads: immutable.
struct ClusterSnapshot {
  std::uint64_t version = 0;
  std::string nodes;  // As FormatNodes() writes them; never empty.
  std::string value;  // As FormatClusterValue() writes it.
};

enum class ClusterChange : std::uint8_t {
  kChanged,
  kSame,        // The list, and the version if one was given, are those of now.
  kOldVersion,  // The version given is not above all those before.
  kNoVersion,   // There is no version above the last.
  kBadList,     // SetValue() only: it could not be read.
};

// Cluster holds the current list and its version, which only grows, as clients act on nothing but
// a greater one. With a state file it grows over restarts, too: whatever clients may have seen was
// written there before.
//
// Threads: internally locked. Who reads never waits for a file to be written.
class Cluster {
 public:
  // As ReplaceSmallFile, which it is but for tests.
  using Writer = std::function<std::string(const std::string& path, std::string_view text)>;

  // `state_path` is empty for no state file. Takes up what an earlier server left there: the list
  // is served at once, until there is a better one.
  explicit Cluster(std::string state_path, Writer writer = &ReplaceSmallFile);

  // nullptr: no cluster is configured. Costs a lock: not for the way of a plain get.
  std::shared_ptr<const ClusterSnapshot> Current() const LARDER_EXCLUDES(mutex_);

  // Makes `list` the current one. A version that it brings must be greater than all before, or the
  // same with the same nodes. Without one, nodes that differ get the greater of `version_hint` and
  // the number above the last version: a hint that two servers have in common, such as the
  // time of a file, makes them agree.
  //
  // REQUIRES: list.nodes is not empty.
  ClusterChange Set(const ClusterList& list, std::uint64_t version_hint)
      LARDER_EXCLUDES(change_mutex_, mutex_);

  // The same with what `config set cluster` brings.
  ClusterChange SetValue(std::string_view value, std::size_t nodes_max)
      LARDER_EXCLUDES(change_mutex_, mutex_);

  // Back to no cluster; false if there was none. Later versions are still greater.
  bool Delete() LARDER_EXCLUDES(change_mutex_, mutex_);

 private:
  void LoadState() LARDER_REQUIRES(change_mutex_) LARDER_EXCLUDES(mutex_);
  // Says on standard error if it cannot: then the version holds for this run of the server only.
  void SaveState(std::string_view value) LARDER_REQUIRES(change_mutex_) LARDER_EXCLUDES(mutex_);
  void Publish(std::shared_ptr<const ClusterSnapshot> next) LARDER_REQUIRES(change_mutex_)
      LARDER_EXCLUDES(mutex_);

  const std::string state_path_;
  const Writer writer_;

  // Held by the one who changes the list, while the file is written: so versions reach the file,
  // and then the clients, in their order. Before mutex_.
  Mutex change_mutex_;
  std::uint64_t last_version_ LARDER_GUARDED_BY(change_mutex_) = 0;  // Of all that were current.

  mutable Mutex mutex_;
  // Replaced by the holder of both.
  std::shared_ptr<const ClusterSnapshot> current_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::server
