#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/temporary_folder.h"
#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

constexpr std::string_view kTooManyConnections = "ERROR Too many open connections\r\n";

TEST_CASE_METHOD(WireTest, "a client that has sent all gets its replies", "[wire][connection]") {
  client.Send(SetRequest("a", "x") + "get a\r\n").FinishSending();
  client.Expect("STORED\r\n" + ValueReply("a", "x") + "END\r\n").ExpectClosed();
}

TEST_CASE_METHOD(WireTest, "a client that has sent all gets replies that take long",
                 "[wire][connection]") {
  const std::string value = PatternBytes(1000000, 1);
  client.Send(SetRequest("a", value)).Expect("STORED\r\n");
  Client slow = server.ConnectSlow();
  std::string gets;
  for (int i = 0; i < 30; ++i) gets += "get a\r\n";
  CHECK(slow.SendWithoutReading(gets) == gets.size());
  slow.FinishSending();
  server.Settle();
  for (int i = 0; i < 30; ++i) slow.Expect(ValueReply("a", value) + "END\r\n");
  slow.ExpectClosed();
}

TEST_CASE_METHOD(WireTest, "an unfinished request of a client that has sent all is dropped",
                 "[wire][connection]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  Client leaving = server.Connect();
  leaving.Send("mn\r\ndelete a").FinishSending();
  leaving.Expect("MN\r\n").ExpectClosed();
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "clients come and go", "[wire][connection]") {
  for (int i = 0; i < 300; ++i) {
    Client brief = server.Connect();
    if (i % 3 == 0) brief.Send("get a\r\n").Expect("END\r\n");
    if (i % 3 == 1) brief.Send("get a\r\n").Reset();
  }
  server.Settle();
  client.ExpectNothing();
  // This one and the two that Settle keeps; a listener counts, and one is subtracted.
  CHECK(client.Stat("curr_connections") == 3);
}

// What is printed on standard error, by any thread, while it lives.
class CapturedErrors {
 public:
  CapturedErrors() : before_(dup(STDERR_FILENO)) {
    const int file = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    REQUIRE(file >= 0);
    REQUIRE(dup2(file, STDERR_FILENO) == STDERR_FILENO);
    close(file);
  }
  ~CapturedErrors() {
    dup2(before_, STDERR_FILENO);
    close(before_);
  }
  CapturedErrors(const CapturedErrors&) = delete;
  CapturedErrors& operator=(const CapturedErrors&) = delete;

  std::string text() const { return Contents(path_); }

 private:
  const TemporaryFolder folder_;
  const std::string path_ = folder_ / "errors";
  const int before_;
};

TEST_CASE("a listening socket that is broken is told once, and left alone", "[wire][connection]") {
  const CapturedErrors errors;
  TestServer server([](Config& config) {
    config.listen = {{.host = "127.0.0.1"}, {.host = "127.0.0.1"}};
  });
  // Readable from now on, and never a connection.
  REQUIRE(shutdown(server.server().listeners()[0].fd(), SHUT_RDWR) == 0);
  for (int turn = 0; turn < 3; ++turn) server.AdvanceClock(1);
  const std::string line =
      "accept() on tcp:127.0.0.1:" + std::to_string(server.server().listeners()[0].port()) +
      ": Invalid argument; tried again every second\n";
  CHECK(errors.text() == line);
  server.Connect(1).ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "connections are listed without a word on standard error",
                 "[wire][connection]") {
  const CapturedErrors errors;
  Client gone = server.Connect();
  gone.ExpectNothing();
  gone.Reset();
  client.Stats("conns");
  server.Settle();
  client.Stats("conns");
  CHECK(errors.text().empty());
}

// --- The limit ----------------------------------------------------------------------------------

TEST_CASE("over the connection limit a client is told so and closed", "[wire][connection_limit]") {
  TestServer server([](Config& config) { config.connections_max = 3; });
  std::vector<Client> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(server.Connect());
    clients.back().ExpectNothing();
  }
  for (int i = 0; i < 2; ++i) {
    Client refused = server.Connect();
    refused.Expect(kTooManyConnections).ExpectClosed();
  }
  CHECK(clients[0].Stat("rejected_connections") == 2);
  CHECK(clients[0].Stat("curr_connections") == 3);
  // The place of one that leaves is free.
  clients[1].Send("quit\r\n").ExpectClosed();
  server.Connect().ExpectNothing();
}

TEST_CASE("who sees the end of a connection finds its place free at once",
          "[wire][connection_limit]") {
  TestServer server([](Config& config) { config.connections_max = 1; });
  for (int i = 0; i < 300; ++i) {
    CAPTURE(i);
    Client client = server.Connect();
    client.Send("quit\r\n").ExpectClosed();
  }
  server.Connect().ExpectNothing();
}

TEST_CASE("with no_maxconns_fast clients over the limit wait for their turn",
          "[wire][connection_limit]") {
  TestServer server([](Config& config) {
    config.connections_max = 2;
    config.maxconns_fast = false;
  });
  Client first = server.Connect();
  Client second = server.Connect();
  first.ExpectNothing();
  second.ExpectNothing();
  CHECK(first.Stat("accepting_conns") == 1);
  Client waiting = server.Connect();
  waiting.Send("version\r\n");
  while (first.Stat("accepting_conns") == 1) {  // Until the server has seen the third.
  }
  CHECK(first.Stat("listen_disabled_num") == 1);
  CHECK(first.Stats().count("rejected_connections") == 0);
  second.Close();
  waiting.ExpectMatch("VERSION [^\r\n]+\r\n");
  CHECK(first.Stat("accepting_conns") == 1);
  CHECK(first.Stat("time_in_listen_disabled_us") > 0);
}

// --- Idle clients -------------------------------------------------------------------------------

TEST_CASE("a client that says nothing for longer than idle_timeout is closed",
          "[wire][idle_timeout]") {
  TestServer server([](Config& config) { config.idle_timeout_s = 60; });
  Client idle = server.Connect();
  idle.ExpectNothing();
  server.AdvanceClock(55);
  Client busy = server.Connect();
  busy.ExpectNothing();
  server.AdvanceClock(10);
  idle.ExpectClosed();
  busy.ExpectNothing();
  CHECK(busy.Stat("idle_kicks") == 1);
}

TEST_CASE("a client that reads a long reply slowly is not idle", "[wire][idle_timeout]") {
  TestServer server([](Config& config) {
    config.threads = 1;
    config.idle_timeout_s = 60;
  });
  const std::string value = PatternBytes(1000000, 1);
  Client slow = server.ConnectSlow();
  slow.Send(SetRequest("a", value)).Expect("STORED\r\n");
  std::string gets;
  for (int i = 0; i < 20; ++i) gets += "get a\r\n";
  slow.SendWithoutReading(gets);
  server.Settle();
  Client idle = server.Connect();  // Its end tells that idle ones were looked for.
  idle.ExpectNothing();
  server.AdvanceClock(100);
  idle.ExpectClosed();
  for (int i = 0; i < 20; ++i) slow.Expect(ValueReply("a", value) + "END\r\n");
}

TEST_CASE("a client in the middle of a value is not idle", "[wire][idle_timeout]") {
  TestServer server([](Config& config) {
    config.threads = 1;
    config.idle_timeout_s = 60;
  });
  Client storing = server.Connect();
  Client wasting = server.Connect();
  Client idle = server.Connect();
  storing.Send("set a 0 0 3\r\na").ExpectSilence();
  wasting.Send("set a 0 0 2000000\r\na").Expect(kTooLarge).ExpectSilence();
  idle.ExpectNothing();
  server.AdvanceClock(100);
  idle.ExpectClosed();
  storing.Send("bc\r\n").Expect("STORED\r\n");
  wasting.Send(std::string(1999999, 'x') + "\r\n").ExpectNothing();
}

TEST_CASE("without idle_timeout nobody is closed and nothing counted", "[wire][idle_timeout]") {
  TestServer server;
  Client client = server.Connect();
  client.ExpectNothing();
  server.AdvanceClock(1000000);
  client.ExpectNothing();
  CHECK(client.Stats().count("idle_kicks") == 0);
}

// --- Fairness -----------------------------------------------------------------------------------

TEST_CASE("-R makes a long pipeline give way, and loses nothing", "[wire][fairness]") {
  TestServer server([](Config& config) {
    config.threads = 1;
    config.requests_per_turn_max = 5;
  });
  Client client = server.Connect();
  std::string requests;
  std::string replies;
  for (int i = 0; i < 1000; ++i) {
    requests += SetRequest("a", std::to_string(i)) + "get a\r\n";
    replies += "STORED\r\n" + ValueReply("a", std::to_string(i)) + "END\r\n";
  }
  client.Send(requests).Expect(replies).ExpectNothing();
  CHECK(client.Stat("conn_yields") >= 2000 / 5 - 20);
}

TEST_CASE("all keys of one get count as one request", "[wire][fairness]") {
  TestServer server([](Config& config) {
    config.threads = 1;
    config.requests_per_turn_max = 1;
  });
  Client client = server.Connect();
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const std::uint64_t before = client.Stat("conn_yields");
  std::string line = "get";
  std::string reply;
  for (int i = 0; i < 500; ++i) {
    line += " a";
    reply += ValueReply("a", "x");
  }
  client.Send(line + "\r\n").Expect(reply + "END\r\n");
  CHECK(client.Stat("conn_yields") == before);
}

TEST_CASE("a client with an endless pipeline leaves others their turn", "[wire][fairness]") {
  TestServer server([](Config& config) {
    config.threads = 1;
    config.requests_per_turn_max = 10;
  });
  Client busy = server.Connect();
  Client other = server.Connect();
  constexpr std::uint64_t kGets = 20000;
  std::string requests;
  std::string replies;
  for (std::uint64_t i = 0; i < kGets; ++i) {
    requests += "get a\r\n";
    replies += "END\r\n";
  }
  // On a busy machine the server may be through before the other client has said anything.
  bool has_overtaken = false;
  for (int round = 0; round < 100 && !has_overtaken; ++round) {
    const std::uint64_t before = other.Stat("cmd_get");
    const std::size_t sent = busy.SendWithoutReading(requests);
    has_overtaken = other.Stat("cmd_get") < before + kGets;
    busy.Send(std::string_view(requests).substr(sent)).Expect(replies);
  }
  CHECK(has_overtaken);
}

// --- Listeners ----------------------------------------------------------------------------------

TEST_CASE("a server may listen on several addresses", "[wire][listen]") {
  TestServer server([](Config& config) {
    config.listen = {{.host = "127.0.0.1", .port = 0}, {.host = "127.0.0.2", .port = 0}};
  });
  REQUIRE(server.server().listeners().size() == 2);
  Client first = server.Connect(0);
  Client second = server.Connect(1);
  first.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  second.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  CHECK(first.Stat("curr_connections") == 3);
  CHECK(first.Stat("total_connections") == 4);
}

TEST_CASE("a taken port is an error that names it", "[wire][listen]") {
  TestServer server;
  Config config;
  config.listen = {{.host = "127.0.0.1", .port = server.server().port()}};
  config.listen_text = "127.0.0.1";
  const auto second = server::Server::Create(config);
  REQUIRE(!second);
  CHECK(second.error().exit_code == 71);
  CHECK(second.error().message.find(std::to_string(server.server().port())) != std::string::npos);
}

class UnixSocketTest {
 protected:
  const TemporaryFolder folder;
  const std::string path = folder / "socket";
};

TEST_CASE_METHOD(UnixSocketTest, "a unix socket serves as TCP does", "[wire][listen]") {
  TestServer server([&](Config& config) {
    config.unix_socket = path;
    config.unix_mask = 0700;
  });
  Client client = server.Connect();
  const std::string value = PatternBytes(1000000, 1);
  client.Send(SetRequest("a", value)).Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", value) + "END\r\n");
  CHECK(client.Stats("settings").at("domain_socket") == path);
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
}

TEST_CASE_METHOD(UnixSocketTest, "a unix socket left behind is replaced", "[wire][listen]") {
  {
    TestServer server([&](Config& config) { config.unix_socket = path; });
  }
  TestServer server([&](Config& config) { config.unix_socket = path; });
  server.Connect().ExpectNothing();
}

TEST_CASE_METHOD(UnixSocketTest, "idle_timeout leaves clients of a unix socket alone",
                 "[wire][idle_timeout]") {
  TestServer server([&](Config& config) {
    config.unix_socket = path;
    config.idle_timeout_s = 1;
  });
  Client client = server.Connect();
  client.ExpectNothing();
  server.AdvanceClock(100);
  while (client.Stat("uptime") < 101) {  // A second of the worker's own, in which it looked.
    server.Settle();
  }
  client.ExpectNothing();
}

}  // namespace
}  // namespace larder::wire
