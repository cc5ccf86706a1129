#include "server/metrics/stat_writer.h"

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include "tests/protocol/packet.h"

namespace larder::server {
namespace {

using protocol::Packet;

struct Source {
  int number = 0;
  std::string text = {};
};
bool HasText(const Source& source) { return !source.text.empty(); }

constexpr auto kRows = std::to_array<Metric<Source>>({
    {"number", MetricKind::kGauge, Value<&Source::number>, "A number."},
    {"text", MetricKind::kText, Value<&Source::text>, "A text.", {}, HasText},
});

std::string Text(const Source& source, std::string_view prefix = "") {
  std::string reply;
  StatWriter writer(reply);
  writer.WriteRows<Source>(kRows, source, prefix);
  writer.End();
  return reply;
}

TEST_CASE("rows are lines of text", "[stat_writer]") {
  CHECK(Text({-1, "x y"}) == "STAT number -1\r\nSTAT text x y\r\nEND\r\n");
}

TEST_CASE("rows that are not shown are left out", "[stat_writer]") {
  CHECK(Text({1, ""}) == "STAT number 1\r\nEND\r\n");
}

TEST_CASE("a prefix comes before each name", "[stat_writer]") {
  CHECK(Text({1, "t"}, "items:3:") == "STAT items:3:number 1\r\nSTAT items:3:text t\r\nEND\r\n");
}

TEST_CASE("rows are packets for a binary request, and an empty one ends them", "[stat_writer]") {
  constexpr std::uint8_t kOpcode = 0x10;
  const Packet end{.opcode = kOpcode};
  protocol::Echo echo{.opcode = kOpcode};
  std::memcpy(&echo.opaque, end.opaque.data(), sizeof echo.opaque);
  std::string reply;
  StatWriter writer(reply, echo);
  writer.WriteRows<Source>(kRows, {5, "t"}, "p:");
  writer.End();
  CHECK(reply == Packet{.opcode = kOpcode, .key = "p:number", .value = "5"}.Reply() +
                     Packet{.opcode = kOpcode, .key = "p:text", .value = "t"}.Reply() +
                     end.Reply());
}

}  // namespace
}  // namespace larder::server
