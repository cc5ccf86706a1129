#include "server/socket/socket_address.h"

#include <arpa/inet.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include "server/socket/client_identity.h"

namespace larder::server {
namespace {

SocketAddress Tcp(const std::string& ip, std::uint16_t port) {
  sockaddr_storage storage{};
  if (ip.find(':') == std::string::npos) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    REQUIRE(inet_pton(AF_INET, ip.c_str(), &address.sin_addr) == 1);
    std::memcpy(&storage, &address, sizeof address);
    return {storage, sizeof address};
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  REQUIRE(inet_pton(AF_INET6, ip.c_str(), &address.sin6_addr) == 1);
  std::memcpy(&storage, &address, sizeof address);
  return {storage, sizeof address};
}

TEST_CASE("a client on a loopback address is local", "[server][address]") {
  for (const char* const ip : {"127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1"}) {
    CAPTURE(ip);
    CHECK(ClientIdentity::Of(Tcp(ip, 1000)).is_local);
  }
}

TEST_CASE("a client on any other address is not local", "[server][address]") {
  for (const char* const ip :
       {"10.0.0.1", "128.0.0.1", "126.255.255.255", "::2", "::", "::ffff:10.0.0.1", "fe80::1"}) {
    CAPTURE(ip);
    CHECK_FALSE(ClientIdentity::Of(Tcp(ip, 1000)).is_local);
  }
}

TEST_CASE("addresses print as stats conns prints them", "[server][address]") {
  CHECK(Tcp("10.0.0.1", 11211).text() == "tcp:10.0.0.1:11211");
  CHECK(Tcp("fe80::1", 65535).text() == "tcp6:[fe80::1]:65535");
  sockaddr_un path{};
  path.sun_family = AF_UNIX;
  std::strcpy(path.sun_path, "/run/larder");
  sockaddr_storage storage{};
  std::memcpy(&storage, &path, sizeof path);
  CHECK(SocketAddress(storage, sizeof path).text() == "unix:/run/larder");
  CHECK(SocketAddress(storage, sizeof path.sun_family).text() == "unix:");
}

TEST_CASE("a client over a unix socket is local, though it has no name", "[server][address]") {
  std::array<int, 2> ends;
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const ClientIdentity client = ClientIdentity::Of(SocketAddress::Peer(ends[0]));
  for (const int end : ends) close(end);
  CHECK(client.is_local);
  CHECK(client.address.is_unix());
  CHECK(client.address.text() == "unix:");
  CHECK(client.address.port() == 0);
}

TEST_CASE("the longest path of a unix socket is read to its end and no further",
          "[server][address]") {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memset(address.sun_path, 'p', sizeof address.sun_path);
  sockaddr_storage storage{};
  std::memcpy(&storage, &address, sizeof address);
  // The system counts a null byte, for which the address has no room.
  const SocketAddress longest(storage, sizeof address + 1);
  CHECK(longest.text() == "unix:" + std::string(sizeof address.sun_path, 'p'));
}

TEST_CASE("an address that the system does not say is unknown, and not local",
          "[server][address]") {
  for (const SocketAddress& address : {SocketAddress::Peer(-1), SocketAddress::Local(-1)}) {
    CHECK(address.text() == "?");
    CHECK(address.port() == 0);
    CHECK_FALSE(address.is_on_this_machine());
  }
}

}  // namespace
}  // namespace larder::server
