// The contracts of protocol/ are checked by assert(), in the builds in which LARDER_ASSERT is on.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>

#include "protocol/binary/binary_packet.h"
#include "protocol/data_block.h"
#include "protocol/meta/meta_flags.h"
#include "protocol/meta/meta_reply.h"

#if defined(LARDER_ASSERTS) == defined(NDEBUG)
#error "contracts are checked in one part of the program only"
#endif

namespace {

using larder::protocol::kKeyBytesMax;

// True if a process that does this aborts.
template <class Fn>
bool Aborts(Fn&& fn) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(1);
    fn();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

TEST_CASE("a broken contract of a parser ends the process where contracts are checked",
          "[protocol][contracts]") {
  CHECK_FALSE(Aborts([] {
    std::string_view value;
    (void)larder::protocol::TakeValue("abc\r\n", 0, 3, value);
  }));
#if defined(LARDER_ASSERTS)
  CHECK(Aborts([] {
    std::string_view value;
    (void)larder::protocol::TakeValue("abc\r\n", 6, 3, value);
  }));
  CHECK(Aborts([] { (void)larder::protocol::MetaFlags("v").letter(); }));
  CHECK(Aborts([] {
    const std::string head(larder::protocol::kPacketHeadBytes, 'x');
    (void)larder::protocol::RequestPacket(head);
  }));
#endif
}

TEST_CASE("a broken contract of a reply ends the process where contracts are checked",
          "[protocol][contracts]") {
  CHECK_FALSE(Aborts([] {
    std::array<char, larder::protocol::kMetaLineBytesMax> room;
    (void)larder::protocol::WriteEncodedMetaKey(room.data(), std::string(kKeyBytesMax, 'k'));
  }));
#if defined(LARDER_ASSERTS)
  CHECK(Aborts([] {
    std::array<char, 2 * larder::protocol::kMetaLineBytesMax> room;
    (void)larder::protocol::WriteEncodedMetaKey(room.data(), std::string(kKeyBytesMax + 1, 'k'));
  }));
#endif
}

TEST_CASE("a contract of protocol/ is evaluated once where it is checked, else never",
          "[protocol][contracts]") {
  int evaluated = 0;
  [[maybe_unused]] const auto holds = [&] { return ++evaluated > 0; };
  assert(holds());
#if defined(LARDER_ASSERTS)
  CHECK(evaluated == 1);
#else
  CHECK(evaluated == 0);
#endif
}

}  // namespace
