// The addresses that `-l` takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/config/binding_protocol.h"
#include "slab/result.h"

namespace larder::server {

// The greatest TCP port.
inline constexpr int kPortMax = 65535;

// Whether a listener speaks TLS, and what it asks of its clients, as the prefix of its item says.
enum class ListenTls : std::uint8_t {
  // No prefix: as -Z and -o ssl_verify_mode say.
  kAsConfigured,
  // notls: plain TCP.
  kPlain,
  // btls: TLS; client certificates are not asked for.
  kNoCertificates,
  // mtls: TLS; client certificates are required.
  kCertificates,
};

// The prefix that stands for it, without the colon; empty for kAsConfigured.
std::string_view PrefixOf(ListenTls tls);

// One item of `-l`: an address to listen on.
//
// Threads: one worker.
struct ListenAddress {
  // A name or an address, without brackets; empty: every interface.
  std::string host;
  // The port; -1: the port of -p; 0: any free port.
  int port = -1;
  // The protocol of this listener; none: that of -B.
  std::optional<BindingProtocol> protocol = std::nullopt;
  // TLS on this listener.
  ListenTls tls = ListenTls::kAsConfigured;

  bool operator==(const ListenAddress&) const = default;
};

// Parses `[TLS:][proto[NAME]:]host[:port]` items that are separated by commas or semicolons. TLS is
// notls, btls or mtls. NAME is ascii, binary or negotiating, or the beginning of one of them. An
// IPv6 address must be in brackets if a port follows, and may be otherwise; `*` means every
// interface. An item that is given twice counts once. (memcached drops an item if it is a part of
// the text before it, such as 10.0.0.1 after 10.0.0.12.)
//
// Fails with an error message if an item is malformed, has a prefix that is not supported, or if
// there is no item. Names are not looked up here.
Result<std::vector<ListenAddress>, std::string> ParseListenList(std::string_view text);

}  // namespace larder::server
