#include <string>

#include "tests/temporary_folder.h"
#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

constexpr std::string_view kTooMany = "SERVER_ERROR too many drops\r\n";

TEST_CASE_METHOD(WireTest, "drop makes a miss of every key with the prefix", "[wire][drop]") {
  client.Send(SetRequest("user:1:name", "a") + SetRequest("user:1", "b") +
              SetRequest("user:12:name", "c") + SetRequest("user:2:name", "d"));
  client.Expect("STORED\r\nSTORED\r\nSTORED\r\nSTORED\r\n");
  client.Send("drop user:1:\r\nget user:1:name user:1 user:12:name user:2:name\r\n")
      .Expect("OK\r\n" + ValueReply("user:1", "b") + ValueReply("user:12:name", "c") +
              ValueReply("user:2:name", "d") + "END\r\n");
  // What is written afterwards stays, also over the same connection in one piece.
  client.Send("drop user:1\r\n" + SetRequest("user:1", "e") + "get user:1 user:12:name\r\n")
      .Expect("OK\r\nSTORED\r\n" + ValueReply("user:1", "e") + "END\r\n");
  // Other clients see the same.
  server.Connect()
      .Send("get user:1 user:2:name\r\n")
      .Expect(ValueReply("user:1", "e") + ValueReply("user:2:name", "d") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "every command misses what was dropped", "[wire][drop]") {
  const std::string set = SetRequest("k", "5");
  for (const auto& [request, reply] : {
           std::pair{"get k\r\n", "END\r\n"},
           std::pair{"gat 0 k\r\n", "END\r\n"},
           std::pair{"incr k 1\r\n", "NOT_FOUND\r\n"},
           std::pair{"append k 0 0 1\r\n1\r\n", "NOT_STORED\r\n"},
           std::pair{"replace k 0 0 1\r\n1\r\n", "NOT_STORED\r\n"},
           std::pair{"touch k 0\r\n", "NOT_FOUND\r\n"},
           std::pair{"delete k\r\n", "NOT_FOUND\r\n"},
           std::pair{"add k 0 0 1\r\n1\r\n", "STORED\r\n"},
           std::pair{"mg k v\r\n", "EN\r\n"},
           std::pair{"ma k\r\n", "NF\r\n"},
           std::pair{"md k\r\n", "NF\r\n"},
           std::pair{"me k\r\n", "EN\r\n"},
       }) {
    CAPTURE(request);
    client.Send(set + "drop k\r\n" + request).Expect("STORED\r\nOK\r\n" + std::string(reply));
  }
}

TEST_CASE_METHOD(WireTest, "drop with noreply, and bad lines", "[wire][drop]") {
  client.Send(SetRequest("k", "v") + "drop k noreply\r\nget k\r\n").Expect("STORED\r\nEND\r\n");
  client.Send("drop\r\n").Expect(kBadLine);
  client.Send(SetRequest("user:7", "v") + "drop user: 7\r\ndrop user: 7 noreply\r\nget user:7\r\n")
      .Expect("STORED\r\n" + std::string(kBadLine) + ValueReply("user:7", "v") + "END\r\n");
  client.Send("drop " + std::string(251, 'k') + "\r\n").Expect(kBadLine);
  client.Send("drop " + std::string(250, 'k') + "\r\n").Expect("OK\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "md with p drops", "[wire][drop]") {
  client.Send(SetRequest("ab", "1") + SetRequest("b", "1") + "md a p\r\nmg ab v\r\nmg b v\r\n");
  client.Expect("STORED\r\nSTORED\r\nHD\r\nEN\r\nVA 1\r\n1\r\n");
  client.Send("md a p k O123\r\n").Expect("HD ka O123\r\n");
  client.Send("md a p q\r\nmn\r\n").Expect("MN\r\n");
  // In base64: "b".
  client.Send("md Yg== p b k\r\nmg b v\r\n").Expect("HD kYg== b\r\nEN\r\n");
  // No other command knows the flag.
  for (const char* request : {"mg a p\r\n", "ma a p\r\n"}) {
    CAPTURE(request);
    client.Send(request).ExpectMatch("CLIENT_ERROR .*\r\n");
  }
  client.Send("ms a 1 p\r\nx\r\n").Expect("CLIENT_ERROR invalid flag\r\n").ExpectNothing();
  // What is meant for one item drops no group.
  client.Send(SetRequest("ab", "1")).Expect("STORED\r\n");
  for (const char* flag : {"C1", "E1", "I", "T1", "x"}) {
    CAPTURE(flag);
    client.Send("md a p " + std::string(flag) + "\r\nmg ab\r\n")
        .Expect("CLIENT_ERROR invalid flag\r\nHD\r\n");
  }
  client.Send("md a p p\r\n").Expect("CLIENT_ERROR duplicate flag\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "misses and explain tell of a drop", "[wire][drop]") {
  client.Send(SetRequest("kept", "v") + SetRequest("gone:1", "v") + SetRequest("gone:2", "v"));
  client.Expect("STORED\r\nSTORED\r\nSTORED\r\n");
  server.AdvanceClock(3);
  client.Send("drop gone:\r\n").Expect("OK\r\n");
  server.AdvanceClock(2);
  client.Send("get gone:1 gone:1 kept\r\n").Expect(ValueReply("kept", "v") + "END\r\n");
  client.Send("explain gone:1\r\n")
      .ExpectMatch("EXPLAIN gone:1 dropped cls=\\d+ age=3 idle=3 ago=2\r\n");
  client.Send("explain gone:2\r\n")
      .ExpectMatch("EXPLAIN gone:2 dropped cls=\\d+ age=3 idle=3 ago=2\r\n");
  CHECK(client.Stat("get_misses_dropped") == 2);
  CHECK(client.Stat("get_misses") == 2);
  CHECK(client.Stat("cmd_drop") == 1);
}

TEST_CASE_METHOD(WireTest, "dropped items and their drop go by themselves", "[wire][drop]") {
  std::string request;
  for (int i = 0; i < 100; ++i) {
    request += "set key" + std::to_string(i) + " 0 0 1 noreply\r\nv\r\n";
  }
  client.Send(request + "drop key1\r\n").Expect("OK\r\n");
  // Turns of the background thread come many times a second.
  for (int tries = 0; client.Stat("curr_drops") != 0; ++tries) {
    REQUIRE(tries < 10'000);
    server.PassTurns(1);
  }
  CHECK(client.Stat("curr_items") == 100 - 11);
}

TEST_CASE("drops have a limit", "[wire][drop]") {
  TestServer server([](Config& config) { config.drops_max = 0; });
  Client client = server.Connect();
  client.Send(SetRequest("k", "v") + "drop k\r\nmd k p\r\ndrop k noreply\r\nget k\r\n")
      .Expect("STORED\r\n" + std::string(kTooMany) + std::string(kTooMany) + ValueReply("k", "v") +
              "END\r\n");
  CHECK(client.Stats("settings").at("drops_max") == "0");
}

TEST_CASE("with --drop-admin, clients of this machine may drop", "[wire][drop]") {
  const TemporaryFolder folder;
  TestServer server([&](Config& config) {
    config.drop_admin = true;
    config.unix_socket = folder / "socket";
  });
  Client client = server.Connect();
  client.Send(SetRequest("k", "v") + "drop k\r\nget k\r\n").Expect("STORED\r\nOK\r\nEND\r\n");
  client.Send(SetRequest("k", "v") + "md k p\r\nget k\r\n").Expect("STORED\r\nHD\r\nEND\r\n");
  CHECK(client.Stats("settings").at("drop_admin") == "yes");
}

}  // namespace
}  // namespace larder::wire
