// lru_crawler metadump and mgdump.

#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/wire/binary_fixture.h"
#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

constexpr int kManyItems = 20'000;

std::string DumpedKey(int number) { return "key" + std::to_string(number); }

// Stores DumpedKey(first) and so on.
void SetMany(Client& client, int first, int count, std::size_t value_bytes = 20) {
  const std::string value = PatternBytes(value_bytes, 1);
  std::string requests;
  for (int number = first; number < first + count; ++number) {
    requests += "set " + DumpedKey(number) + " 0 0 " + std::to_string(value_bytes) +
                " noreply\r\n" + value + "\r\n";
  }
  client.Send(requests).ExpectNothing();
}

// How often each key stands in a metadump, which has to be in good form as a whole.
std::map<std::string, int> KeysOf(std::string_view dump) {
  REQUIRE(dump.starts_with("OK\r\n"));
  REQUIRE(dump.ends_with("END\r\n"));
  dump.remove_prefix(4);
  dump.remove_suffix(5);
  std::map<std::string, int> keys;
  while (!dump.empty()) {
    const std::size_t end = dump.find('\n');
    REQUIRE(end != std::string_view::npos);
    const std::string line(dump.substr(0, end));
    dump.remove_prefix(end + 1);
    static const std::regex form(
        R"(key=(\S+) exp=(?:-1|\d+) la=\d+ cas=\d+ fetch=(?:yes|no) cls=\d+ size=\d+ flags=\d+ )");
    std::smatch match;
    CAPTURE(line);
    REQUIRE(std::regex_match(line, match, form));
    ++keys[match[1]];
  }
  return keys;
}

void CheckEachOnce(const std::map<std::string, int>& keys, int count) {
  int faults = 0;
  for (int number = 0; number < count; ++number) {
    const auto found = keys.find(DumpedKey(number));
    if (found == keys.end() || found->second != 1) ++faults;
  }
  CHECK(faults == 0);
}

// --- Forms -------------------------------------------------------------------------------------

TEST_CASE_METHOD(WireTest, "dumps of an empty cache are empty", "[wire][dump]") {
  for (const char* classes : {"all", "hash", "1", "1,2,127"}) {
    CAPTURE(classes);
    client.Send("lru_crawler metadump " + std::string(classes) + "\r\n").Expect("OK\r\nEND\r\n");
    client.Send("lru_crawler mgdump " + std::string(classes) + "\r\n").Expect("OK\r\nEN\r\n");
  }
}

TEST_CASE_METHOD(WireTest, "metadump shows what an item is", "[wire][dump]") {
  client.Send("set a%b 7 0 3\r\nabc\r\n").Expect("STORED\r\n");
  const std::string now = client.Stats().at("time");
  const std::string cas = client.CasOf("a%b");
  const std::string slab_class = client.Stats("items").begin()->first.substr(6, 1);
  client.Send("lru_crawler metadump hash\r\n")
      .ExpectMatch("OK\r\nkey=a%25b exp=-1 la=" + now.substr(0, now.size() - 1) + "\\d cas=" + cas +
                   " fetch=yes cls=" + slab_class + " size=34 flags=7 \nEND\r\n");
  client.Send("delete a%b\r\nset c 0 100 1\r\nx\r\n").Expect("DELETED\r\nSTORED\r\n");
  client.Send("lru_crawler metadump all\r\n")
      .ExpectMatch(
          "OK\r\nkey=c exp=\\d{10} la=\\d{10} cas=\\d+ fetch=no cls=1 size=30 flags=0 \n"
          "END\r\n");
}

TEST_CASE("metadump shows no CAS where there is none", "[wire][dump]") {
  TestServer server([](Config& config) { config.use_cas = false; });
  Client client = server.Connect();
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("lru_crawler metadump all\r\n").ExpectMatch("OK\r\nkey=a .* cas=0 .* \nEND\r\n");
}

TEST_CASE_METHOD(WireTest, "mgdump shows keys to be sent back", "[wire][dump]") {
  client.Send(SetRequest("a%b", "x")).Expect("STORED\r\n");
  client.Send("lru_crawler mgdump all\r\n").Expect("OK\r\nmg a%b\r\nEN\r\n");
  client.Send("delete a%b\r\nms YWI= 1 b\r\nx\r\n").Expect("DELETED\r\nHD\r\n");
  client.Send("lru_crawler mgdump hash\r\n").Expect("OK\r\nmg YWI= b\r\nEN\r\n");
  client.Send("mg YWI= b v\r\n").Expect("VA 1\r\nx\r\n");
  client.Send("lru_crawler metadump hash\r\n").ExpectMatch("OK\r\nkey=ab .* \nEND\r\n");
}

TEST_CASE_METHOD(BinaryTest, "a key that no line can hold stands in no line of a dump",
                 "[wire][dump][binary]") {
  const std::string key("a b\r\nEN\r\n\0", 10);
  client.Set(key, "x");
  text.Send("lru_crawler mgdump all\r\n").Expect("OK\r\nmg YSBiDQpFTg0KAA== b\r\nEN\r\n");
  text.Send("mg YSBiDQpFTg0KAA== b v\r\n").Expect("VA 1\r\nx\r\n");
  text.Send("lru_crawler metadump all\r\n")
      .ExpectMatch("OK\r\nkey=a%20b%0D%0AEN%0D%0A%00 .* \nEND\r\n");
}

TEST_CASE_METHOD(WireTest, "dumps leave out what is dead and what is of other classes",
                 "[wire][dump]") {
  client.Send("lru_crawler disable\r\n").Expect("OK\r\n");
  client.Send("set gone 0 5 1\r\nx\r\nset small 0 0 1\r\nx\r\n").Expect("STORED\r\nSTORED\r\n");
  client.Send(SetRequest("medium", PatternBytes(3000, 1))).Expect("STORED\r\n");
  client.Send(SetRequest("large", PatternBytes(700'000, 1))).Expect("STORED\r\n");
  server.AdvanceClock(10);
  client.Send("lru_crawler enable\r\n").Expect("OK\r\n");
  client.Send("lru_crawler mgdump all\r\n");
  std::multiset<std::string> lines;
  for (int i = 0; i < 5; ++i) lines.insert(client.ReceiveLine());
  CHECK(lines == std::multiset<std::string>{"OK\r\n", "mg small\r\n", "mg medium\r\n",
                                            "mg large\r\n", "EN\r\n"});
  client.Send("lru_crawler mgdump 1\r\n").Expect("OK\r\nmg small\r\nEN\r\n");
  client.Send("lru_crawler mgdump 1,2\r\n").Expect("OK\r\nmg small\r\nEN\r\n");
  client.Send("flush_all\r\nlru_crawler mgdump all\r\n").Expect("OK\r\nOK\r\nEN\r\n");
}

TEST_CASE("dumps may be forbidden", "[wire][dump]") {
  TestServer server([](Config& config) { config.dump_enabled = false; });
  Client client = server.Connect();
  client.Send("lru_crawler metadump all\r\n").Expect("ERROR metadump not allowed\r\n");
  client.Send("lru_crawler mgdump all\r\n").Expect("ERROR key dump not allowed\r\n");
}

// --- Order -------------------------------------------------------------------------------------

TEST_CASE_METHOD(WireTest, "requests around a dump are answered in order", "[wire][dump]") {
  SetMany(client, 0, kManyItems);
  client.Send(
      "mn\r\nlru_crawler metadump all\r\nmn\r\nget key7\r\nlru_crawler metadump all\r\n"
      "set z 0 0 3\r\nabc\r\nget z\r\n");
  client.Expect("MN\r\n");
  CheckEachOnce(KeysOf(client.ReceiveUntil("END\r\n")), kManyItems);
  client.Expect("MN\r\n" + ValueReply("key7", PatternBytes(20, 1)) + "END\r\n");
  CheckEachOnce(KeysOf(client.ReceiveUntil("END\r\n")), kManyItems);
  client.Expect("STORED\r\n" + ValueReply("z", "abc") + "END\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a request that is cut behind a dump is served when the rest comes",
                 "[wire][dump]") {
  SetMany(client, 0, kManyItems);
  client.Send("lru_crawler metadump all\r\nget ke");
  CheckEachOnce(KeysOf(client.ReceiveUntil("END\r\n")), kManyItems);
  client.Send("y7\r\n").Expect(ValueReply("key7", PatternBytes(20, 1)) + "END\r\n");
}

TEST_CASE("a dump goes through with one request a turn", "[wire][dump]") {
  TestServer server([](Config& config) { config.requests_per_turn_max = 1; });
  Client client = server.Connect();
  SetMany(client, 0, 5000);
  client.Send("mn\r\nlru_crawler metadump all\r\nmn\r\nmn\r\n").Expect("MN\r\n");
  CheckEachOnce(KeysOf(client.ReceiveUntil("END\r\n")), 5000);
  client.Expect("MN\r\nMN\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a client that has finished sending gets all of its dump",
                 "[wire][dump]") {
  SetMany(client, 0, kManyItems);
  Client other = server.Connect();
  other.Send("lru_crawler metadump all\r\nmn\r\n");
  other.FinishSending();
  CheckEachOnce(KeysOf(other.ReceiveUntil("END\r\n")), kManyItems);
  other.Expect("MN\r\n").ExpectClosed();
}

TEST_CASE_METHOD(WireTest, "quit waits for the dump before it", "[wire][dump]") {
  SetMany(client, 0, kManyItems);
  Client other = server.ConnectSlow();
  other.Send("lru_crawler metadump all\r\nquit\r\n");
  server.Settle();
  CheckEachOnce(KeysOf(other.ReceiveUntil("END\r\n")), kManyItems);
  other.ExpectClosed();
}

// --- Slow readers and others -------------------------------------------------------------------

TEST_CASE_METHOD(OneWorker, "others are served while a dump waits for its reader",
                 "[wire][dump][slow_reader]") {
  SetMany(client, 0, kManyItems);
  Client slow = server.ConnectSlow();
  slow.Send("lru_crawler metadump all\r\n");
  slow.Expect("OK\r\n");
  for (int i = 0; i < 1000; ++i) {
    client.Send("get key7\r\n").Expect(ValueReply("key7", PatternBytes(20, 1)) + "END\r\n");
  }
  const std::uint64_t written_bytes = client.Stat("bytes_written");
  server.Settle();
  CHECK(client.Stat("bytes_written") - written_bytes < 100'000);  // Its dump does not go on.
  CheckEachOnce(KeysOf("OK\r\n" + slow.ReceiveUntil("END\r\n")), kManyItems);
  slow.Send("mn\r\n").Expect("MN\r\n");
}

TEST_CASE_METHOD(OneWorker, "several dumps go on side by side", "[wire][dump]") {
  SetMany(client, 0, kManyItems);
  std::vector<Client> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(i % 2 == 0 ? server.Connect() : server.ConnectSlow());
    clients.back().Send("lru_crawler metadump all\r\n");
  }
  for (Client& each : clients) CheckEachOnce(KeysOf(each.ReceiveUntil("END\r\n")), kManyItems);
}

TEST_CASE_METHOD(OneWorker, "a client that vanishes in the middle of a dump leaves nothing behind",
                 "[wire][dump]") {
  SetMany(client, 0, kManyItems);
  const std::uint64_t connections = client.Stat("curr_connections");
  for (int i = 0; i < 5; ++i) {
    Client slow = server.ConnectSlow();
    slow.Send("lru_crawler metadump all\r\n").Expect("OK\r\n");
    if (i % 2 == 0) {
      slow.Reset();
    } else {
      slow.Close();
    }
  }
  for (int i = 0; i < 1000 && client.Stat("curr_connections") != connections; ++i) {
    server.Settle();
  }
  CHECK(client.Stat("curr_connections") <= connections + 1);  // Settle has one of its own.
  client.Send("lru_crawler metadump all\r\n");
  CheckEachOnce(KeysOf(client.ReceiveUntil("END\r\n")), kManyItems);
}

TEST_CASE_METHOD(OneWorker, "a dump shows what stays, whatever is written meanwhile",
                 "[wire][dump]") {
  SetMany(client, 0, kManyItems);
  Client slow = server.ConnectSlow();
  slow.Send("lru_crawler metadump all\r\n").Expect("OK\r\n");
  // Others come and go, and leave pages and classes.
  const int others = 1'000'000;
  for (int round = 0; round < 5; ++round) {
    SetMany(client, others, 3000, 500);
    SetMany(client, others, 3000, 100);
    std::string deletes;
    for (int i = 0; i < 3000; ++i) deletes += "delete " + DumpedKey(others + i) + " noreply\r\n";
    client.Send(deletes).ExpectNothing();
  }
  CheckEachOnce(KeysOf("OK\r\n" + slow.ReceiveUntil("END\r\n")), kManyItems);
}

TEST_CASE_METHOD(WireTest, "a server stops though a dump is under way", "[wire][dump]") {
  SetMany(client, 0, kManyItems);
  Client slow = server.ConnectSlow();
  slow.Send("lru_crawler metadump all\r\n").Expect("OK\r\n");
  server.RequestStop();
  server.Join();
}

}  // namespace
}  // namespace larder::wire
