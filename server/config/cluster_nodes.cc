#include "server/config/cluster_nodes.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "server/config/option_number.h"
#include "server/config/split.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// The longest host name that DNS allows.
constexpr std::size_t kHostBytesMax = 253;
// The longest part of a wrong word that an error message quotes.
constexpr std::size_t kExcerptBytes = 60;
// What separates words on a line. '\r' is among them, so that files with CRLF line ends can be
// read.
constexpr std::string_view kBlanks = " \t\r";

// Returns a text from a file in the form in which an error message may show it: shortened, and with
// '?' for every byte that is not printable ASCII.
std::string Excerpt(std::string_view text) {
  std::string shown(text.substr(0, kExcerptBytes));
  std::ranges::replace_if(
      shown, [](char c) { return c < ' ' || c > '~'; }, '?');
  return shown;
}

// Returns whether `text` is an IPv4 or IPv6 address in its usual notation.
bool IsAddress(std::string_view text) {
  // Large enough for an address of either kind.
  in6_addr address;
  // inet_pton() needs a text with a NUL at its end, so a NUL within `text` would hide what follows
  // it.
  const std::string terminated(text);
  return terminated.size() == text.size() && text.find('\0') == text.npos &&
         (inet_pton(AF_INET, terminated.c_str(), &address) == 1 ||
          inet_pton(AF_INET6, terminated.c_str(), &address) == 1);
}

// The bytes that a host name may have. The underscore is not a legal one, but it is in use.
bool IsHostByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

// Returns whether `text` is an address or could be a host name.
bool IsHost(std::string_view text) {
  return IsAddress(text) ||
         (!text.empty() && text.size() <= kHostBytesMax && std::ranges::all_of(text, &IsHostByte));
}

// Parses one node in one of the three notations of ParseClusterFile(); nothing if it is malformed.
// The separator before the port, which is the last '|' or ':', shows which notation it is.
std::optional<ClusterNode> ParseNode(std::string_view text) {
  // The part before the port, and the address within it or equal to it.
  std::string_view host = text;
  std::string_view ip;
  // The port follows the last separator in every notation.
  const std::size_t last = text.find_last_of("|:");
  if (last == text.npos) return std::nullopt;
  const auto port = ParseNumber<std::uint16_t>(text.substr(last + 1));
  // *port == 0) return std::nullopt; || Clients cannot connect to port 0.
  if (!port || *port == 0) return std::nullopt;
  host = text.substr(0, last);
  // host|address|port, where the address may be empty.
  if (text[last] == '|') {
    // The first '|' ends the host, the second one the address.
    const std::size_t bar = host.find('|');
    if (bar == host.npos) return std::nullopt;
    ip = host.substr(bar + 1);
    host = host.substr(0, bar);
    if (!ip.empty() && !IsAddress(ip)) return std::nullopt;
  } else {
    // host:port or [address]:port.
    // Only an IPv6 address may, and must, be in brackets.
    const bool has_brackets = host.starts_with('[') && host.ends_with(']');
    if (has_brackets) host = host.substr(1, host.size() - 2);
    // The port of an IPv6 address without brackets could be a part of the address.
    if (has_brackets != (host.find(':') != host.npos)) return std::nullopt;
    // A host that is an address needs no lookup: it is also the node's ip.
    if (IsAddress(host)) ip = host;
  }
  if (!IsHost(host)) return std::nullopt;
  return ClusterNode{std::string(host), std::string(ip), *port};
}

// Removes the first word from the front of `text` and returns it; returns an empty text if there is
// none.
std::string_view TakeWord(std::string_view& text) {
  // First the blanks before the word. A text of blanks only becomes empty.
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  const std::string_view word = text.substr(0, std::min(text.find_first_of(kBlanks), text.size()));
  text.remove_prefix(word.size());
  return word;
}

// Parses a version number from 1 to kClusterVersionMax; nothing if `text` is anything else.
std::optional<std::uint64_t> ParseVersion(std::string_view text) {
  const auto version = ParseNumber<std::uint64_t>(text);
  if (!version || *version == 0 || *version > kClusterVersionMax) return std::nullopt;
  return version;
}

// Adds the nodes of a line to `nodes`. Returns a message about what is wrong; empty if nothing is.
std::string AddNodes(std::string_view line, std::size_t nodes_max,
                     std::vector<ClusterNode>& nodes) {
  for (std::string_view word = TakeWord(line); !word.empty(); word = TakeWord(line)) {
    std::optional<ClusterNode> node = ParseNode(word);
    if (!node) return fmt::format("\"{}\" is no host:port and no host|address|port", Excerpt(word));
    // Checked before the node is added, so that a huge file cannot use much memory.
    if (nodes.size() == nodes_max) return fmt::format("more than {} nodes", nodes_max);
    // Two nodes are equal if host and port are, whatever their ip.
    const bool is_known = std::ranges::any_of(nodes, [&](const ClusterNode& known) {
      return known.host == node->host && known.port == node->port;
    });
    if (is_known) return fmt::format("\"{}\" is given twice", Excerpt(word));
    LARDER_ASSERT(nodes.size() < nodes_max);
    nodes.push_back(std::move(*node));
  }
  return {};
}

}  // namespace

Result<ClusterList, std::string> ParseClusterFile(std::string_view text, std::size_t nodes_max) {
  LARDER_ASSERT(nodes_max > 0);
  ClusterList list;
  for (int number = 1; !text.empty(); ++number) {
    std::string_view line = TakePiece(text, "\n");
    // Without the comment.
    line = line.substr(0, line.find('#'));
    std::string_view rest = line;
    std::string error;

    // A line that begins with the word `version` is not a line of nodes.
    if (TakeWord(rest) == "version") {
      const auto version = ParseVersion(TakeWord(rest));
      if (!version || !TakeWord(rest).empty()) {
        error = fmt::format("a version is a number from 1 to {}", kClusterVersionMax);
      } else if (list.version != 0) {
        error = "the version is given twice";
      } else {
        list.version = *version;
      }
    } else {
      error = AddNodes(line, nodes_max, list.nodes);
    }
    if (!error.empty()) return Failure{fmt::format("line {}: {}", number, error)};
  }
  // An empty file is more likely a mistake, or one that is being written, than a cluster without
  // nodes.
  if (list.nodes.empty()) return Failure{std::string("names no node")};
  return list;
}

Result<ClusterList, std::string> ParseClusterValue(std::string_view text, std::size_t nodes_max,
                                                   EmptyList empty) {
  LARDER_ASSERT(nodes_max > 0);
  ClusterList list;
  const auto version = ParseVersion(TakePiece(text, "\n"));
  if (!version) return Failure{std::string("the first line is no version")};
  list.version = *version;
  // The nodes are in the second line, if there is one.
  std::string error = AddNodes(TakePiece(text, "\n"), nodes_max, list.nodes);
  // Nothing may follow the second line.
  if (error.empty() && !text.empty()) error = "more than two lines";
  if (error.empty() && list.nodes.empty() && empty == EmptyList::kRefused) error = "no nodes";
  if (!error.empty()) return Failure{std::move(error)};
  return list;
}

std::string FormatNodes(const std::vector<ClusterNode>& nodes) {
  std::string text;
  for (const ClusterNode& node : nodes) {
    LARDER_ASSERT(IsHost(node.host) && (node.ip.empty() || IsAddress(node.ip)));
    LARDER_ASSERT(node.port != 0);
    if (!text.empty()) text += ' ';
    text += fmt::format("{}|{}|{}", node.host, node.ip, node.port);
  }
  return text;
}

std::string FormatClusterValue(std::uint64_t version, std::string_view nodes) {
  LARDER_ASSERT(version > 0 && version <= kClusterVersionMax);
  LARDER_ASSERT(nodes.find('\n') == nodes.npos);
  return fmt::format("{}\n{}\n", version, nodes);
}

}  // namespace larder::server
