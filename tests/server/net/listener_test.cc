#include "server/net/listener.h"

#include <catch2/catch.hpp>
#include <cerrno>

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

}  // namespace
}  // namespace larder::server
