#include "server/net/listener.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace larder::server {
namespace {

TEST_CASE("what fails for one connection does not keep others waiting", "[listener]") {
  for (const int error : {EINTR, ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH, ETIMEDOUT, EPERM}) {
    CAPTURE(error);
    CHECK(AcceptErrorOf(error) == AcceptError::kOneIsLost);
  }
}

TEST_CASE("what the system is short of may come back", "[listener]") {
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    CAPTURE(error);
    CHECK(AcceptErrorOf(error) == AcceptError::kNoRoom);
  }
}

TEST_CASE("what waits for nothing is told from what is broken", "[listener]") {
  CHECK(AcceptErrorOf(EAGAIN) == AcceptError::kNoneWaits);
  for (const int error : {EINVAL, EBADF, ENOTSOCK, EOPNOTSUPP, EFAULT, 0}) {
    CAPTURE(error);
    CHECK(AcceptErrorOf(error) == AcceptError::kBroken);
  }
}

std::vector<std::pair<std::string, int>> PlacesOf(const Config& config) {
  std::vector<std::pair<std::string, int>> places;
  for (const Listener& listener : ListenersOf(config)) {
    const auto& address = std::get<ListenAddress>(listener.address);
    places.emplace_back(address.host, address.port);
  }
  return places;
}

TEST_CASE("without -l there is one listener for every interface, at the port of -p", "[listener]") {
  Config config;
  config.port = 1234;
  CHECK(PlacesOf(config) == std::vector<std::pair<std::string, int>>{{"", 1234}});
  config.port = 0;
  CHECK(PlacesOf(config).empty());
}

TEST_CASE("each address of -l is a listener, at its own port or at that of -p", "[listener]") {
  Config config;
  config.listen = {{.host = "10.0.0.1", .port = 7}, {.host = "::1"}};
  config.port = 1234;
  CHECK(PlacesOf(config) ==
        std::vector<std::pair<std::string, int>>{{"10.0.0.1", 7}, {"::1", 1234}});
  config.port = 0;
  CHECK(PlacesOf(config) == std::vector<std::pair<std::string, int>>{{"10.0.0.1", 7}});
}

TEST_CASE("a unix socket takes the place of TCP", "[listener]") {
  Config config;
  config.unix_socket = "/run/larder";
  config.unix_mask = 0770;
  config.listen = {{.host = "10.0.0.1", .port = 7}};
  const std::vector<Listener> listeners = ListenersOf(config);
  REQUIRE(listeners.size() == 1);
  const auto& place = std::get<UnixListenPath>(listeners[0].address);
  CHECK(place.path == "/run/larder");
  CHECK(place.permissions == 0770);
}

TEST_CASE("clients of every listener have to authenticate if there are passwords of any kind",
          "[listener]") {
  Config config;
  config.protocol = BindingProtocol::kBinary;
  CHECK(TermsOf(config).session.protocol == BindingProtocol::kBinary);
  CHECK(TermsOf(config).session.authentication == Authentication::kNotRequired);
  config.sasl = true;
  CHECK(TermsOf(config).session.authentication == Authentication::kRequired);
  config.sasl = false;
  config.auth_file = "/etc/users";
  CHECK(TermsOf(config).session.authentication == Authentication::kRequired);
  CHECK(ListenersOf(config)[0].terms.session.authentication == Authentication::kRequired);
}

TEST_CASE("a listener serves the protocol that stands before its address", "[listener]") {
  Config config;
  config.listen = {{.host = "a", .protocol = BindingProtocol::kAscii},
                   {.host = "b", .protocol = BindingProtocol::kBinary},
                   {.host = "c", .protocol = BindingProtocol::kNegotiate},
                   {.host = "d"}};
  const auto protocols = [&] {
    std::vector<BindingProtocol> seen;
    for (const Listener& listener : ListenersOf(config)) {
      seen.push_back(listener.terms.session.protocol);
    }
    return seen;
  };
  using enum BindingProtocol;
  CHECK(protocols() == std::vector{kAscii, kBinary, kNegotiate, kNegotiate});
  config.protocol = kAscii;
  CHECK(protocols() == std::vector{kAscii, kBinary, kNegotiate, kAscii});
}

TEST_CASE("a listener of a protocol without a password is not opened", "[listener]") {
  Config config;
  config.port = -1;
  const auto complaint = [&](const char* listen) {
    config.listen_text = listen;
    config.listen = *ParseListenList(listen);
    const auto sockets = OpenListeners(config);
    return sockets ? std::string() : sockets.error().message;
  };
  config.auth_file = "/etc/users";
  config.protocol = BindingProtocol::kAscii;
  CHECK_THAT(complaint("proto[binary]:127.0.0.1:0"),
             Catch::Contains("Cannot use binary protocol when ascii authentication enabled"));
  CHECK(complaint("proto[ascii]:127.0.0.1:0").empty());
  CHECK(complaint("proto[negotiating]:127.0.0.1:0").empty());
  CHECK(ListenersOf(config)[0].terms.session.protocol == BindingProtocol::kAscii);
  config.auth_file.clear();
  config.sasl = true;
  config.protocol = BindingProtocol::kBinary;
  CHECK_THAT(complaint("proto[asc]:127.0.0.1:0"),
             Catch::Contains("Cannot use ascii protocol when SASL authentication enabled"));
  CHECK(complaint("proto[bin]:127.0.0.1:0").empty());
  CHECK_THAT(complaint("127.0.0.1:0,proto[ascii]:127.0.0.1:0"),
             Catch::Contains("failed to listen"));
}

TEST_CASE("a protocol that is none is named", "[listener]") {
  for (const char* text :
       {"proto[]:a", "proto[proxy]:a", "proto[asciii]:a", "proto[ascii]a", "proto[ascii"}) {
    CAPTURE(text);
    const auto addresses = ParseListenList(text);
    REQUIRE_FALSE(addresses);
    CHECK_THAT(addresses.error(), Catch::Contains("Invalid protocol spec"));
  }
  const auto addresses = ParseListenList("proto[a]:[::1]:7,proto[neg]:*");
  REQUIRE(addresses);
  CHECK(*addresses == std::vector<ListenAddress>{
                          {.host = "::1", .port = 7, .protocol = BindingProtocol::kAscii},
                          {.host = "", .port = -1, .protocol = BindingProtocol::kNegotiate}});
}

}  // namespace
}  // namespace larder::server
