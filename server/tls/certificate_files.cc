#include "server/tls/certificate_files.h"

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <ctime>

#include "server/tls/error.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// A key that needs a password cannot be used: OpenSSL would ask for it on the terminal.
int NoPassword(char*, int, int, void*) { return 0; }

std::string PathText(const std::string& path) { return path.empty() ? "(null)" : path; }

Failure<std::string> Refusal(std::string_view what, const std::string& path) {
  return Failure{
      fmt::format("Error loading the {}: {} : {}", what, PathText(path), TakeTlsError())};
}

std::int64_t UnixTime(const ASN1_TIME& time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(&time, &parts) == 1 ? timegm(&parts) : 0;
}

std::string DateText(std::int64_t unix_s) {
  const std::time_t time = unix_s;
  std::tm parts{};
  gmtime_r(&time, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

// Checks that every certificate of the chain is valid now.
Result<Done, std::string> CheckValidity(SSL_CTX& context, const std::string& path) {
  const std::int64_t now_s = std::time(nullptr);
  for (const X509* const certificate : ChainOf(context)) {
    const std::int64_t begins_s = UnixTime(*X509_get0_notBefore(certificate));
    const std::int64_t ends_s = ExpiryOf(*certificate);
    if (begins_s > now_s) {
      return Failure{fmt::format("Error validating the certificate: {} : not valid before {}", path,
                                 DateText(begins_s))};
    }
    if (ends_s <= now_s) {
      return Failure{fmt::format("Error validating the certificate: {} : expired at {}", path,
                                 DateText(ends_s))};
    }
  }
  return Done{};
}

// Has OpenSSL send the names of the signers to clients, which choose a certificate by them.
bool SendSigners(SSL_CTX& context) {
  STACK_OF(X509_NAME)* const names = sk_X509_NAME_new_null();
  if (names == nullptr) return false;
  for (const X509* const signer : SignersOf(context)) {
    X509_NAME* const name = X509_NAME_dup(X509_get_subject_name(signer));
    if (name != nullptr) sk_X509_NAME_push(names, name);
  }
  // The context takes the list over.
  SSL_CTX_set_client_CA_list(&context, names);
  return true;
}

}  // namespace

std::vector<X509*> ChainOf(SSL_CTX& context) {
  std::vector<X509*> chain;
  X509* const first = SSL_CTX_get0_certificate(&context);
  if (first != nullptr) chain.push_back(first);
  STACK_OF(X509)* further = nullptr;
  if (SSL_CTX_get0_chain_certs(&context, &further) != 1 || further == nullptr) return chain;
  for (int i = 0; i < sk_X509_num(further); ++i) chain.push_back(sk_X509_value(further, i));
  return chain;
}

std::vector<X509*> SignersOf(SSL_CTX& context) {
  std::vector<X509*> signers;
  const STACK_OF(X509_OBJECT)* const objects =
      X509_STORE_get0_objects(SSL_CTX_get_cert_store(&context));
  for (int i = 0; i < sk_X509_OBJECT_num(objects); ++i) {
    X509* const signer = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
    if (signer != nullptr) signers.push_back(signer);
  }
  return signers;
}

std::int64_t ExpiryOf(const X509& certificate) {
  return UnixTime(*X509_get0_notAfter(&certificate));
}

Result<Done, std::string> LoadCertificateFiles(SSL_CTX& context, const Config& config) {
  DropTlsErrors();
  SSL_CTX_set_default_passwd_cb(&context, &NoPassword);
  const std::string& chain = config.tls_chain_file;
  if (SSL_CTX_use_certificate_chain_file(&context, chain.c_str()) != 1) {
    return Refusal("certificate chain", chain);
  }
  const std::string& key = config.tls_key_path();
  const int format = config.tls_key_format == 2 ? SSL_FILETYPE_ASN1 : SSL_FILETYPE_PEM;
  // Fails as well if the key is not that of the certificate.
  if (SSL_CTX_use_PrivateKey_file(&context, key.c_str(), format) != 1) {
    return Refusal("key", key);
  }
  if (SSL_CTX_check_private_key(&context) != 1) {
    return Failure{fmt::format("Error validating the certificate: {}", TakeTlsError())};
  }
  const std::string& signers = config.tls_ca_file;
  if (!signers.empty() && (SSL_CTX_load_verify_locations(&context, signers.c_str(), nullptr) != 1 ||
                           !SendSigners(context))) {
    return Refusal("CA certificate", signers);
  }
  return CheckValidity(context, chain);
}

}  // namespace larder::server
