// Packets of the binary protocol, put together by hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace larder::protocol {

// `bytes` digits of a number, the most significant first.
inline std::string Big(std::uint64_t number, std::size_t bytes) {
  std::string text(bytes, '\0');
  for (std::size_t at = bytes; at-- > 0; number >>= 8) text[at] = static_cast<char>(number);
  return text;
}

struct Packet {
  std::uint8_t opcode = 0;
  std::string extras = {};
  std::string key = {};
  std::string value = {};
  std::uint64_t cas = 0;
  std::string opaque = "\x01\x02\x03\x04";  // Four bytes.
  std::uint16_t status = 0;                 // Of a reply; a request's vbucket.
  // Instead of what the parts come to.
  std::optional<std::uint16_t> key_bytes = {};
  std::optional<std::uint8_t> extras_bytes = {};
  std::optional<std::uint32_t> body_bytes = {};

  std::string Request() const { return Bytes('\x80'); }
  std::string Reply() const { return Bytes('\x81'); }

 private:
  std::string Bytes(char magic) const {
    return std::string{magic, static_cast<char>(opcode)} + Big(key_bytes.value_or(key.size()), 2) +
           Big(extras_bytes.value_or(extras.size()), 1) + Big(0, 1) + Big(status, 2) +
           Big(body_bytes.value_or(extras.size() + key.size() + value.size()), 4) + opaque +
           Big(cas, 8) + extras + key + value;
  }
};

}  // namespace larder::protocol
