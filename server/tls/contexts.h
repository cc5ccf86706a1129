// The TLS side of the configuration, loaded: certificates, key and rules, ready to serve clients.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/config/config.h"
#include "slab/result.h"

namespace larder::server {

// What a listener asks of its clients.
enum class ClientCertificates : std::uint8_t {
  // As -o ssl_verify_mode says.
  kAsConfigured,
  // They are not asked for.
  kNotAsked,
  // They are required.
  kRequired,
};
inline constexpr std::size_t kClientCertificatesKinds = 3;

// What is known of the loaded certificates. Times are Unix times in seconds.
//
// Threads: a value.
struct CertificateFacts {
  // The serial number of the server's certificate, in hexadecimal.
  std::string serial;
  // When the first certificate of the chain expires.
  std::int64_t expires_at_s = 0;
  // When the first certificate of -o ssl_ca_cert expires; 0: there is none.
  std::int64_t ca_expires_at_s = 0;
  // A digest of all certificates. Two loads with the same digest have the same certificates, and so
  // the same key.
  std::array<unsigned char, 32> digest{};
};

// TlsContexts is one generation of what serves TLS: a context of OpenSSL for each rule about client
// certificates. All were made from one reading of the files.
//
// A session of one context resumes in no other one: each has a name for its sessions, and keys for
// its tickets, of its own. So a client cannot evade the rule of a listener with a session of
// another listener, nor a new list of signers with a session from before the change.
//
// Threads:    immutable; OpenSSL locks the contexts itself.
// Owns:       the contexts. Connections hold them for as long as they last.
// Invariants: the key is that of the first certificate, and all certificates of the chain were
//             valid when they were loaded.
class TlsContexts {
 public:
  // Reads the files that `config` names. `generation` has to differ from that of every load before.
  // Fails with the text to print, which is memcached's, followed by the reason in plain words where
  // there is more to say.
  static Result<std::shared_ptr<const TlsContexts>, std::string> Load(const Config& config,
                                                                      std::uint64_t generation);

  // The context for a listener with this rule. Whoever makes an SSL of it holds the context.
  SSL_CTX& of(ClientCertificates rule) const { return *contexts_[static_cast<std::size_t>(rule)]; }
  // The name of a version of TLS, by the second byte of its number, and of a cipher that the
  // contexts allow, by its number; "unknown" for others.
  static std::string_view VersionName(std::uint8_t version);
  std::string_view CipherName(std::uint16_t cipher) const;

  const CertificateFacts& facts() const { return facts_; }
  // Lines that an operator should read, such as that a certificate expires soon.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

  TlsContexts() = default;

  std::array<Context, kClientCertificatesKinds> contexts_ = {Context(nullptr, &SSL_CTX_free),
                                                             Context(nullptr, &SSL_CTX_free),
                                                             Context(nullptr, &SSL_CTX_free)};
  CertificateFacts facts_;
  std::vector<std::string> warnings_;
};

}  // namespace larder::server
