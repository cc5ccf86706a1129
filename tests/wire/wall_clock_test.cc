// The system's time is set while the server runs, as by NTP, by hand, or after a sleep.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "tests/temporary_folder.h"
#include "tests/wire/binary_fixture.h"
#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

constexpr std::int32_t kHourS = 3600;

// A test may take some seconds.
bool IsAbout(std::int64_t seconds, std::int64_t expected) {
  constexpr std::int64_t kPatienceS = 60;
  return std::abs(seconds - expected) <= kPatienceS;
}

std::int64_t Time(Client& client) { return static_cast<std::int64_t>(client.Stat("time")); }

// What follows `name` in the text.
std::int64_t NumberAfter(const std::string& text, const std::string& name) {
  const std::size_t at = text.find(name);
  INFO(text);
  REQUIRE(at != std::string::npos);
  return std::stoll(text.substr(at + name.size()));
}

// Of a key that is present.
std::int64_t SecondsLeft(Client& client, const std::string& key) {
  return NumberAfter(client.Send("mg " + key + " t\r\n").ReceiveLine(), "HD t");
}

bool IsPresent(Client& client, const std::string& key) {
  return client.Send("mg " + key + "\r\n").ReceiveLine().starts_with("HD");
}

// Ways to give the key "a" an exptime.
std::string RequestOf(const std::string& way, std::int64_t exptime) {
  const std::string text = std::to_string(exptime);
  const std::string fresh = "set a 0 0 1 noreply\r\n1\r\n";
  if (way == "set") return "set a 0 " + text + " 1\r\n1\r\n";
  if (way == "touch") return fresh + "touch a " + text + "\r\n";
  if (way == "gat") return fresh + "gat " + text + " a\r\n";
  if (way == "ms") return "ms a 1 T" + text + "\r\n1\r\n";
  if (way == "mg") return fresh + "mg a T" + text + "\r\n";
  if (way == "mg N") return "mg a N" + text + "\r\n";
  if (way == "ma") return fresh + "ma a T" + text + "\r\n";
  if (way == "ma N") return "ma a N" + text + "\r\n";
  if (way == "append") return "set a 0 " + text + " 1\r\n1\r\nappend a 0 0 1\r\n1\r\n";
  if (way == "incr") return "set a 0 " + text + " 1\r\n9\r\nincr a 1\r\n";
  return fresh + "md a I T" + text + "\r\n";
}
const char* AnyWay() {
  return GENERATE("set", "touch", "gat", "ms", "mg", "mg N", "ma", "ma N", "append", "incr", "md");
}

TEST_CASE_METHOD(WireTest, "a Unix time that was given before the system's time was set follows it",
                 "[wire][wall_clock]") {
  const std::string way = AnyWay();
  CAPTURE(way);
  client.Send("set rel 0 1800 1\r\nx\r\n").Expect("STORED\r\n");
  client.Send(RequestOf(way, Time(client) + 1800)).Send("mn\r\n").ReceiveUntil("MN\r\n");
  CHECK(IsAbout(SecondsLeft(client, "a"), 1800));
  server.StepWallClock(-kHourS);
  CHECK(IsAbout(SecondsLeft(client, "a"), 1800 + kHourS));
  CHECK(IsAbout(SecondsLeft(client, "rel"), 1800));
  server.AdvanceClock(1900);
  CHECK(IsPresent(client, "a"));
  CHECK_FALSE(IsPresent(client, "rel"));
  server.AdvanceClock(kHourS);
  CHECK_FALSE(IsPresent(client, "a"));

  client.Send("set rel 0 1800 1\r\nx\r\n").Expect("STORED\r\n");
  client.Send(RequestOf(way, Time(client) + 1800)).Send("mn\r\n").ReceiveUntil("MN\r\n");
  server.StepWallClock(kHourS);
  CHECK_FALSE(IsPresent(client, "a"));
  CHECK(IsAbout(SecondsLeft(client, "rel"), 1800));
}

TEST_CASE_METHOD(WireTest, "a Unix time that is given after the system's time was set is right",
                 "[wire][wall_clock]") {
  const std::string way = AnyWay();
  CAPTURE(way);
  const std::int32_t step_s = GENERATE(as<std::int32_t>{}, kHourS, -kHourS);
  const std::int64_t time_s = Time(client);
  server.StepWallClock(step_s);
  client.Send(RequestOf(way, time_s + step_s + 500)).Send("mn\r\n").ReceiveUntil("MN\r\n");
  CHECK(IsAbout(SecondsLeft(client, "a"), 500));
  server.AdvanceClock(500);
  CHECK_FALSE(IsPresent(client, "a"));
}

TEST_CASE_METHOD(WireTest, "time follows the system's time, and uptime does not",
                 "[wire][wall_clock][stats]") {
  const std::int32_t step_s = GENERATE(as<std::int32_t>{}, kHourS, -kHourS, 1'000'000'000);
  const std::int64_t time_s = Time(client);
  server.StepWallClock(step_s);
  CHECK(IsAbout(Time(client), time_s + step_s));
  CHECK(IsAbout(static_cast<std::int64_t>(client.Stat("uptime")), 0));
  server.StepWallClock(-step_s);
  CHECK(IsAbout(Time(client), time_s));
}

TEST_CASE_METHOD(WireTest, "a step of a second or two is let pass", "[wire][wall_clock][stats]") {
  client.Send(StorageRequest({.key = "a", .value = "x", .exptime = Time(client) + kHourS}));
  client.Expect("STORED\r\n");
  const std::int64_t left_s = SecondsLeft(client, "a");
  server.StepWallClock(1);
  server.StepWallClock(-2);
  CHECK(SecondsLeft(client, "a") <= left_s);
}

TEST_CASE_METHOD(WireTest, "a flush_all at a Unix time follows the system's time",
                 "[wire][wall_clock][flush_all]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const auto flush_in = [&](std::int64_t seconds) {
    client.Send("flush_all " + std::to_string(Time(client) + seconds) + "\r\n").Expect("OK\r\n");
  };
  SECTION("set on, a flush that was to come is due") {
    flush_in(1800);
    server.StepWallClock(kHourS);
    CHECK_FALSE(IsPresent(client, "a"));
  }
  SECTION("set back, it is as much later") {
    flush_in(1800);
    server.StepWallClock(-kHourS);
    server.AdvanceClock(1800 + kHourS - 60);
    CHECK(IsPresent(client, "a"));
    server.AdvanceClock(60);
    CHECK_FALSE(IsPresent(client, "a"));
  }
  SECTION("one that is given afterwards comes in time") {
    server.StepWallClock(GENERATE(as<std::int32_t>{}, kHourS, -kHourS));
    flush_in(200);
    server.AdvanceClock(100);
    CHECK(IsPresent(client, "a"));
    server.AdvanceClock(100);
    CHECK_FALSE(IsPresent(client, "a"));
  }
  SECTION("a delay is a delay") {
    client.Send("flush_all 1800\r\n").Expect("OK\r\n");
    server.StepWallClock(GENERATE(as<std::int32_t>{}, kHourS, -kHourS));
    server.AdvanceClock(1700);
    CHECK(IsPresent(client, "a"));
    server.AdvanceClock(100);
    CHECK_FALSE(IsPresent(client, "a"));
  }
}

TEST_CASE_METHOD(WireTest, "dumps show Unix times as the system's time is now",
                 "[wire][wall_clock][dump]") {
  const std::int32_t step_s = GENERATE(as<std::int32_t>{}, kHourS, -kHourS);
  const std::int64_t time_s = Time(client);
  client.Send("set rel 0 5000 1\r\nx\r\n").Expect("STORED\r\n");
  client.Send(StorageRequest({.key = "abs", .value = "x", .exptime = time_s + 5000}));
  client.Send(SetRequest("never", "x")).Expect("STORED\r\nSTORED\r\n");
  server.StepWallClock(step_s);
  client.Send("lru_crawler metadump all\r\n");
  const std::string dump = client.ReceiveUntil("END\r\n");
  const auto line_of = [&](const std::string& key) {
    const std::size_t at = dump.find("key=" + key + " ");
    INFO(dump);
    REQUIRE(at != std::string::npos);
    return dump.substr(at, dump.find('\n', at) - at);
  };
  CHECK(IsAbout(NumberAfter(line_of("rel"), "exp="), time_s + step_s + 5000));
  CHECK(NumberAfter(line_of("abs"), "exp=") == time_s + 5000);
  CHECK(NumberAfter(line_of("never"), "exp=") == -1);
  CHECK(IsAbout(NumberAfter(line_of("never"), "la="), time_s + step_s));

  const std::int64_t id = NumberAfter(line_of("rel"), "cls=");
  client.Send("stats cachedump " + std::to_string(id) + " 0\r\n");
  const std::string list = client.ReceiveUntil("END\r\n");
  CHECK(IsAbout(NumberAfter(list, "ITEM rel [1 b; "), time_s + step_s + 5000));
  CHECK(NumberAfter(list, "ITEM abs [1 b; ") == time_s + 5000);
  CHECK(NumberAfter(list, "ITEM never [1 b; ") == 0);

  CHECK(IsAbout(NumberAfter(client.Send("me rel\r\n").ReceiveLine(), "exp="), 5000));
  CHECK(IsAbout(NumberAfter(client.Send("me abs\r\n").ReceiveLine(), "exp="), 5000 - step_s));
  CHECK(IsAbout(NumberAfter(client.Send("me abs\r\n").ReceiveLine(), "la="), 0));
  CHECK(IsAbout(NumberAfter(client.Send("explain abs\r\n").ReceiveLine(), "ttl="), 5000 - step_s));
}

TEST_CASE_METHOD(WireTest, "mg R compares what is left by either clock",
                 "[wire][wall_clock][meta]") {
  client.Send(StorageRequest({.key = "a", .value = "x", .exptime = Time(client) + 5000}));
  client.Expect("STORED\r\n");
  client.Send("mg a R2000\r\n").Expect("HD\r\n");
  server.StepWallClock(kHourS);
  client.Send("mg a R2000\r\n").Expect("HD W\r\n");
}

TEST_CASE("binary Unix times follow the system's time", "[wire][wall_clock][binary]") {
  TestServer server;
  Client text = server.Connect();
  BinaryClient client(server.Connect());
  const std::int32_t step_s = GENERATE(as<std::int32_t>{}, kHourS, -kHourS);
  const auto soon = [&] { return static_cast<std::uint32_t>(Time(text) + 1800); };
  client.Ask(StorePacket({.key = "set", .value = "x", .exptime = soon()}));
  client.Ask(StorePacket({.key = "touch", .value = "x"}));
  client.Ask({.opcode = kTouch, .extras = Big(soon(), 4), .key = "touch"});
  client.Ask(StorePacket({.key = "gat", .value = "x"}));
  client.Ask({.opcode = kGat, .extras = Big(soon(), 4), .key = "gat"});
  client.Ask(StorePacket({.key = "far", .value = "x", .exptime = 0xffffffff}));
  client.Ask(StorePacket({.key = "rel", .value = "x", .exptime = 1800}));
  server.StepWallClock(step_s);
  for (const char* key : {"set", "touch", "gat"}) {
    CAPTURE(key);
    if (step_s > 0) CHECK_FALSE(IsPresent(text, key));
    if (step_s < 0) CHECK(IsAbout(SecondsLeft(text, key), 1800 + kHourS));
  }
  CHECK(IsPresent(text, "far"));
  CHECK(IsAbout(SecondsLeft(text, "rel"), 1800));
  client.Ask({.opcode = kTouch, .extras = Big(soon(), 4), .key = "rel"});
  CHECK(IsAbout(SecondsLeft(text, "rel"), 1800));

  // By the clock as it is now, the server started an hour later, or sooner.
  client.Ask({.opcode = kFlush, .extras = Big(soon() - 1800 - 100, 4)});
  CHECK(IsPresent(text, "rel"));
  client.Ask({.opcode = kFlush, .extras = Big(soon(), 4)});
  CHECK(IsPresent(text, "rel"));
  server.StepWallClock(kHourS);
  CHECK_FALSE(IsPresent(text, "far"));
}

TEST_CASE("over a restart times to live go on by the system's time, though it was set",
          "[wire][wall_clock][restart]") {
  const TemporaryFolder folder;
  const auto configure = [&](Config& config) { config.memory_file = folder / "items"; };
  std::int64_t time_s = 0;
  {
    TestServer server(configure);
    Client client = server.Connect();
    time_s = Time(client);
    client.Send(StorageRequest({.key = "abs", .value = "x", .exptime = time_s + 1800}));
    client.Send("set rel 0 5000 1\r\nx\r\n").Expect("STORED\r\nSTORED\r\n");
    client.Send("flush_all 9000\r\n").Expect("OK\r\n");
    server.StepWallClock(-kHourS);
    CHECK(IsAbout(SecondsLeft(client, "abs"), 1800 + kHourS));
    server.server().RequestStop();
    server.Join();
  }
  // The hour goes by, as this process sees it.
  TestServer server(configure);
  Client client = server.Connect();
  CHECK(IsAbout(NumberAfter(client.Send("me rel\r\n").ReceiveLine(), "la="), kHourS));
  CHECK(IsAbout(SecondsLeft(client, "abs"), 1800));
  CHECK(IsAbout(SecondsLeft(client, "rel"), 5000 - kHourS));
  server.StepWallClock(-kHourS);
  CHECK(IsAbout(SecondsLeft(client, "abs"), 1800 + kHourS));
  server.AdvanceClock(9000 - kHourS);
  CHECK_FALSE(IsPresent(client, "abs"));  // Flushed.
}

}  // namespace
}  // namespace larder::wire
