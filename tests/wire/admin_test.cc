#include <fcntl.h>
#include <unistd.h>

#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "version names the version whatever follows", "[wire][version]") {
  const std::string expected = "VERSION " + std::string(server::WireVersion()) + "\r\n";
  client.Send("version\r\nversion foo noreply\r\n").Expect(expected + expected).ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "verbosity takes a level", "[wire][verbosity]") {
  client.Send("verbosity 1\r\nverbosity 0 0 0\r\n").Expect("OK\r\nOK\r\n").ExpectNothing();
  client.Send("verbosity 0 noreply\r\nverbosity noreply\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a verbosity above 2 is 2", "[wire][verbosity]") {
  client.Send("verbosity 4294967295\r\n").Expect("OK\r\n");
  CHECK(client.Stats("settings").at("verbosity") == "2");
  client.Send("verbosity 0\r\n").Expect("OK\r\n");
  CHECK(client.Stats("settings").at("verbosity") == "0");
}

TEST_CASE_METHOD(WireTest, "a bad verbosity is a bad line", "[wire][verbosity]") {
  for (const char* request :
       {"verbosity\r\n", "verbosity x\r\n", "verbosity -1\r\n", "verbosity 99999999999\r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect(kBadLine).ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "a standard error that takes nothing stops no server",
                 "[wire][verbosity]") {
  const int kept = dup(STDERR_FILENO);
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  REQUIRE(dup2(full, STDERR_FILENO) == STDERR_FILENO);
  client.Send("verbosity 2\r\n").Expect("OK\r\n");
  client.Send("mn\r\nverbosity 0\r\n").Expect("MN\r\nOK\r\n").ExpectNothing();
  dup2(kept, STDERR_FILENO);
  close(full);
  close(kept);
}

TEST_CASE_METHOD(WireTest, "quit closes without a reply", "[wire][quit]") {
  client.Send("quit\r\n").ExpectClosed();
}

TEST_CASE_METHOD(WireTest, "quit ignores what follows on its line", "[wire][quit]") {
  client.Send("quit foo noreply\r\n").ExpectClosed();
}

TEST_CASE_METHOD(WireTest, "quit lets earlier replies out and later requests alone",
                 "[wire][quit]") {
  client.Send("set a 0 0 1\r\nx\r\nquit\r\nset a 0 0 1\r\ny\r\n").Expect("STORED\r\n");
  client.ExpectClosed();
  server.Connect().Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "shutdown is refused without -A", "[wire][shutdown]") {
  for (const char* request : {"shutdown\r\n", "shutdown graceful\r\n", "shutdown foo\r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect("SERVER_ERROR: shutdown not enabled\r\n").ExpectNothing();
  }
  client.Send("shutdown noreply\r\n").ExpectNothing();
}

TEST_CASE("shutdown closes and ends the server", "[wire][shutdown]") {
  const char* request = GENERATE("shutdown\r\n", "shutdown graceful\r\n");
  CAPTURE(request);
  TestServer server([](Config& config) { config.shutdown_command = true; });
  Client client = server.Connect();
  Client other = server.Connect();
  other.ExpectNothing();
  client.Send(SetRequest("a", "x") + request).Expect("STORED\r\n").ExpectClosed();
  server.Join();
  other.ExpectClosed();
}

TEST_CASE("shutdown knows one mode", "[wire][shutdown]") {
  TestServer server([](Config& config) { config.shutdown_command = true; });
  Client client = server.Connect();
  client.Send("shutdown foo\r\n").Expect("CLIENT_ERROR invalid shutdown mode\r\n").ExpectNothing();
  client.Send("shutdown noreply\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "cache_memlimit sets the memory limit", "[wire][cache_memlimit]") {
  client.Send("cache_memlimit 48\r\n").Expect("OK\r\n");
  CHECK(client.Stat("limit_maxbytes") == 48U << 20);
  client.Send("cache_memlimit 64 noreply\r\n").ExpectNothing();
  CHECK(client.Stats("settings").at("maxbytes") == std::to_string(64U << 20));
}

TEST_CASE("cache_memlimit can make the memory larger", "[wire][cache_memlimit]") {
  TestServer server([](Config& config) { config.memory_bytes = 8U << 20; });
  Client client = server.Connect();
  client.Send("cache_memlimit 64\r\n").Expect("OK\r\n");
  const std::string value = PatternBytes(1000000, 1);
  for (int i = 0; i < 40; ++i) {
    client.Send(SetRequest("a" + std::to_string(i), value)).Expect("STORED\r\n");
  }
  CHECK(client.Stat("curr_items") == 40);
  CHECK(client.Stat("evictions") == 0);
}

TEST_CASE_METHOD(WireTest, "cache_memlimit refuses what cannot be", "[wire][cache_memlimit]") {
  client.Send("cache_memlimit\r\ncache_memlimit x\r\ncache_memlimit -1\r\n");
  client.Expect("ERROR\r\nERROR\r\nERROR\r\n").ExpectNothing();
  client.Send("cache_memlimit 7\r\n")
      .Expect("MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n");
  client.Send("cache_memlimit 1000000001\r\n")
      .Expect("MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n");
  client.Send("cache_memlimit 7 noreply\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a lowered memory limit is kept, and what is evicted is gone whole",
                 "[wire][cache_memlimit]") {
  constexpr int kItems = 60;
  const std::string value = PatternBytes(500000, 1);
  for (int i = 0; i < kItems; ++i) {
    client.Send(SetRequest("a" + std::to_string(i), value)).Expect("STORED\r\n");
  }
  client.Send("cache_memlimit 8\r\n").Expect("OK\r\n");
  server.AdvanceClock(1);
  const auto slabs = client.Stats("slabs");
  CHECK(std::stoull(slabs.at("total_malloced")) <= 8U << 20);
  int left = 0;
  for (int i = 0; i < kItems; ++i) {
    const std::string key = "a" + std::to_string(i);
    client.Send("get " + key + "\r\n");
    if (client.ReceiveLine() == "END\r\n") continue;
    client.Expect(value + "\r\nEND\r\n");
    ++left;
  }
  CHECK(left > 4);
  CHECK(left <= 16);
}

TEST_CASE_METHOD(WireTest, "mn answers MN, which tells that all before was answered",
                 "[wire][mn]") {
  client.Send("mn\r\nmn foo\r\n").Expect("MN\r\nMN\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "refresh_certs says that TLS is off", "[wire][admin]") {
  client.Send("refresh_certs\r\nrefresh_certs now noreply\r\nmn\r\n")
      .Expect("Error TLS not enabled\r\nError TLS not enabled\r\nMN\r\n")
      .ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "commands of later issues are unknown", "[wire][admin]") {
  for (const char* request : {"misbehave\r\n", "debugtime p\r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect("ERROR\r\n").ExpectNothing();
  }
}

}  // namespace
}  // namespace larder::wire
