// Certificates that tests make, servers that use them, and clients that speak TLS.
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "tests/temporary_folder.h"
#include "tests/wire/fixture.h"

namespace larder::wire {

// A key, and a certificate for it.
//
// Threads: any, once it is made.
struct Identity {
  std::shared_ptr<EVP_PKEY> key;
  std::shared_ptr<X509> certificate;

  std::string KeyText() const;
  std::string CertificateText() const;
};

// What MakeIdentity() makes. Days count from now.
struct IdentitySpec {
  const char* name = "localhost";
  // Who signs it; null: it signs itself, and may sign others.
  const Identity* signer = nullptr;
  int begins_in_days = -1;
  int ends_in_days = 100;
};
Identity MakeIdentity(const IdentitySpec& spec);

// A signer, a server and a client that it has signed, in files of a folder.
struct TlsFiles {
  TlsFiles();
  // Each writes the files of the server.
  void Write(const Identity& identity) const;
  std::string chain() const { return folder / "chain.pem"; }
  std::string key() const { return folder / "key.pem"; }
  std::string signers() const { return folder / "ca.pem"; }
  // Sets what the files are for.
  void Configure(Config& config) const;

  TemporaryFolder folder;
  Identity signer = MakeIdentity({.name = "signer"});
  Identity server = MakeIdentity({.name = "first", .signer = &signer});
  Identity client = MakeIdentity({.name = "client", .signer = &signer});
};

// The listeners of a TlsTest, in the order of Config::listen. The first is plain, for the fixture's
// own connections.
inline constexpr std::size_t kPlainListener = 0;
inline constexpr std::size_t kTlsListener = 1;
inline constexpr std::size_t kMtlsListener = 2;
inline constexpr std::size_t kBtlsListener = 3;
// Adds the listeners.
void AddListeners(Config& config);

// How a client speaks TLS.
struct TlsClientOptions {
  std::size_t listener = kTlsListener;
  // What it shows; null: nothing.
  const Identity* identity = nullptr;
  // The only version that it speaks; 0: 1.2 and 1.3.
  int version = 0;
  // A session to be resumed; null: none.
  SSL_SESSION* session = nullptr;
  // Whether it asks for tickets; without them the server has to keep the session.
  bool takes_tickets = true;
};

// A client that speaks TLS. What does not go as expected fails the test.
//
// Threads: the test's own.
// Owns:    the connection.
class TlsClient {
 public:
  explicit TlsClient(TestServer& server, const TlsClientOptions& options = {});

  // Why the handshake, or the first request after it, has failed; empty: it has not.
  const std::string& failure() const { return failure_; }

  TlsClient& Send(std::string_view bytes);
  TlsClient& Expect(std::string_view reply, int line = __builtin_LINE());
  // The server closes, after a farewell, and sends nothing before.
  TlsClient& ExpectGoodbye(int line = __builtin_LINE());
  std::string ReceiveUntil(std::string_view end, int line = __builtin_LINE());
  // Sends a farewell and waits for the server's.
  void SayGoodbye(int line = __builtin_LINE());

  bool is_resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  // The session, for another client; with TLS 1.3 it comes with the first reply.
  std::shared_ptr<SSL_SESSION> session() const;
  // The name in the server's certificate.
  std::string server_name() const;
  SSL* ssl() { return ssl_.get(); }
  Client& socket() { return socket_; }

 private:
  // Appends what comes next to received_. False at the end, and when patience has ended.
  bool Receive();

  std::shared_ptr<SSL_CTX> context_;
  Client socket_;
  std::shared_ptr<SSL> ssl_;
  std::string failure_;
  std::string received_;
};

// What a client sends first, made by OpenSSL in memory.
std::string ClientHello();

// Why a client with these options is not served; empty: it is.
std::string FailureOf(TestServer& server, const TlsClientOptions& options);

// A server with all four kinds of listeners.
class TlsTest {
 protected:
  TlsFiles files;
  TestServer server{[this](Config& config) {
    files.Configure(config);
    AddListeners(config);
  }};
  Client plain = server.Connect(kPlainListener);
};

}  // namespace larder::wire
