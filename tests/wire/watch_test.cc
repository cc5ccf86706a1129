#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"
#include "tests/wire/binary_fixture.h"
#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

// A client that watches, and one whose commands it sees.
struct WatchTest : OneWorker {
  // The next line, without what differs from run to run: ts, gid, cfd and clsid.
  std::string Line(Client& watcher) {
    const std::string line = watcher.ReceiveUntil("\n");
    std::string kept;
    for (std::size_t at = 0; at < line.size();) {
      const std::size_t end = std::min(line.find_first_of(" \n", at), line.size() - 1);
      const std::string word = line.substr(at, end - at);
      at = end + 1;
      const bool differs = word.rfind("ts=", 0) == 0 || word.rfind("gid=", 0) == 0 ||
                           word.rfind("cfd=", 0) == 0 || word.rfind("clsid=", 0) == 0;
      if (differs) continue;
      if (!kept.empty()) kept += ' ';
      kept += word;
    }
    return kept;
  }
  void ExpectLines(Client& watcher, const std::vector<std::string>& lines,
                   int at = __builtin_LINE()) {
    for (const std::string& line : lines) {
      INFO("line " << at);
      CHECK(Line(watcher) == line);
    }
  }
  // No line is left over: the next one is that of a command that leaves one in every stream of
  // commands.
  void ExpectNoMore(Client& watcher) {
    client.Send("get end-of-test\r\n").Expect("END\r\n");
    CHECK(Line(watcher) == "type=item_get key=end-of-test status=not_found size=0");
  }
  Client Watch(const std::string& words) {
    Client watcher = server.Connect();
    watcher.Send("watch" + words + "\r\n").Expect("OK\r\n");
    return watcher;
  }
};

std::string Got(const std::string& key, const std::string& status, int size) {
  return "type=item_get key=" + key + " status=" + status + " size=" + std::to_string(size);
}
std::string Stored(const std::string& key, const std::string& command, int ttl, int size,
                   const std::string& status = "stored") {
  return "type=item_store key=" + key + " status=" + status + " cmd=" + command +
         " ttl=" + std::to_string(ttl) + " size=" + std::to_string(size);
}
std::string Deleted(const std::string& key, const std::string& command, int size) {
  return "type=deleted key=" + key + " cmd=" + command + " size=" + std::to_string(size);
}

TEST_CASE_METHOD(WatchTest, "the answers to watch", "[wire][watch]") {
  server.Connect().Send("watch nothing\r\n").Expect("ERROR\r\n").ExpectNothing();
  server.Connect().Send("watch fetchers nothing\r\n").Expect("ERROR\r\n").ExpectNothing();
  server.Connect().Send("WATCH\r\n").Expect("ERROR\r\n").ExpectNothing();
  server.Connect().Send("watch\n").Expect("OK\r\n");
  // Answers to what came before are sent first.
  server.Connect().Send("get a\r\nmn\r\nwatch\r\n").Expect("END\r\nMN\r\nOK\r\n");
}

TEST_CASE_METHOD(WatchTest, "what each command leaves for fetchers, mutations and deletions",
                 "[wire][watch]") {
  Client watcher = Watch(" fetchers mutations deletions");
  client.Send("get k\r\n" + SetRequest("k", "1") + "get k\r\n");
  client.Expect("END\r\nSTORED\r\n" + ValueReply("k", "1") + "END\r\n");
  ExpectLines(watcher, {Got("k", "not_found", 0), Got("k", "not_found", 0),
                        Stored("k", "set", 0, 1), Got("k", "found", 1)});
  SECTION("stores") {
    client.Send("add k 0 100 2\r\nxx\r\nreplace k 0 -1 2\r\n11\r\nreplace k 0 0 1\r\n1\r\n");
    client.Expect("NOT_STORED\r\nSTORED\r\nNOT_STORED\r\n");
    ExpectLines(watcher, {Got("k", "found", 1), Stored("k", "add", 100, 2, "not_stored"),
                          Got("k", "found", 1), Stored("k", "replace", -1, 2),
                          Got("k", "expired", 0), Stored("k", "replace", 0, 1, "not_stored")});
  }
  SECTION("what is joined has the old expiry and the whole size") {
    client.Send("set k 0 100 1\r\n1\r\nappend k 0 5 2\r\n23\r\nprepend k 0 0 1\r\n0\r\n");
    client.Send("append other 0 0 2\r\n23\r\n");
    client.Expect("STORED\r\nSTORED\r\nSTORED\r\nNOT_STORED\r\n");
    ExpectLines(watcher, {Got("k", "found", 1), Stored("k", "set", 100, 1), Got("k", "found", 1),
                          Stored("k", "append", 100, 3), Got("k", "found", 3),
                          Stored("k", "prepend", 100, 4), Got("other", "not_found", 0),
                          Stored("other", "append", 0, 2, "not_stored")});
  }
  SECTION("cas") {
    client.Send("cas nix 0 0 1 5\r\nx\r\ncas k 0 0 1 99999\r\nx\r\n");
    client.Expect("NOT_FOUND\r\nEXISTS\r\n");
    ExpectLines(watcher, {Got("nix", "not_found", 0), Stored("nix", "cas", 0, 1, "not_found"),
                          Got("k", "found", 1), Stored("k", "cas", 0, 1, "exists")});
  }
  SECTION("touch and gat") {
    client.Send("touch k 100\r\ngat 0 k none\r\n");
    client.Expect("TOUCHED\r\n" + ValueReply("k", "1") + "END\r\n");
    ExpectLines(watcher, {Got("k", "found", 1), Got("k", "found", 1), Got("none", "not_found", 0)});
  }
  SECTION("numbers") {
    client.Send("incr k 1\r\ndecr none 1\r\n" + SetRequest("t", "x") + "incr t 1\r\n");
    client.Expect("2\r\nNOT_FOUND\r\nSTORED\r\n" + std::string(kNonNumeric));
    ExpectLines(watcher,
                {Got("k", "found", 1), Got("none", "not_found", 0), Got("t", "not_found", 0),
                 Stored("t", "set", 0, 1), Got("t", "found", 1)});
    client.Send("ma k\r\nma none\r\nma new N60 J5\r\n").Expect("HD\r\nNF\r\nHD\r\n");
    ExpectLines(watcher,
                {Got("k", "found", 1), Got("none", "not_found", 0), Got("new", "not_found", 0),
                 Got("new", "not_found", 0), Stored("new", "add", 60, 1)});
  }
  SECTION("delete") {
    client.Send("delete k\r\ndelete k\r\n").Expect("DELETED\r\nNOT_FOUND\r\n");
    ExpectLines(watcher,
                {Got("k", "found", 1), Deleted("k", "delete", 1), Got("k", "not_found", 0)});
  }
  SECTION("meta commands") {
    client.Send("mg k v\r\nmg new N30\r\nme k\r\nms k 3 T9\r\nabc\r\nms k 1 C77\r\nx\r\n");
    client.ReceiveUntil("EX\r\n");
    ExpectLines(watcher, {Got("k", "found", 1), Got("new", "not_found", 0), Got("k", "found", 1),
                          Got("k", "found", 1), Stored("k", "set", 9, 3), Got("k", "found", 3),
                          Stored("k", "cas", 0, 1, "exists")});
    client.Send("md none\r\nmd k I\r\nmd k x\r\nmd k\r\n").Expect("NF\r\nHD\r\nHD\r\nHD\r\n");
    ExpectLines(watcher, {Got("none", "not_found", 0), Got("k", "found", 3), Got("k", "found", 3),
                          Got("k", "found", 3), Stored("k", "set", 9, 0), Deleted("k", "md", 3),
                          Got("k", "found", 0), Deleted("k", "md", 0)});
  }
  SECTION("a value that is refused, and one that ends badly") {
    client.Send("set k 0 0 2000000\r\n" + std::string(2'000'000, 'x') + "\r\n").Expect(kTooLarge);
    ExpectLines(watcher, {Stored("k", "set", 0, 0, "too_large"), Got("k", "found", 1)});
    // The rest of the line is one of its own.
    client.Send("set k 0 0 1\r\nxx\r\n");
    client.Expect(std::string(kBadDataChunk) + std::string(kBadLine));
  }
  SECTION("a value that arrives in pieces") {
    client.Send("set k 0 7 300000\r\n" + std::string(300'000, 'x') + "\r\n").Expect("STORED\r\n");
    ExpectLines(watcher, {Got("k", "found", 1), Stored("k", "set", 7, 300'000)});
    client.SendInPieces({"set s 0 0 3\r\na", "bc\r\n"}).Expect("STORED\r\n");
    ExpectLines(watcher, {Got("s", "not_found", 0), Stored("s", "set", 0, 3)});
  }
  SECTION("flush_all and lines that are no commands") {
    client.Send("flush_all\r\nnothing\r\nget k\r\n").Expect("OK\r\nERROR\r\nEND\r\n");
    ExpectLines(watcher, {Got("k", "flushed", 0)});
  }
  ExpectNoMore(watcher);
}

TEST_CASE_METHOD(WatchTest, "keys are percent-encoded, also those in base64", "[wire][watch]") {
  Client watcher = Watch(" mutations");
  client.Send(SetRequest(std::string(250, '#'), "1") + "ms YSBi 1 b\r\n1\r\n");
  client.Expect("STORED\r\nHD\r\n");
  const std::string line = watcher.ReceiveUntil("\n");
  std::string encoded;
  for (int i = 0; i < 250; ++i) encoded += "%23";
  CHECK(line.find(" key=" + encoded + " ") != std::string::npos);
  CHECK(Line(watcher) == Stored("a%20b", "set", 0, 1));
}

TEST_CASE_METHOD(WatchTest, "commands of the binary protocol are seen", "[wire][watch]") {
  Client watcher = Watch(" fetchers mutations deletions");
  BinaryClient binary(server.Connect());
  (void)binary.Ask(StorePacket({.key = "k", .value = "123", .exptime = 100}));
  ExpectLines(watcher, {Got("k", "not_found", 0), Stored("k", "set", 100, 3)});
  (void)binary.Ask(Packet{.opcode = kGet, .key = "k"});
  (void)binary.Ask(Packet{.opcode = kDelete, .key = "k"});
  ExpectLines(watcher, {Got("k", "found", 3), Got("k", "found", 3), Deleted("k", "delete", 3)});
  (void)binary.Ask(ChangePacket({.key = "n", .initial = 12, .exptime = 0}));
  ExpectLines(watcher,
              {Got("n", "not_found", 0), Got("n", "not_found", 0), Stored("n", "add", 0, 2)});
  ExpectNoMore(watcher);
}

TEST_CASE_METHOD(WatchTest, "connections that come and go", "[wire][watch]") {
  Client watcher = Watch(" connevents");
  Client other = server.Connect();
  CHECK_THAT(watcher.ReceiveUntil("\n"),
             Catch::Matches("ts=\\d+\\.\\d{6} gid=\\d+ type=conn_new rip=127.0.0.1 rport=\\d+ "
                            "transport=tcp cfd=\\d+\n"));
  other.Send("quit\r\n").ExpectClosed();
  CHECK(watcher.ReceiveUntil("\n").find("type=conn_close rip=127.0.0.1 rport=") !=
        std::string::npos);
  Client browser = server.Connect();
  CHECK(watcher.ReceiveUntil("\n").find("conn_new") != std::string::npos);
  browser.Send("GET / HTTP/1.1\r\n").ExpectClosed();
  CHECK(watcher.ReceiveUntil("\n").find(" reason=error ") != std::string::npos);
  Client leaver = server.Connect();
  CHECK(watcher.ReceiveUntil("\n").find("conn_new") != std::string::npos);
  leaver.Send("set a 0 0 10\r\n123");
  leaver.Close();
  CHECK(watcher.ReceiveUntil("\n").find(" reason=normal ") != std::string::npos);
}

TEST_CASE("the words for connections of other kinds", "[wire][watch]") {
  const TemporaryFolder folder;
  TestServer server([&](Config& config) {
    config.unix_socket = folder / "socket";
    config.shutdown_command = true;
  });
  Client watcher = server.Connect();
  watcher.Send("watch connevents\r\n").Expect("OK\r\n");
  Client other = server.Connect();
  CHECK(watcher.ReceiveUntil("\n").find(" rip=unix rport=0 transport=local cfd=") !=
        std::string::npos);
  other.Send("shutdown\r\n").ExpectClosed();
  CHECK(watcher.ReceiveUntil("\n").find(" reason=shutdown ") != std::string::npos);
  server.Join();
}

TEST_CASE("a connection that is idle for too long", "[wire][watch]") {
  TestServer server([](Config& config) { config.idle_timeout_s = 2; });
  Client watcher = server.Connect();
  watcher.Send("watch connevents\r\n").Expect("OK\r\n");
  Client other = server.Connect();
  CHECK(watcher.ReceiveUntil("\n").find("conn_new") != std::string::npos);
  server.AdvanceClock(5);
  other.ExpectClosed();
  // The fixture connects as well.
  while (watcher.ReceiveUntil("\n").find(" reason=idle_timeout ") == std::string::npos) {
  }
  // The watcher itself is never idle.
  server.AdvanceClock(50);
  Client last = server.Connect();
  last.Send("quit\r\n").ExpectClosed();
  while (watcher.ReceiveUntil("\n").find(" reason=normal ") == std::string::npos) {
  }
}

TEST_CASE_METHOD(WatchTest, "cfd is the number that stats conns shows", "[wire][watch]") {
  Client watcher = Watch("");
  client.Send("get a\r\n").Expect("END\r\n");
  const std::string line = watcher.ReceiveUntil("\n");
  const std::size_t at = line.find("cfd=") + 4;
  const std::string number = line.substr(at, line.find(' ', at) - at);
  const auto conns = client.Stats("conns");
  REQUIRE(conns.count(number + ":state") == 1);
  CHECK(conns.at(number + ":state") == "conn_parse_cmd");
  Client second = server.Connect();
  second.Send("get a\r\n").Expect("END\r\n");
  CHECK(watcher.ReceiveUntil("\n").find("cfd=" + number + " ") == std::string::npos);
}

TEST_CASE_METHOD(WatchTest, "a watcher stays a connection, and executes nothing", "[wire][watch]") {
  Client watcher = server.Connect();
  watcher.Send("watch mutations\r\n" + SetRequest("ignored", "1")).Expect("OK\r\n");
  watcher.Send(SetRequest("ignored", "1") + "quit\r\n").ExpectSilence();
  client.Send("get ignored\r\n").Expect("END\r\n");
  CHECK(client.Stat("log_watchers") == 1);
  bool is_shown = false;
  for (const auto& [name, value] : client.Stats("conns")) is_shown |= value == "conn_watch";
  CHECK(is_shown);
  watcher.Close();
  for (int tries = 0; client.Stat("log_watchers") != 0; ++tries) REQUIRE(tries < 1000);
}

TEST_CASE("watchers are limited, and can be forbidden", "[wire][watch]") {
  {
    TestServer server;
    std::vector<Client> watchers;
    for (int i = 0; i < 20; ++i) {
      watchers.push_back(server.Connect());
      watchers.back().Send("watch\r\n").Expect("OK\r\n");
    }
    Client late = server.Connect();
    late.Send("watch\r\n").Expect("WATCHER_TOO_MANY log watcher limit reached\r\n");
    late.ExpectNothing();
    watchers.front().Close();
    for (int tries = 0; late.Stat("log_watchers") != 19; ++tries) REQUIRE(tries < 1000);
    late.Send("watch\r\n").Expect("OK\r\n");
  }
  TestServer server([](Config& config) { config.watch_enabled = false; });
  Client client = server.Connect();
  client.Send("watch\r\n").Expect("CLIENT_ERROR watch commands not allowed\r\n");
  client.Send("watch nothing\r\n").Expect("CLIENT_ERROR watch commands not allowed\r\n");
  client.ExpectNothing();
}

TEST_CASE("evictions and what invalidates copies are seen", "[wire][watch]") {
  TestServer server([](Config& config) {
    config.threads = 1;
    config.memory_bytes = 4 << 20;
  });
  Client client = server.Connect();
  Client watcher = server.Connect();
  watcher.Send("watch evictions\r\n").Expect("OK\r\n");
  const std::string value(30'000, 'v');
  client.Send("set k0 0 1000 30000\r\n" + value + "\r\nget k0\r\n");
  client.Expect("STORED\r\n" + ValueReply("k0", value) + "END\r\n");
  for (int i = 1; client.Stat("evictions") == 0; ++i) {
    client.Send(SetRequest("k" + std::to_string(i), value)).Expect("STORED\r\n");
  }
  CHECK_THAT(watcher.ReceiveUntil("\n"),
             Catch::Matches("ts=\\d+\\.\\d{6} gid=\\d+ type=eviction key=k\\d+ fetch=(yes|no) "
                            "ttl=(-1|\\d+) la=0 clsid=\\d+ size=30000\n"));
}

TEST_CASE_METHOD(WatchTest, "the stream of invalidations", "[wire][watch]") {
  Client watcher = Watch(" invalidations");
  client.Send(SetRequest("k", "1") + "incr k 1\r\ntouch k 5\r\nmd k I\r\ndelete k\r\nget k\r\n");
  client.Expect("STORED\r\n2\r\nTOUCHED\r\nHD\r\nDELETED\r\nEND\r\n");
  const auto invalid = [](const std::string& cause) {
    return "type=invalidated key=k cause=" + cause;
  };
  ExpectLines(watcher, {invalid("set"), invalid("incr"), invalid("touch"), invalid("delete"),
                        invalid("delete")});
  client.Send("flush_all\r\ndrop us/er:\r\n").Expect("OK\r\nOK\r\n");
  ExpectLines(watcher, {"type=flushed", "type=dropped prefix=us%2Fer%3A"});
  client.Send("set k 0 1 1\r\n1\r\n").Expect("STORED\r\n");
  server.AdvanceClock(2);
  client.Send("get k\r\n").Expect("END\r\n");
  ExpectLines(watcher, {invalid("set"), invalid("expired")});
  // A flush that is due later.
  client.Send("flush_all 5\r\n").Expect("OK\r\n");
  server.AdvanceClock(10);
  ExpectLines(watcher, {"type=flushed"});
}

TEST_CASE_METHOD(WatchTest, "the streams of misses and of slow commands", "[wire][watch]") {
  Client misses = Watch(" misses");
  client.Send("get never\r\n" + SetRequest("k", "1") + "delete k\r\nget k\r\nmg k v\r\n");
  client.Expect("END\r\nSTORED\r\nDELETED\r\nEND\r\nEN\r\n");
  ExpectLines(misses, {"type=miss key=never cause=not_seen", "type=miss key=k cause=deleted",
                       "type=miss key=k cause=deleted"});
  misses.Close();
  // With a limit of 0 every command is slow.
  Client slow = Watch(" slow slow=0 key=a");
  client.Send("get a\r\nmn\r\ngat 0 a\r\n" + SetRequest("a", "1"));
  client.Expect("END\r\nMN\r\nEND\r\nSTORED\r\n");
  for (const std::string command : {"get", "gat", "set"}) {
    CHECK_THAT(slow.ReceiveUntil("\n"), Catch::Matches("ts=\\d+\\.\\d{6} gid=\\d+ type=slow cmd=" +
                                                       command + " key=a us=\\d+ cfd=\\d+\n"));
  }
}

TEST_CASE_METHOD(WatchTest, "a watcher gets what passes its conditions", "[wire][watch]") {
  Client watcher = Watch(" mutations fetchers prefix=a%3A status=found");
  client.Send("get a:1 b:1\r\n" + SetRequest("a:1", "1") + SetRequest("b:1", "1") +
              "get a:1 b:1\r\n");
  client.ReceiveUntil("b:1 0 1\r\n1\r\nEND\r\n");
  ExpectLines(watcher, {Got("a%3A1", "found", 1)});
  watcher.ExpectSilence();
}

TEST_CASE("a watcher that does not read loses lines and is told", "[wire][watch]") {
  TestServer server([](Config& config) {
    config.threads = 2;
    config.watcher_log_kilobytes = 8;
  });
  Client watcher = server.ConnectSlow();
  watcher.Send("watch\r\n").Expect("OK\r\n");
  Client client = server.Connect();
  const std::string get = "get " + std::string(200, 'k') + "\r\n";
  while (client.Stat("log_watcher_skipped") == 0) {
    for (int i = 0; i < 1000; ++i) client.Send(get).Expect("END\r\n");
  }
  // It reads again. For each line that it reads there is a new one, which has room soon.
  std::string line;
  do {
    client.Send(get).Expect("END\r\n");
    line = watcher.ReceiveUntil("\n");
    REQUIRE((line.rfind("ts=", 0) == 0 || line.rfind("skipped=", 0) == 0));
  } while (line.rfind("skipped=", 0) != 0);
  CHECK(std::stoull(line.substr(8)) > 0);
  CHECK_THAT(watcher.ReceiveUntil("\n"),
             Catch::Matches("ts=\\d+\\.\\d{6} gid=\\d+ type=item_get .*\n"));
}

}  // namespace
}  // namespace larder::wire
