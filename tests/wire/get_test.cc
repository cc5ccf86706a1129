#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "get answers END for a key that is absent", "[wire][get]") {
  client.Send("get a\r\n").Expect("END\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "get answers flags, length and value", "[wire][get]") {
  client.Send("set a 7 0 3\r\nabc\r\n").Expect("STORED\r\n");
  client.Send("get a\r\n").Expect("VALUE a 7 3\r\nabc\r\nEND\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "get answers keys in the order asked and leaves misses out",
                 "[wire][get]") {
  client.Send("set a 1 0 1\r\na\r\nset c 3 0 1\r\nc\r\n").Expect("STORED\r\nSTORED\r\n");
  client.Send("get c b a\r\n").Expect("VALUE c 3 1\r\nc\r\nVALUE a 1 1\r\na\r\nEND\r\n");
}

TEST_CASE_METHOD(WireTest, "get answers a key as often as it is named", "[wire][get]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("get a a b a\r\n")
      .Expect(ValueReply("a", "x") + ValueReply("a", "x") + ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "get takes runs of spaces and a bare line feed", "[wire][get]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("get  a   a  \n").Expect(ValueReply("a", "x") + ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "a key of get may be called noreply", "[wire][get]") {
  client.Send(SetRequest("noreply", "x")).Expect("STORED\r\n");
  client.Send("get b noreply\r\n").Expect(ValueReply("noreply", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "get without a key is a bad line", "[wire][get]") {
  for (const char* request : {"get\r\n", "get \r\n", "gets\r\n", "gets   \r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect(kBadLine).ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "get answers an empty value", "[wire][get]") {
  client.Send("set a 0 0 0\r\n\r\n").Expect("STORED\r\n");
  client.Send("get a\r\n").Expect("VALUE a 0 0\r\n\r\nEND\r\n");
}

TEST_CASE_METHOD(WireTest, "a value may hold line ends and zero bytes", "[wire][get]") {
  const std::string value("\r\nEND\r\n\0\xff\r\n", 11);
  client.Send(SetRequest("a", value)).Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", value) + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "a key may hold any byte but space and line feed", "[wire][get]") {
  std::string key;
  for (int byte = 0; byte < 256; ++byte) {
    if (byte != ' ' && byte != '\n') key += static_cast<char>(byte);
  }
  for (const std::string& part : {key.substr(0, 127), key.substr(127)}) {
    client.Send(SetRequest(part, "x")).Expect("STORED\r\n");
    client.Send("get " + part + "\r\n").Expect(ValueReply(part, "x") + "END\r\n");
  }
}

TEST_CASE_METHOD(WireTest, "only the last carriage return of a line is no part of the key",
                 "[wire][get]") {
  client.Send("set a\r 0 0 1\r\nx\r\n").Expect("STORED\r\n");
  client.Send("get a\r\r\n").Expect("VALUE a\r 0 1\r\nx\r\nEND\r\n");
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "what one connection stored another one gets", "[wire][get]") {
  std::vector<Client> others;
  for (int i = 0; i < 5; ++i) others.push_back(server.Connect());
  client.Send(SetRequest("a", "x", 5)).Expect("STORED\r\n");
  for (Client& other : others) {
    other.Send("get a\r\n").Expect(ValueReply("a", "x", 5) + "END\r\n");
  }
}

TEST_CASE_METHOD(WireTest, "gets adds the CAS that the item had since it was stored",
                 "[wire][gets]") {
  client.Send(SetRequest("a", "x", 7)).Expect("STORED\r\n");
  const std::string cas = client.CasOf("a");
  CHECK(std::stoull(cas) > 0);
  client.Send("gets a\r\n").Expect("VALUE a 7 1 " + cas + "\r\nx\r\nEND\r\n");
  client.Send("get a\r\n").Expect("VALUE a 7 1\r\nx\r\nEND\r\n");
}

TEST_CASE_METHOD(WireTest, "gets answers each of several keys with its own CAS", "[wire][gets]") {
  client.Send(SetRequest("a", "x") + SetRequest("b", "y")).Expect("STORED\r\nSTORED\r\n");
  const std::string cas_a = client.CasOf("a");
  const std::string cas_b = client.CasOf("b");
  CHECK(cas_a != cas_b);
  client.Send("gets a zz b\r\n")
      .Expect("VALUE a 0 1 " + cas_a + "\r\nx\r\nVALUE b 0 1 " + cas_b + "\r\ny\r\nEND\r\n");
}

TEST_CASE("the first items of a new server have the CAS 1 and 2", "[wire][gets]") {
  TestServer server;
  Client client = server.Connect();
  client.Send(SetRequest("a", "x") + SetRequest("b", "y")).Expect("STORED\r\nSTORED\r\n");
  client.Send("gets a b\r\n").Expect("VALUE a 0 1 1\r\nx\r\nVALUE b 0 1 2\r\ny\r\nEND\r\n");
}

TEST_CASE("with CAS off gets prints 0", "[wire][gets]") {
  TestServer server([](Config& config) { config.use_cas = false; });
  Client client = server.Connect();
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("gets a\r\n").Expect("VALUE a 0 1 0\r\nx\r\nEND\r\n");
}

}  // namespace
}  // namespace larder::wire
