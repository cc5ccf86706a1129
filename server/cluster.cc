#include "server/cluster.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "server/log.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// The largest state file that is read, which is larger than any list that can be accepted.
constexpr std::size_t kStateBytesMax = std::size_t{4} << 20;

// Makes a snapshot with both texts of the list.
std::shared_ptr<const ClusterSnapshot> MakeSnapshot(std::uint64_t version, std::string nodes) {
  LARDER_ASSERT(!nodes.empty());
  LARDER_ASSERT(version > 0 && version <= kClusterVersionMax);
  std::string value = FormatClusterValue(version, nodes);
  return std::make_shared<const ClusterSnapshot>(
      ClusterSnapshot{.version = version, .nodes = std::move(nodes), .value = std::move(value)});
}

}  // namespace

Cluster::Cluster(std::string state_path, Writer writer)
    : state_path_(std::move(state_path)), writer_(std::move(writer)) {
  const MutexLock lock(change_mutex_);
  if (!state_path_.empty()) LoadState();
}

std::shared_ptr<const ClusterSnapshot> Cluster::Current() const {
  const MutexLock lock(mutex_);
  return current_;
}

ClusterChange Cluster::Set(const ClusterList& list, std::uint64_t version_hint) {
  LARDER_ASSERT(!list.nodes.empty());
  LARDER_ASSERT(list.version <= kClusterVersionMax);
  std::string nodes = FormatNodes(list.nodes);
  const MutexLock lock(change_mutex_);
  const auto current = Current();
  const bool is_same_list = current != nullptr && current->nodes == nodes;
  std::uint64_t version = list.version;
  // A list without a version gets the next one, unless it has the current nodes. A version that the
  // list brings has to be greater than all versions before.
  if (version == 0) {
    if (is_same_list) return ClusterChange::kSame;
    version = std::max(last_version_ + 1, std::min(version_hint, kClusterVersionMax));
    if (version > kClusterVersionMax) return ClusterChange::kNoVersion;
  } else if (version <= last_version_) {
    return is_same_list && version == current->version ? ClusterChange::kSame
                                                       : ClusterChange::kOldVersion;
  }
  LARDER_ASSERT(version > last_version_);
  auto next = MakeSnapshot(version, std::move(nodes));
  // First the file, then the clients: after a restart no version may be lower than one that a
  // client has seen.
  SaveState(next->value);
  Publish(std::move(next));
  last_version_ = version;
  return ClusterChange::kChanged;
}

ClusterChange Cluster::SetValue(std::string_view value, std::size_t nodes_max) {
  const auto list = ParseClusterValue(value, nodes_max);
  return list ? Set(*list, 0) : ClusterChange::kBadList;
}

bool Cluster::Delete() {
  const MutexLock lock(change_mutex_);
  if (Current() == nullptr) return false;
  LARDER_ASSERT(last_version_ > 0);
  // The version is kept without nodes, so that later versions are greater after a restart too.
  SaveState(FormatClusterValue(last_version_, {}));
  Publish(nullptr);
  return true;
}

void Cluster::Publish(std::shared_ptr<const ClusterSnapshot> next) {
  const MutexLock lock(mutex_);
  current_ = std::move(next);
}

void Cluster::LoadState() {
  const auto file = ReadSmallFile(state_path_, kStateBytesMax);
  if (!file) {
    if (file.error().error_number == ENOENT) return;  // The first start.
    return Log(LogLevel::kError, "cluster: {}: {}", state_path_, file.error().text);
  }
  // No limit on the nodes: the option may have been greater when the file was written.
  const auto list =
      ParseClusterValue(file->text, std::numeric_limits<std::size_t>::max(), EmptyList::kAllowed);
  if (!list) return Log(LogLevel::kError, "cluster: {}: {}", state_path_, list.error());
  // A list without nodes is what Delete() leaves: only the version counts.
  last_version_ = list->version;
  if (!list->nodes.empty()) Publish(MakeSnapshot(list->version, FormatNodes(list->nodes)));
}

void Cluster::SaveState(std::string_view value) {
  if (state_path_.empty()) return;
  const std::string error = writer_(state_path_, value);
  if (!error.empty()) Log(LogLevel::kError, "cluster: {}: {}", state_path_, error);
}

}  // namespace larder::server
