#include "server/config/listen_address.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "server/config/option_number.h"
#include "server/config/split.h"

namespace larder::server {
namespace {

// memcached allows these before an address. They are refused here, because they request a feature
// that does not exist.
constexpr std::array<std::string_view, 2> kPrefixes = {"tag[", "tag_"};

constexpr std::array kTlsKinds = {ListenTls::kPlain, ListenTls::kNoCertificates,
                                  ListenTls::kCertificates};

// Takes `notls:`, `btls:` or `mtls:` off the front of an item.
ListenTls TakeTls(std::string_view& item) {
  for (const ListenTls tls : kTlsKinds) {
    const std::string_view prefix = PrefixOf(tls);
    if (!item.starts_with(prefix) || !item.substr(prefix.size()).starts_with(':')) continue;
    item.remove_prefix(prefix.size() + 1);
    return tls;
  }
  return ListenTls::kAsConfigured;
}

constexpr std::string_view kProtocolPrefix = "proto[";
constexpr std::string_view kProtocolEnd = "]:";

struct ProtocolName {
  std::string_view name;
  BindingProtocol protocol;
};
constexpr std::array<ProtocolName, 3> kProtocolNames = {
    {{"ascii", BindingProtocol::kAscii},
     {"binary", BindingProtocol::kBinary},
     {"negotiating", BindingProtocol::kNegotiate}}};

// Takes `proto[NAME]:` off the front of an item. Nothing if it has no such prefix.
Result<std::optional<BindingProtocol>, std::string> TakeProtocol(std::string_view& item) {
  if (!item.starts_with(kProtocolPrefix)) return std::optional<BindingProtocol>();
  const std::size_t end = item.find(kProtocolEnd);
  const std::string_view name = item.substr(0, end).substr(kProtocolPrefix.size());
  const auto* const row = std::ranges::find_if(
      kProtocolNames, [&](const ProtocolName& known) { return known.name.starts_with(name); });
  if (end == item.npos || name.empty() || row == kProtocolNames.end()) {
    return Failure{fmt::format("Invalid protocol spec: \"{}\"", item)};
  }
  item.remove_prefix(end + kProtocolEnd.size());
  return std::optional(row->protocol);
}

// Parses one item of the list, or returns an error message.
Result<ListenAddress, std::string> ParseItem(std::string_view item) {
  const ListenTls tls = TakeTls(item);
  const auto protocol = TakeProtocol(item);
  if (!protocol) return Failure{protocol.error()};
  for (const std::string_view prefix : kPrefixes) {
    if (item.starts_with(prefix)) {
      return Failure{
          fmt::format("listeners with a \"{}\" prefix are not supported: \"{}\"", prefix, item)};
    }
  }

  // Until a port is found, the whole item is the host.
  std::string_view host = item;
  std::string_view port;
  bool has_port = false;
  // Splits the item at a colon into host and port.
  const auto split_at = [&](std::size_t colon) {
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
    has_port = true;
  };

  // An IPv6 address in brackets, with or without a port.
  if (item.starts_with('[')) {
    const std::size_t bracket = item.find(']');
    if (bracket == item.npos) {
      return Failure{fmt::format("Missing ] after the address: \"{}\"", item)};
    }
    const std::string_view rest = item.substr(bracket + 1);
    // Only a port may follow the bracket.
    if (!rest.empty() && rest.front() != ':') {
      return Failure{fmt::format("Expected :port after the address: \"{}\"", item)};
    }
    if (!rest.empty()) split_at(bracket + 1);
    host = item.substr(1, bracket - 1);
    // An item with more colons is an IPv6 address without a port.
  } else if (std::ranges::count(item, ':') == 1) {
    split_at(item.find(':'));
  }

  ListenAddress address;
  address.protocol = *protocol;
  address.tls = tls;
  // An empty host means every interface.
  if (host != "*") address.host = host;
  if (has_port) {
    // "host:" without a number is an error too.
    const auto number = ParseNumber<int>(port);
    if (!number || *number < 0 || *number > kPortMax) {
      return Failure{fmt::format("Invalid port number: \"{}\"", port)};
    }
    address.port = *number;
  }
  return address;
}

}  // namespace

std::string_view PrefixOf(ListenTls tls) {
  switch (tls) {
    case ListenTls::kAsConfigured:
      return "";
    case ListenTls::kPlain:
      return "notls";
    case ListenTls::kNoCertificates:
      return "btls";
    case ListenTls::kCertificates:
      return "mtls";
  }
  return "";
}

Result<std::vector<ListenAddress>, std::string> ParseListenList(std::string_view text) {
  std::vector<ListenAddress> addresses;
  while (!text.empty()) {
    const std::string_view item = TakePiece(text, ",;");
    // As in memcached, empty items are skipped.
    if (item.empty()) continue;
    auto address = ParseItem(item);
    if (!address) return Failure{address.error()};
    // An item that is given twice would fail to bind.
    if (std::ranges::find(addresses, *address) == addresses.end()) {
      addresses.push_back(std::move(*address));
    }
  }
  // An empty vector means every interface, which is hardly the intention of an empty list.
  if (addresses.empty()) return Failure{std::string("-l names no address")};
  return addresses;
}

}  // namespace larder::server
