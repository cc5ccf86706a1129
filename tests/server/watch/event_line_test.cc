#include "server/watch/event_line.h"

#include <catch2/catch.hpp>
#include <string>

namespace larder::server {
namespace {

std::string LineOf(const WatchEvent& event, std::uint64_t time_us = 1'795'773'857'000'190) {
  std::string line;
  AppendEventLine(line, {.event = event, .number = 3, .time_us = time_us});
  return line;
}

TEST_CASE("the line of each kind of event", "[watch][line]") {
  const std::string head = "ts=1795773857.000190 gid=3 ";
  CHECK(LineOf({.kind = EventKind::kItemGet,
                .class_id = 1,
                .client = 18,
                .value_bytes = 3,
                .status = "found",
                .text = "foo"}) ==
        head + "type=item_get key=foo status=found clsid=1 cfd=18 size=3\n");
  CHECK(LineOf({.kind = EventKind::kItemStore,
                .class_id = 1,
                .client = 18,
                .value_bytes = 3,
                .ttl_s = -1,
                .status = "stored",
                .command = "set",
                .text = "foo"}) ==
        head + "type=item_store key=foo status=stored cmd=set ttl=-1 clsid=1 cfd=18 size=3\n");
  CHECK(LineOf({.kind = EventKind::kDeleted,
                .class_id = 1,
                .value_bytes = 7,
                .command = "delete",
                .text = "foo"}) == head + "type=deleted key=foo cmd=delete clsid=1 size=7\n");
  CHECK(LineOf({.kind = EventKind::kEviction,
                .was_fetched = true,
                .class_id = 27,
                .value_bytes = 30'000,
                .idle_s = 2,
                .ttl_s = 998,
                .text = "k0"}) ==
        head + "type=eviction key=k0 fetch=yes ttl=998 la=2 clsid=27 size=30000\n");
  CHECK(LineOf({.kind = EventKind::kInvalidated, .status = "set", .text = "a"}) ==
        head + "type=invalidated key=a cause=set\n");
  CHECK(LineOf({.kind = EventKind::kMiss, .client = 18, .status = "evicted", .text = "a"}) ==
        head + "type=miss key=a cause=evicted cfd=18\n");
  CHECK(LineOf({.kind = EventKind::kSlow,
                .client = 18,
                .duration_us = 1200,
                .command = "get",
                .text = "a"}) == head + "type=slow cmd=get key=a us=1200 cfd=18\n");
  CHECK(LineOf({.text = "type=flushed"}) == head + "type=flushed\n");
}

TEST_CASE("keys are percent-encoded", "[watch][line]") {
  CHECK(LineOf({.kind = EventKind::kInvalidated, .status = "set", .text = "a/b:c%\xc3\xa9"},
               1'000'000) ==
        "ts=1.000000 gid=3 type=invalidated key=a%2Fb%3Ac%25%C3%A9 cause=set\n");
}

}  // namespace
}  // namespace larder::server
