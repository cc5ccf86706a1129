#include "protocol/encoding/percent.h"

#include <array>
#include <cassert>
#include <charconv>

namespace larder::protocol {
namespace {

// Indexed by a byte: true for those that RFC 3986, section 2.3, calls unreserved.
constexpr std::array<bool, 256> kIsUnreserved = [] {
  std::array<bool, 256> is_unreserved{};
  for (const char c : std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789-._~")) {
    is_unreserved[static_cast<unsigned char>(c)] = true;
  }
  return is_unreserved;
}();

}  // namespace

char* EncodePercent(char* out, std::string_view bytes) noexcept {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  static_assert(kDigits.size() == 16);
  [[maybe_unused]] const char* const begin = out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (kIsUnreserved[byte]) {
      *out++ = c;
      continue;
    }
    *out++ = '%';
    *out++ = kDigits[byte >> 4];
    *out++ = kDigits[byte & 15];
  }
  assert(static_cast<std::size_t>(out - begin) <= PercentEncodedBytesMax(bytes.size()));
  return out;
}

std::optional<std::string> DecodePercent(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      bytes.push_back(text[at]);
      continue;
    }
    unsigned byte = 0;
    const std::string_view digits = text.substr(at + 1, 2);
    const char* const end = digits.data() + digits.size();
    const auto read = std::from_chars(digits.data(), end, byte, 16);
    if (digits.size() != 2 || read.ec != std::errc() || read.ptr != end) return std::nullopt;
    bytes.push_back(static_cast<char>(byte));
    at += digits.size();
  }
  return bytes;
}

}  // namespace larder::protocol
