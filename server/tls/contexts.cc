#include "server/tls/contexts.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>
#include <string_view>

#include "server/tls/certificate_files.h"
#include "server/tls/error.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// How long a session may be resumed: a ticket, and a session that is kept in memory as well.
constexpr long kTicketSeconds = 60 * 60;
constexpr long kCachedSessionSeconds = 300;
// The most sessions that are kept in memory.
constexpr long kCachedSessionsMax = 20'480;
// A certificate that expires sooner is warned of.
constexpr std::int64_t kExpiresSoonSeconds = std::int64_t{14} * 24 * 60 * 60;

constexpr std::array kVersions = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
constexpr std::array kVerifyModes = {
    SSL_VERIFY_NONE, SSL_VERIFY_PEER, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT | SSL_VERIFY_CLIENT_ONCE};

int VerifyModeOf(const Config& config, ClientCertificates rule) {
  switch (rule) {
    case ClientCertificates::kNotAsked:
      return SSL_VERIFY_NONE;
    case ClientCertificates::kRequired:
      return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    case ClientCertificates::kAsConfigured:
      break;
  }
  return kVerifyModes.at(static_cast<std::size_t>(config.tls_verify_mode));
}

// Makes the sessions of a context its own.
bool NameSessions(SSL_CTX& context, ClientCertificates rule, std::uint64_t generation) {
  const std::string name = fmt::format("larder/{}/{}", static_cast<int>(rule), generation);
  LARDER_ASSERT(name.size() <= SSL_MAX_SID_CTX_LENGTH);
  return SSL_CTX_set_session_id_context(&context,
                                        reinterpret_cast<const unsigned char*>(name.data()),
                                        static_cast<unsigned>(name.size())) == 1;
}

void SetSessionCache(SSL_CTX& context, bool is_on) {
  // Tickets, which clients keep, work in either case.
  SSL_CTX_set_session_cache_mode(&context, is_on ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_OFF);
  SSL_CTX_set_timeout(&context, is_on ? kCachedSessionSeconds : kTicketSeconds);
  if (is_on) SSL_CTX_sess_set_cache_size(&context, kCachedSessionsMax);
}

// Sets what does not depend on files or on the rule.
void SetOptions(SSL_CTX& context, const Config& config) {
  SSL_CTX_set_options(&context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  if (config.tls_kernel) SSL_CTX_set_options(&context, SSL_OP_ENABLE_KTLS);
  // Idle connections have no buffers; replies that are sent again may lie elsewhere by then.
  SSL_CTX_set_mode(&context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(&context, 0);
  SSL_CTX_set_max_early_data(&context, 0);
  SetSessionCache(context, config.tls_session_cache);
}

// Sets the versions and ciphers. Returns the text to print if they cannot be used, else nothing.
std::string SetCiphers(SSL_CTX& context, const Config& config) {
  const int version = kVersions.at(static_cast<std::size_t>(config.tls_min_version));
  if (SSL_CTX_set_min_proto_version(&context, version) != 1) return TakeTlsError();
  const std::string& ciphers = config.tls_ciphers;
  if (!ciphers.empty() && SSL_CTX_set_cipher_list(&context, ciphers.c_str()) != 1) {
    DropTlsErrors();
    return fmt::format("Error setting the provided cipher(s): {}", ciphers);
  }
  const std::string& suites = config.tls_ciphersuites;
  if (!suites.empty() && SSL_CTX_set_ciphersuites(&context, suites.c_str()) != 1) {
    DropTlsErrors();
    return fmt::format("Error setting the provided cipher suite(s): {}", suites);
  }
  return {};
}

// Gives `context` the certificates and the key of `loaded`.
bool CopyCertificates(SSL_CTX& loaded, SSL_CTX& context) {
  STACK_OF(X509)* further = nullptr;
  SSL_CTX_get0_chain_certs(&loaded, &further);
  if (SSL_CTX_use_cert_and_key(&context, SSL_CTX_get0_certificate(&loaded),
                               SSL_CTX_get0_privatekey(&loaded), further, 1) != 1) {
    return false;
  }
  SSL_CTX_set1_cert_store(&context, SSL_CTX_get_cert_store(&loaded));
  SSL_CTX_set_client_CA_list(&context, SSL_dup_CA_list(SSL_CTX_get_client_CA_list(&loaded)));
  return true;
}

// The digest of CertificateFacts.
std::array<unsigned char, 32> DigestOf(const std::vector<X509*>& chain,
                                       const std::vector<X509*>& signers) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest(EVP_MD_CTX_new(),
                                                                       &EVP_MD_CTX_free);
  std::array<unsigned char, 32> result{};
  if (digest == nullptr || EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) != 1) return {};
  for (const auto* const list : {&chain, &signers}) {
    for (const X509* const certificate : *list) {
      std::array<unsigned char, EVP_MAX_MD_SIZE> one{};
      unsigned bytes = 0;
      X509_digest(certificate, EVP_sha256(), one.data(), &bytes);
      EVP_DigestUpdate(digest.get(), one.data(), bytes);
    }
    // A certificate that moves from one list to the other is a change.
    EVP_DigestUpdate(digest.get(), "/", 1);
  }
  EVP_DigestFinal_ex(digest.get(), result.data(), nullptr);
  return result;
}

std::int64_t FirstExpiry(const std::vector<X509*>& certificates) {
  std::int64_t first_s = 0;
  for (const X509* const certificate : certificates) {
    const std::int64_t expires_s = ExpiryOf(*certificate);
    first_s = first_s == 0 ? expires_s : std::min(first_s, expires_s);
  }
  return first_s;
}

std::string SerialOf(const X509& certificate) {
  const ASN1_INTEGER* const serial = X509_get0_serialNumber(&certificate);
  std::string text;
  for (int i = 0; i < ASN1_STRING_length(serial); ++i) {
    text += fmt::format("{:02X}", ASN1_STRING_get0_data(serial)[i]);
  }
  return text;
}

CertificateFacts FactsOf(SSL_CTX& context) {
  const std::vector<X509*> chain = ChainOf(context);
  const std::vector<X509*> signers = SignersOf(context);
  LARDER_ASSERT(!chain.empty());
  return {.serial = SerialOf(*chain.front()),
          .expires_at_s = FirstExpiry(chain),
          .ca_expires_at_s = FirstExpiry(signers),
          .digest = DigestOf(chain, signers)};
}

// Adds a warning if the certificates of a file expire soon.
void WarnOfExpiry(std::vector<std::string>& warnings, const std::string& path,
                  std::int64_t expires_at_s) {
  const std::int64_t left_s = expires_at_s - std::time(nullptr);
  if (expires_at_s == 0 || left_s >= kExpiresSoonSeconds) return;
  warnings.push_back(fmt::format("warning: a certificate in {} {} {} days", path,
                                 left_s < 0 ? "has been expired for" : "expires in",
                                 std::abs(left_s) / (24 * 60 * 60)));
}

}  // namespace

Result<std::shared_ptr<const TlsContexts>, std::string> TlsContexts::Load(
    const Config& config, std::uint64_t generation) {
#ifdef OPENSSL_NO_KTLS
  if (config.tls_kernel) return Failure{std::string("Kernel TLS offload is not available")};
#endif
  const std::shared_ptr<TlsContexts> loaded(new TlsContexts());
  SSL_CTX* first = nullptr;
  for (std::size_t i = 0; i < kClientCertificatesKinds; ++i) {
    const auto rule = static_cast<ClientCertificates>(i);
    loaded->contexts_[i].reset(SSL_CTX_new(TLS_server_method()));
    SSL_CTX* const context = loaded->contexts_[i].get();
    if (context == nullptr) return Failure{TakeTlsError()};
    SetOptions(*context, config);
    SSL_CTX_set_verify(context, VerifyModeOf(config, rule), nullptr);
    if (!NameSessions(*context, rule, generation)) return Failure{TakeTlsError()};
    // The files are read once, so that all contexts have the same certificates.
    if (first == nullptr) {
      first = context;
      if (auto files = LoadCertificateFiles(*first, config); !files) return Failure{files.error()};
    } else if (!CopyCertificates(*first, *context)) {
      return Failure{TakeTlsError()};
    }
    if (std::string wrong = SetCiphers(*context, config); !wrong.empty()) {
      return Failure{std::move(wrong)};
    }
  }
  loaded->facts_ = FactsOf(*first);
  WarnOfExpiry(loaded->warnings_, config.tls_chain_file, loaded->facts_.expires_at_s);
  WarnOfExpiry(loaded->warnings_, config.tls_ca_file, loaded->facts_.ca_expires_at_s);
  return std::shared_ptr<const TlsContexts>(loaded);
}

std::string_view TlsContexts::VersionName(std::uint8_t version) {
  constexpr std::array<std::string_view, 4> kNames = {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"};
  const bool is_known = version >= 1 && version <= kNames.size();
  return is_known ? kNames.at(std::size_t{version} - 1) : "unknown";
}

std::string_view TlsContexts::CipherName(std::uint16_t cipher) const {
  const STACK_OF(SSL_CIPHER)* const ciphers = SSL_CTX_get_ciphers(contexts_.front().get());
  for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); ++i) {
    const SSL_CIPHER* const known = sk_SSL_CIPHER_value(ciphers, i);
    if (SSL_CIPHER_get_protocol_id(known) == cipher) return SSL_CIPHER_get_name(known);
  }
  return "unknown";
}

}  // namespace larder::server
