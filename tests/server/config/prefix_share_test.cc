#include "server/config/prefix_share.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "slab/policies.h"
#include "tests/server/config/command_line.h"

namespace larder::server {
namespace {

slab::PrefixShare Read(std::string_view text) {
  Config config;
  REQUIRE(AddPrefixShare(config, text));
  REQUIRE(config.prefix_shares.size() == 1);
  return config.prefix_shares.front();
}

std::string Refusal(std::string_view text) {
  Config config;
  const auto added = AddPrefixShare(config, text);
  REQUIRE_FALSE(added);
  CHECK(added.error().exit_code == 1);
  CHECK(config.prefix_shares.empty());
  return added.error().message;
}

TEST_CASE("a share has a floor, a ceiling, or both", "[config][prefix-share]") {
  using slab::PrefixShare;
  CHECK(Read("user=10%..30%") ==
        PrefixShare{.prefix = "user", .floor_percent = 10, .ceiling_percent = 30});
  CHECK(Read("user=10%") ==
        PrefixShare{.prefix = "user", .floor_percent = 10, .ceiling_percent = 100});
  CHECK(Read("user=..30%") ==
        PrefixShare{.prefix = "user", .floor_percent = 0, .ceiling_percent = 30});
  CHECK(Read("a=b=1%..100%").prefix == "a=b");
  CHECK(Read("user=20%..20%").floor_percent == 20);
}

TEST_CASE("what is no share is refused with a reason", "[config][prefix-share]") {
  for (const std::string_view text : {"",
                                      "user",
                                      "=10%",
                                      "user=",
                                      "user=10",
                                      "user=10..30",
                                      "user=10%..",
                                      "user=..",
                                      "user=0%",
                                      "user=..0%",
                                      "user=101%",
                                      "user=..101%",
                                      "user=-1%",
                                      "user=1.5%",
                                      "user= 5%",
                                      "user=5% ",
                                      "user=10%...30%",
                                      "user=10%..30%..40%",
                                      "user=10%-30%",
                                      "user=99999999999%"}) {
    CAPTURE(text);
    CHECK(Refusal(text).find("needs the form name=10%..30%, name=10% or name=..30%") !=
          std::string::npos);
  }
  CHECK(Refusal("user=30%..10%") == "--prefix-share user=30%..10%: the floor is above the ceiling");
  CHECK(Refusal("a b=1%").find("a byte that keys") != std::string::npos);
  CHECK(Refusal("a\r\nSTAT=1%").find("a byte that keys") != std::string::npos);
  CHECK(Refusal("1234567890123456=1%") ==
        "--prefix-share 1234567890123456=1%: the prefix is longer than 15 bytes");
}

TEST_CASE("a prefix has one share, and there are at most 64", "[config][prefix-share]") {
  Config config;
  for (std::size_t i = 0; i < slab::kPrefixSharesMax; ++i) {
    REQUIRE(AddPrefixShare(config, "p" + std::to_string(i) + "=1%"));
  }
  CHECK(AddPrefixShare(config, "p5=2%").error().message ==
        "--prefix-share p5=2%: the prefix has a share already");
  CHECK(AddPrefixShare(config, "q=2%").error().message ==
        "--prefix-share q=2%: there are 64 shares already");
}

TEST_CASE("shares are checked together when all options are known", "[config][prefix-share]") {
  const Config good = ParseGood({"--prefix-share=a=60%", "--prefix-share=b=40%..50%"});
  CHECK(good.prefix_shares.size() == 2);
  CHECK(good.count_prefixes);
  const ConfigExit sum = ParseBad({"--prefix-share=a=60%", "--prefix-share=b=41%"});
  CHECK(sum.message == "--prefix-share: the floors come to 101%, more than all memory");
  CHECK(sum.exit_code == 64);
  CHECK(ParseBad({"--prefix-share=a/b=1%", "-D", "/"}).message ==
        "--prefix-share a/b: a prefix ends before the first '/'");
  CHECK(ParseBad({"--prefix-share=a=1%", "-o", "no_prefix_stats"}).message ==
        "--prefix-share needs the statistics that no_prefix_stats stops");
}

}  // namespace
}  // namespace larder::server
