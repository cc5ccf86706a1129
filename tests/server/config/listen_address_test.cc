#include "server/config/listen_address.h"

#include <catch2/catch.hpp>

namespace larder::server {
namespace {

using ListenAddresses = std::vector<ListenAddress>;

ListenAddresses ParseAddresses(std::string_view text) {
  auto addresses = ParseListenList(text);
  if (!addresses) FAIL(addresses.error());
  return *addresses;
}

std::string AddressesError(std::string_view text) {
  const auto addresses = ParseListenList(text);
  if (addresses) FAIL("this list was taken: " << text);
  return addresses.error();
}

TEST_CASE("an address may have a port", "[listen_address]") {
  CHECK(ParseAddresses("127.0.0.1") == ListenAddresses{{"127.0.0.1", -1}});
  CHECK(ParseAddresses("127.0.0.1:11300") == ListenAddresses{{"127.0.0.1", 11300}});
  CHECK(ParseAddresses("localhost:0") == ListenAddresses{{"localhost", 0}});
}

TEST_CASE("an IPv6 address may stand bare, or in brackets with a port", "[listen_address]") {
  CHECK(ParseAddresses("::1") == ListenAddresses{{"::1", -1}});
  CHECK(ParseAddresses("[::1]") == ListenAddresses{{"::1", -1}});
  CHECK(ParseAddresses("[fe80::1%lo]:11300") == ListenAddresses{{"fe80::1%lo", 11300}});
}

TEST_CASE("a star is every interface", "[listen_address]") {
  CHECK(ParseAddresses("*") == ListenAddresses{{"", -1}});
  CHECK(ParseAddresses("*:5") == ListenAddresses{{"", 5}});
}

TEST_CASE("commas and semicolons separate, empty items do not count", "[listen_address]") {
  CHECK(ParseAddresses(",a;b:1,,c;") == ListenAddresses{{"a", -1}, {"b", 1}, {"c", -1}});
}

TEST_CASE("an item counts once, one that is only part of another counts too", "[listen_address]") {
  CHECK(ParseAddresses("10.0.0.12,10.0.0.1,10.0.0.12") ==
        ListenAddresses{{"10.0.0.12", -1}, {"10.0.0.1", -1}});
}

TEST_CASE("a port that is none is named", "[listen_address]") {
  CHECK(AddressesError("a:b") == "Invalid port number: \"b\"");
  CHECK(AddressesError("a:") == "Invalid port number: \"\"");
  CHECK(AddressesError("a:65536") == "Invalid port number: \"65536\"");
  CHECK(AddressesError("[::1]:-1") == "Invalid port number: \"-1\"");
}

TEST_CASE("brackets must close, and only a port may follow", "[listen_address]") {
  CHECK(AddressesError("[::1") == "Missing ] after the address: \"[::1\"");
  CHECK(AddressesError("[::1]x") == "Expected :port after the address: \"[::1]x\"");
}

TEST_CASE("a prefix says whether a listener speaks TLS", "[listen_address]") {
  CHECK(ParseAddresses("notls:a:1,btls:b,mtls:[::1]:2,mtls:proto[ascii]:c") ==
        ListenAddresses{
            {.host = "a", .port = 1, .tls = ListenTls::kPlain},
            {.host = "b", .tls = ListenTls::kNoCertificates},
            {.host = "::1", .port = 2, .tls = ListenTls::kCertificates},
            {.host = "c", .protocol = BindingProtocol::kAscii, .tls = ListenTls::kCertificates}});
  // The colon belongs to the prefix.
  CHECK(ParseAddresses("notls,notlsX127.0.0.1") ==
        ListenAddresses{{.host = "notls"}, {.host = "notlsX127.0.0.1"}});
}

TEST_CASE("prefixes for tags are refused", "[listen_address]") {
  for (const char* text : {"tag[a]:127.0.0.1", "tag_a_:127.0.0.1"}) {
    CHECK_THAT(AddressesError(text), Catch::Contains("are not supported"));
  }
}

TEST_CASE("a list without an address does not mean every interface", "[listen_address]") {
  CHECK(AddressesError("") == "-l names no address");
  CHECK(AddressesError(",;") == "-l names no address");
}

}  // namespace
}  // namespace larder::server
