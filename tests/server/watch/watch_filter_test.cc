#include "server/watch/watch_filter.h"

#include <catch2/catch.hpp>

namespace larder::server {
namespace {

WatchFilter Parsed(std::string_view words) {
  auto filter = WatchFilter::Parse(words);
  REQUIRE(filter.has_value());
  return std::move(*filter);
}

// A look-up by the client 7.
WatchEvent Get(std::string_view key, std::string_view status = "found") {
  return {.stream = WatchStream::kFetchers,
          .kind = EventKind::kItemGet,
          .client = 7,
          .status = status,
          .text = key};
}

TEST_CASE("words name streams", "[watch][filter]") {
  CHECK(Parsed("").streams() == SetOf(WatchStream::kFetchers));
  CHECK(Parsed("  ").streams() == SetOf(WatchStream::kFetchers));
  CHECK(Parsed("mutations  evictions").streams() ==
        (SetOf(WatchStream::kMutations) | SetOf(WatchStream::kEvictions)));
  // Accepted, and silent.
  CHECK(Parsed("rawcmds proxyreqs proxyevents proxyuser").streams() == 0);
  // A condition alone is one on the default.
  CHECK(Parsed("prefix=a").streams() == SetOf(WatchStream::kFetchers));
}

TEST_CASE("unknown words and bad values are refused", "[watch][filter]") {
  for (const auto* const words : {"f",         "fetcher",
                                  "FETCHERS",  "fetchers nothing",
                                  "prefix",    "prefix=",
                                  "prefix=%4", "key=",
                                  "key=%",     "cfd=",
                                  "cfd=x",     "cfd=-1",
                                  "cfd=1x",    "cfd=99999999999",
                                  "sample=0",  "sample=-1",
                                  "sample=",   "slow=",
                                  "slow=1.5",  "status=",
                                  "=x",        "nothing=1"}) {
    CAPTURE(words);
    CHECK_FALSE(WatchFilter::Parse(words).has_value());
  }
}

TEST_CASE("an event has to pass all conditions of a filter", "[watch][filter]") {
  CHECK(Parsed("prefix=a%3A").Passes(Get("a:b")));
  CHECK_FALSE(Parsed("prefix=a%3A").Passes(Get("ab")));
  CHECK(Parsed("key=a").Passes(Get("a")));
  CHECK_FALSE(Parsed("key=a").Passes(Get("ab")));
  CHECK(Parsed("cfd=7").Passes(Get("a")));
  CHECK_FALSE(Parsed("cfd=8").Passes(Get("a")));
  CHECK(Parsed("status=found").Passes(Get("a")));
  CHECK_FALSE(Parsed("status=not_found").Passes(Get("a")));
  CHECK_FALSE(Parsed("mutations").Passes(Get("a")));
  // All of them together.
  CHECK(Parsed("fetchers prefix=a status=found cfd=7").Passes(Get("ab")));
  CHECK_FALSE(Parsed("fetchers prefix=a status=found cfd=7").Passes(Get("ab", "expired")));
}

TEST_CASE("a sample is one of so many events that pass", "[watch][filter]") {
  WatchFilter filter = Parsed("sample=3 prefix=a");
  int passed = 0;
  for (int i = 0; i < 30; ++i) {
    CHECK_FALSE(filter.Passes(Get("b")));
    passed += filter.Passes(Get("a")) ? 1 : 0;
  }
  CHECK(passed == 10);
}

TEST_CASE("what concerns all keys passes conditions on keys", "[watch][filter]") {
  const WatchEvent flush{.stream = WatchStream::kInvalidations, .text = "type=flushed"};
  CHECK(Parsed("invalidations key=a").Passes(flush));
  CHECK(Parsed("invalidations prefix=a cfd=7").Passes(flush));
  CHECK_FALSE(Parsed("fetchers").Passes(flush));
  // A connection has a client.
  const WatchEvent left{
      .stream = WatchStream::kConnections, .client = 7, .text = "type=conn_close"};
  CHECK(Parsed("connevents cfd=7").Passes(left));
  CHECK_FALSE(Parsed("connevents cfd=8").Passes(left));
}

TEST_CASE("a command is slow from the limit on", "[watch][filter]") {
  WatchEvent slow{.stream = WatchStream::kSlow, .kind = EventKind::kSlow, .duration_us = 999};
  CHECK_FALSE(Parsed("slow").Passes(slow));
  CHECK(Parsed("slow slow=999").Passes(slow));
  slow.duration_us = 1000;
  CHECK(Parsed("slow").Passes(slow));
  CHECK(Parsed("slow=50").slow_us() == 50);
}

}  // namespace
}  // namespace larder::server
