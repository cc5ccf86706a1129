// Which protocols a listener serves.
#pragma once

#include <cstdint>

namespace larder::server {

enum class BindingProtocol : std::uint8_t {
  kNegotiate,  // Each client's first byte decides.
  kAscii,      // The text and the meta protocol.
  kBinary,
};

}  // namespace larder::server
