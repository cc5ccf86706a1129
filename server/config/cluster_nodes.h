// The nodes of a cluster, and the texts in which files, commands and clients write them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slab/result.h"

namespace larder::server {

// The greatest version. Clients whose numbers are doubles cannot represent greater ones exactly.
inline constexpr std::uint64_t kClusterVersionMax = (std::uint64_t{1} << 53) - 1;

// How clients reach a node. Client libraries of some languages use the host, others the address.
//
// Threads: one worker.
struct ClusterNode {
  // A name or an address, of at most 253 bytes.
  std::string host;
  // An IPv4 or IPv6 address; empty if it is not known.
  std::string ip;
  // The TCP port, 1 to 65535.
  std::uint16_t port = 0;

  bool operator==(const ClusterNode&) const = default;
};

// A list of nodes with its version. Clients take a list only if its version is greater than theirs.
//
// Threads: one worker.
struct ClusterList {
  // At most kClusterVersionMax; 0: no version was given.
  std::uint64_t version = 0;
  // Each node once; in the order in which they were given.
  std::vector<ClusterNode> nodes;
};

// Parses the contents of a --cluster-file: nodes separated by spaces or line ends, each as
// `host:port`, `[address]:port` or `host|address|port`. `#` begins a comment, which ends with its
// line. One line of the file may be `version N`. A host that is an address becomes the node's ip as
// well.
//
// Fails with a message that names the line (if there is one to name): if there is no node, if there
// are more than nodes_max, if a node occurs twice, or if a word is malformed.
Result<ClusterList, std::string> ParseClusterFile(std::string_view text, std::size_t nodes_max);

// Whether a list without nodes is an error.
enum class EmptyList : std::uint8_t { kRefused, kAllowed };
// Parses the value that `config get cluster` sends and `config set cluster` receives:
// `<version>\n<nodes>`, and a last `\n` that may be missing. The nodes are in one line, in the
// notations of ParseClusterFile(). Unlike a file, the value must have a version.
//
// Fails with a message in the same cases as ParseClusterFile(); a list without nodes is an error
// unless `empty` is kAllowed.
Result<ClusterList, std::string> ParseClusterValue(std::string_view text, std::size_t nodes_max,
                                                   EmptyList empty = EmptyList::kRefused);

// Returns the nodes in the form that clients parse: `host|ip|port`, separated by single spaces.
std::string FormatNodes(const std::vector<ClusterNode>& nodes);

// Returns `<version>\n<nodes>\n`, the value of `config get cluster`. `nodes` comes from
// FormatNodes().
std::string FormatClusterValue(std::uint64_t version, std::string_view nodes);

}  // namespace larder::server
