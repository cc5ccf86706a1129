// The contracts of protocol/ are checked by assert(), in the builds in which LARDER_ASSERT is on.
#include <array>
#include <cassert>
#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "protocol/binary/binary_packet.h"
#include "protocol/data_block.h"
#include "protocol/meta/meta_flags.h"
#include "protocol/meta/meta_reply.h"
#include "tests/aborts.h"

#if defined(LARDER_ASSERTS) == defined(NDEBUG)
#error "contracts are checked in one part of the program only"
#endif

namespace larder::protocol {
namespace {

TEST_CASE("a broken contract of a parser ends the process where contracts are checked",
          "[protocol][contracts]") {
  CHECK_FALSE(Aborts([] {
    std::string_view value;
    (void)TakeValue("abc\r\n", 0, 3, value);
  }));
#if defined(LARDER_ASSERTS)
  CHECK(Aborts([] {
    std::string_view value;
    (void)TakeValue("abc\r\n", 6, 3, value);
  }));
  CHECK(Aborts([] { (void)MetaFlags("v").letter(); }));
  CHECK(Aborts([] {
    const std::string head(kPacketHeadBytes, 'x');
    (void)RequestPacket(head);
  }));
#endif
}

TEST_CASE("a broken contract of a reply ends the process where contracts are checked",
          "[protocol][contracts]") {
  CHECK_FALSE(Aborts([] {
    std::array<char, kMetaLineBytesMax> room;
    (void)WriteEncodedMetaKey(room.data(), std::string(kKeyBytesMax, 'k'));
  }));
#if defined(LARDER_ASSERTS)
  CHECK(Aborts([] {
    std::array<char, 2 * kMetaLineBytesMax> room;
    (void)WriteEncodedMetaKey(room.data(), std::string(kKeyBytesMax + 1, 'k'));
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

}  // namespace larder::protocol
