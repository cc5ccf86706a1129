// The nodes of a cluster as files, commands and clients write them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slab/result.h"

namespace larder::server {

// A greater version would not survive a client whose numbers are doubles.
inline constexpr std::uint64_t kClusterVersionMax = (std::uint64_t{1} << 53) - 1;

// Where clients find a node. Those of some languages take the host, others the address.
struct ClusterNode {
  std::string host;  // A name or an address, at most 253 bytes.
  std::string ip;    // An IPv4 or IPv6 address; empty: unknown.
  std::uint16_t port = 0;

  bool operator==(const ClusterNode&) const = default;
};

struct ClusterList {
  std::uint64_t version = 0;  // At most kClusterVersionMax; 0: none was given.
  std::vector<ClusterNode> nodes;
};

// Reads what --cluster-file takes: nodes by spaces or lines, each `host:port`, `[address]:port` or
// `host|address|port`; `#` and what follows it on its line is a comment; a line `version N` may
// stand among them, once. An address that stands for the host is the node's ip as well. Or says
// what is wrong, and in which line: no nodes, more than nodes_max and a node given twice are wrong.
Result<ClusterList, std::string> ParseClusterFile(std::string_view text, std::size_t nodes_max);

// Reads what `config get cluster` answers and `config set cluster` takes: `<version>\n<nodes>`, and
// a `\n` that may be missing. Nodes as above; none, only with `may_be_empty`.
enum class EmptyList : std::uint8_t { kRefused, kAllowed };
Result<ClusterList, std::string> ParseClusterValue(std::string_view text, std::size_t nodes_max,
                                                   EmptyList empty = EmptyList::kRefused);

// The node list as clients read it: `host|ip|port` parted by single spaces.
std::string FormatNodes(const std::vector<ClusterNode>& nodes);

// `<version>\n<nodes>\n`
std::string FormatClusterValue(std::uint64_t version, std::string_view nodes);

}  // namespace larder::server
