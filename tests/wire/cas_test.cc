#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

std::string Cas(std::string_view key, std::string_view value, const std::string& unique,
                std::uint32_t flags = 0) {
  return StorageRequest(
      {.verb = "cas", .key = key, .value = value, .flags = flags, .rest = unique});
}

TEST_CASE_METHOD(WireTest, "cas stores when the item is unchanged", "[wire][cas]") {
  client.Send(SetRequest("a", "x", 7)).Expect("STORED\r\n");
  client.Send(Cas("a", "y", client.CasOf("a"), 2)).Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "y", 2) + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "cas leaves an item that has changed", "[wire][cas]") {
  client.Send(SetRequest("a", "x", 7)).Expect("STORED\r\n");
  const std::string cas = client.CasOf("a");
  client.Send(Cas("a", "z", std::to_string(std::stoull(cas) + 1))).Expect("EXISTS\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "x", 7) + "END\r\n");
  client.Send(Cas("a", "y", cas)).Expect("STORED\r\n");
  client.Send(Cas("a", "z", cas)).Expect("EXISTS\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "y") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "cas finds no key that is absent", "[wire][cas]") {
  client.Send(Cas("a", "x", "1")).Expect("NOT_FOUND\r\n");
  client.Send(Cas("a", "x", "0")).Expect("NOT_FOUND\r\n");
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "a unique of 0 fits no item", "[wire][cas]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send(Cas("a", "y", "0")).Expect("EXISTS\r\n");
}

TEST_CASE_METHOD(WireTest, "the greatest unique is a number as any other", "[wire][cas]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send(Cas("a", "y", "18446744073709551615")).Expect("EXISTS\r\n");
}

TEST_CASE_METHOD(WireTest, "a unique may have leading zeros", "[wire][cas]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send(Cas("a", "y", "0" + client.CasOf("a"))).Expect("STORED\r\n");
}

TEST_CASE_METHOD(WireTest, "a bad unique is a bad line that takes its value along", "[wire][cas]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const std::string cas = client.CasOf("a");
  for (const std::string& unique : {std::string("x"), std::string("-1"), "+" + cas, cas + ".0",
                                    std::string("18446744073709551616"), std::string(23, '0')}) {
    CAPTURE(unique);
    client.Send("cas a 0 0 2 " + unique + "\r\nmn\r\n").Expect(kBadLine).ExpectNothing();
  }
  client.Send("cas a 0 0 2\r\nmn\r\n").Expect(kBadLine).ExpectNothing();
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "cas with a bad length does not take a value along", "[wire][cas]") {
  client.Send("cas a 0 0 x 5\r\nmn\r\n").Expect(kBadLine).Expect("MN\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "cas with noreply stores or not in silence", "[wire][cas]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const std::string cas = client.CasOf("a");
  client.Send("cas a 0 0 1 99999 noreply\r\ny\r\n").ExpectNothing();
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  client.Send("cas a 0 0 1 " + cas + " noreply\r\nz\r\ncas b 0 0 1 1 noreply\r\nz\r\n");
  client.ExpectNothing();
  client.Send("get a b\r\n").Expect(ValueReply("a", "z") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "noreply in place of the unique is an error in silence", "[wire][cas]") {
  client.Send("cas a 0 0 2 noreply\r\nmn\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "every store changes the CAS", "[wire][cas]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  for (const char* verb : {"set", "replace", "append", "prepend"}) {
    CAPTURE(verb);
    const std::string before = client.CasOf("a");
    client.Send(StorageRequest({.verb = verb, .key = "a", .value = "y"})).Expect("STORED\r\n");
    client.Send(Cas("a", "z", before)).Expect("EXISTS\r\n");
  }
}

TEST_CASE_METHOD(WireTest, "incr and decr change the CAS", "[wire][cas]") {
  client.Send(SetRequest("a", "9")).Expect("STORED\r\n");
  for (const char* request : {"incr a 1\r\n", "incr a 1\r\n", "decr a 1\r\n", "decr a 0\r\n"}) {
    CAPTURE(request);
    const std::string before = client.CasOf("a");
    client.Send(request).ReceiveLine();
    client.Send(Cas("a", "5", before)).Expect("EXISTS\r\n");
  }
}

TEST_CASE_METHOD(WireTest, "touch and gat keep the CAS", "[wire][cas]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const std::string cas = client.CasOf("a");
  client.Send("touch a 100\r\ngat 200 a\r\n").Expect("TOUCHED\r\n" + ValueReply("a", "x"));
  client.Expect("END\r\n");
  CHECK(client.CasOf("a") == cas);
  client.Send(Cas("a", "y", cas)).Expect("STORED\r\n");
}

TEST_CASE_METHOD(WireTest, "a failed store leaves the CAS of the item", "[wire][cas]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const std::string cas = client.CasOf("a");
  client.Send("add a 0 0 1\r\ny\r\n").Expect("NOT_STORED\r\n");
  client.Send(Cas("a", "y", "99999")).Expect("EXISTS\r\n");
  CHECK(client.CasOf("a") == cas);
}

TEST_CASE_METHOD(WireTest, "flush_all does not begin the CAS anew", "[wire][cas]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const auto before = std::stoull(client.CasOf("a"));
  client.Send("flush_all\r\n" + SetRequest("a", "x")).Expect("OK\r\nSTORED\r\n");
  CHECK(std::stoull(client.CasOf("a")) > before);
}

TEST_CASE_METHOD(WireTest, "of two clients with one CAS only the first stores", "[wire][cas]") {
  Client other = server.Connect();
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const std::string cas = client.CasOf("a");
  CHECK(other.CasOf("a") == cas);
  other.Send(Cas("a", "y", cas)).Expect("STORED\r\n");
  client.Send(Cas("a", "z", cas)).Expect("EXISTS\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "y") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "cas works with values that come in pieces", "[wire][cas]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const std::string cas = client.CasOf("a");
  const std::string value = PatternBytes(300000, 3);
  client.Send(Cas("a", value, "99999")).Expect("EXISTS\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  client.Send(Cas("a", value, cas)).Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", value) + "END\r\n");
}

TEST_CASE("with CAS off every cas on a present key is EXISTS", "[wire][cas]") {
  TestServer server([](Config& config) { config.use_cas = false; });
  Client client = server.Connect();
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  for (const char* unique : {"0", "1", "2", "3"}) {
    client.Send(Cas("a", "y", unique)).Expect("EXISTS\r\n");
  }
  client.Send(Cas("b", "y", "0")).Expect("NOT_FOUND\r\n");
  client.Send("incr a 1\r\n").Expect(kNonNumeric);
}

}  // namespace
}  // namespace larder::wire
