// Loads the files of certificates and keys into a context of OpenSSL.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <string>
#include <vector>

#include "server/config/config.h"
#include "server/config/config_exit.h"
#include "slab/result.h"

namespace larder::server {

// Loads the chain, the key and the signers of clients that `config` names into `context`, and
// checks that they fit each other and that the chain is valid now. Fails with the text to print;
// then the context is of no use.
Result<Done, std::string> LoadCertificateFiles(SSL_CTX& context, const Config& config);

// The certificates of the chain in `context`, the server's first, and those that may sign the
// certificates of clients. They live as long as the context.
std::vector<X509*> ChainOf(SSL_CTX& context);
std::vector<X509*> SignersOf(SSL_CTX& context);

// When a certificate expires, as Unix time in seconds.
std::int64_t ExpiryOf(const X509& certificate);

}  // namespace larder::server
