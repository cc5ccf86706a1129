// What `-l` takes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/config/binding_protocol.h"
#include "slab/result.h"

namespace larder::server {

inline constexpr int kPortMax = 65535;

// One `-l` item: where to listen.
struct ListenAddress {
  std::string host;  // A name or address, [] taken off; empty: every interface.
  int port = -1;     // -1: the port of -p; 0: any free port.
  std::optional<BindingProtocol> protocol = std::nullopt;  // None: that of -B.

  bool operator==(const ListenAddress&) const = default;
};

// Reads `[proto[NAME]:]host[:port]` items separated by commas or semicolons. NAME is ascii, binary
// or negotiating, or how one of these begins. An IPv6 address stands in brackets
// when a port follows it, and may do so otherwise; `*` is every interface. An item given twice
// counts once (memcached drops whatever is part of the text before it, as 10.0.0.1
// after 10.0.0.12). Or says what is wrong.
Result<std::vector<ListenAddress>, std::string> ParseListenList(std::string_view text);

}  // namespace larder::server
