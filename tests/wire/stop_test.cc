#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE("clients that come and go while the server stops do not hold it up", "[wire][stop]") {
  for (int round = 0; round < 20; ++round) {
    TestServer brief;
    Client gone = brief.Connect();
    Client asking = brief.Connect();
    gone.ExpectNothing();
    asking.ExpectNothing();
    asking.Send("get a\r\n");
    gone.Close();
    brief.RequestStop();
    asking.Expect("END\r\n").ExpectClosed();
  }
}

TEST_CASE_METHOD(WireTest, "requests that have come when the server stops are answered",
                 "[wire][stop]") {
  std::vector<Client> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(server.Connect());
    clients.back().ExpectNothing();
  }
  std::string requests;
  std::string replies;
  for (int i = 0; i < 100; ++i) {
    requests += SetRequest("a", "x") + "delete b\r\n";
    replies += "STORED\r\nNOT_FOUND\r\n";
  }
  for (Client& each : clients) each.Send(requests);
  server.RequestStop();
  for (Client& each : clients) each.Expect(replies).ExpectClosed();
  server.Join();
}

TEST_CASE_METHOD(WireTest, "a reply under way when the server stops is sent to its end",
                 "[wire][stop]") {
  const std::string value = PatternBytes(1000000, 1);
  client.Send(SetRequest("a", value)).Expect("STORED\r\n");
  Client slow = server.ConnectSlow();
  std::string gets;
  for (int i = 0; i < 10; ++i) gets += "get a\r\n";
  slow.SendWithoutReading(gets);
  server.Settle();
  server.RequestStop();
  for (int i = 0; i < 10; ++i) slow.Expect(ValueReply("a", value) + "END\r\n");
  slow.ExpectClosed();
}

TEST_CASE_METHOD(WireTest, "a client that never reads does not keep the server from stopping",
                 "[wire][stop]") {
  client.Send(SetRequest("a", PatternBytes(1000000, 1))).Expect("STORED\r\n");
  Client slow = server.ConnectSlow();
  slow.SendWithoutReading("get a a a a a a a a a a a a a a a a a a a a a a a a a a\r\n");
  Client half = server.Connect();
  half.Send("set b 0 0 1000\r\nabc").ExpectSilence();
  server.RequestStop();
  server.Join();
  client.ExpectClosed();
}

}  // namespace
}  // namespace larder::wire
