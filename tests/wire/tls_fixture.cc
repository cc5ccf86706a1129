#include "tests/wire/tls_fixture.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <array>

namespace larder::wire {
namespace {

constexpr int kDaySeconds = 24 * 60 * 60;

std::string TakeError() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  std::array<char, 256> text{};
  if (code != 0) ERR_error_string_n(code, text.data(), text.size());
  return code == 0 ? "the connection was closed" : text.data();
}

template <class Write>
std::string PemText(Write write) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), &BIO_free);
  REQUIRE(write(memory.get()) == 1);
  char* text = nullptr;
  const long bytes = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<std::size_t>(bytes)};
}

// Lets a certificate sign others.
void AllowSigning(X509* certificate) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension =
      X509V3_EXT_conf_nid(nullptr, &context, NID_basic_constraints, "critical,CA:TRUE");
  REQUIRE(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

std::shared_ptr<SSL_CTX> MakeContext(const TlsClientOptions& options) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  REQUIRE(context != nullptr);
  if (options.version != 0) {
    SSL_CTX_set_min_proto_version(context.get(), options.version);
    SSL_CTX_set_max_proto_version(context.get(), options.version);
  }
  if (!options.takes_tickets) SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
  if (options.identity != nullptr) {
    REQUIRE(SSL_CTX_use_certificate(context.get(), options.identity->certificate.get()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(context.get(), options.identity->key.get()) == 1);
  }
  return context;
}

}  // namespace

// --- Certificates --------------------------------------------------------------------------------

std::string Identity::KeyText() const {
  return PemText([&](BIO* out) {
    return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
}

std::string Identity::CertificateText() const {
  return PemText([&](BIO* out) { return PEM_write_bio_X509(out, certificate.get()); });
}

Identity MakeIdentity(const IdentitySpec& spec) {
  static long next_serial = 1;
  // Made in a moment, unlike a key of RSA.
  const std::shared_ptr<EVP_PKEY> key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const std::shared_ptr<X509> certificate(X509_new(), &X509_free);
  REQUIRE(key != nullptr);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), ++next_serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), long{spec.begins_in_days} * kDaySeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), long{spec.ends_in_days} * kDaySeconds);
  X509_NAME* const name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(spec.name), -1, -1, 0);
  const Identity self{key, certificate};
  const Identity& signer = spec.signer == nullptr ? self : *spec.signer;
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer.certificate.get()));
  X509_set_pubkey(certificate.get(), key.get());
  if (spec.signer == nullptr) AllowSigning(certificate.get());
  REQUIRE(X509_sign(certificate.get(), signer.key.get(), EVP_sha256()) != 0);
  return self;
}

TlsFiles::TlsFiles() {
  Write(server);
  WriteFile(signers(), signer.CertificateText());
}

void TlsFiles::Write(const Identity& identity) const {
  WriteFile(chain(), identity.CertificateText());
  WriteFile(key(), identity.KeyText());
}

void TlsFiles::Configure(Config& config) const {
  config.tls = true;
  config.tls_chain_file = chain();
  config.tls_key_file = key();
  config.tls_ca_file = signers();
}

void AddListeners(Config& config) {
  using server::ListenTls;
  config.listen.clear();
  for (const ListenTls tls : {ListenTls::kPlain, ListenTls::kAsConfigured, ListenTls::kCertificates,
                              ListenTls::kNoCertificates}) {
    config.listen.push_back({.host = "127.0.0.1", .tls = tls});
  }
}

// --- TlsClient -----------------------------------------------------------------------------------

TlsClient::TlsClient(TestServer& server, const TlsClientOptions& options)
    : context_(MakeContext(options)),
      socket_(server.Connect(options.listener)),
      ssl_(SSL_new(context_.get()), &SSL_free) {
  const timeval patience{.tv_sec = kPatienceMs / 1000, .tv_usec = 0};
  setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(socket_.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  SSL_set_fd(ssl_.get(), socket_.fd());
  if (options.session != nullptr) SSL_set_session(ssl_.get(), options.session);
  if (SSL_connect(ssl_.get()) != 1) failure_ = TakeError();
}

TlsClient& TlsClient::Send(std::string_view bytes) {
  if (failure_.empty() &&
      SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) <= 0) {
    failure_ = TakeError();
  }
  return *this;
}

bool TlsClient::Receive() {
  std::array<char, 16 * 1024> room;
  const int bytes = SSL_read(ssl_.get(), room.data(), room.size());
  if (bytes > 0) received_.append(room.data(), static_cast<std::size_t>(bytes));
  const bool is_end = bytes <= 0 && SSL_get_error(ssl_.get(), bytes) == SSL_ERROR_ZERO_RETURN;
  if (bytes <= 0 && !is_end) failure_ = TakeError();
  return bytes > 0;
}

TlsClient& TlsClient::Expect(std::string_view reply, int line) {
  while (received_.size() < reply.size() && reply.starts_with(received_) && Receive()) {
  }
  if (!received_.starts_with(reply)) {
    FAIL("line " << line << ": expected " << reply.substr(0, 200) << "\ngot "
                 << received_.substr(0, 200) << "\n"
                 << failure_);
  }
  received_.erase(0, reply.size());
  return *this;
}

TlsClient& TlsClient::ExpectGoodbye(int line) {
  const bool has_received = Receive();
  if (has_received || !received_.empty() || !failure_.empty()) {
    FAIL("line " << line << ": expected the end, got " << received_ << failure_);
  }
  return *this;
}

std::string TlsClient::ReceiveUntil(std::string_view end, int line) {
  while (received_.find(end) == std::string::npos) {
    if (!Receive()) FAIL("line " << line << ": no " << end << ": " << failure_);
  }
  std::string text = received_.substr(0, received_.find(end) + end.size());
  received_.erase(0, text.size());
  return text;
}

void TlsClient::SayGoodbye(int line) {
  SSL_shutdown(ssl_.get());
  if (SSL_shutdown(ssl_.get()) != 1) FAIL("line " << line << ": no farewell: " << TakeError());
}

std::shared_ptr<SSL_SESSION> TlsClient::session() const {
  return {SSL_get1_session(ssl_.get()), &SSL_SESSION_free};
}

std::string TlsClient::server_name() const {
  X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  REQUIRE(certificate != nullptr);
  std::array<char, 100> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                            name.size());
  return name.data();
}

std::string ClientHello() {
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  const std::shared_ptr<SSL> ssl(SSL_new(context.get()), &SSL_free);
  BIO* const out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  SSL_connect(ssl.get());
  std::string hello(4'096, '\0');
  hello.resize(static_cast<std::size_t>(BIO_read(out, hello.data(), 4'096)));
  return hello;
}

std::string FailureOf(TestServer& server, const TlsClientOptions& options) {
  TlsClient client(server, options);
  client.Send("mn\r\n");
  if (!client.failure().empty()) return client.failure();
  std::array<char, 16> room;
  const int bytes = SSL_read(client.ssl(), room.data(), room.size());
  return bytes > 0 ? "" : TakeError();
}

}  // namespace larder::wire
