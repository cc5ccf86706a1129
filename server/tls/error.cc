#include "server/tls/error.h"

#include <openssl/err.h>

#include <array>

namespace larder::server {

std::string TakeTlsError() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown error";
  std::array<char, 256> text{};
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

void DropTlsErrors() { ERR_clear_error(); }

}  // namespace larder::server
