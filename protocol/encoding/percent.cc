#include "protocol/encoding/percent.h"

#include <array>
#include <cassert>

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

}  // namespace larder::protocol
