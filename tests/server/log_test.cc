#include "server/log.h"

#include <catch2/catch.hpp>
#include <string>

namespace larder::server {
namespace {

TEST_CASE("what a client sent is printed without what a terminal obeys", "[server][log]") {
  CHECK(Printable("session:42") == "session:42");
  CHECK(Printable("\x1b[2J\r\n\t\x7f") == "\\x1b[2J\\x0d\\x0a\\x09\\x7f");
  CHECK(Printable("caf\xc3\xa9 \\") == "caf\\xc3\\xa9 \\x5c");
  CHECK(Printable(std::string(1, '\0')) == "\\x00");
  CHECK(Printable("").empty());
}

}  // namespace
}  // namespace larder::server
