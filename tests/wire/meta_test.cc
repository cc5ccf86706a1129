// The meta commands where the reference's vectors do not reach: clocks, sizes, pieces, differences.
#include <string>
#include <vector>

#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "mg answers what it is asked for, in that order", "[wire][meta][mg]") {
  client.Send("ms a 3 E100 F7 T50\r\nabc\r\n").Expect("HD\r\n");
  client.Send("mg a s v t f k Oxyz c h l\r\n");
  client.Expect("VA 3 s3 t50 f7 ka Oxyz c100 h0 l0\r\nabc\r\n");
  server.AdvanceClock(10);
  client.Send("mg a t h l u\r\nmg a l h\r\nmg a h\r\n");
  client.Expect("HD t40 h1 l10\r\nHD l10 h1\r\nHD h1\r\n");
  client.Send("mg a l\r\n").Expect("HD l0\r\n");
  client.Send("set a 0 0 1\r\nx\r\nmg a h\r\n").Expect("STORED\r\nHD h0\r\n");
}

TEST_CASE_METHOD(WireTest, "h tells reads only", "[wire][meta][mg]") {
  client.Send("set a 0 0 1\r\n5\r\n").Expect("STORED\r\n");
  client.Send("incr a 1\r\nma a\r\nadd a 0 0 1\r\nx\r\nms a 1 ME\r\nx\r\n");
  client.Expect("6\r\nHD\r\nNOT_STORED\r\nNS\r\n");
  client.Send("mg a u h\r\n").Expect("HD h0\r\n");
  client.Send("touch a 0\r\nmg a u h\r\n").Expect("TOUCHED\r\nHD h1\r\n");
}

TEST_CASE_METHOD(WireTest, "a use that reads nothing is a use", "[wire][meta][mg]") {
  client.Send("set a 0 0 1\r\n5\r\n").Expect("STORED\r\n");
  server.AdvanceClock(10);
  client.Send("ma a\r\nmg a u l\r\n").Expect("HD\r\nHD l0\r\n");
}

TEST_CASE_METHOD(WireTest, "mg with T is a touch", "[wire][meta][mg]") {
  client.Send("set a 0 10 1\r\nx\r\nmg a t T100 v\r\n").Expect("STORED\r\nVA 1 t10\r\nx\r\n");
  server.AdvanceClock(99);
  client.Send("mg a T-1 v t\r\nmg a\r\n").Expect("VA 1 t0\r\nx\r\nEN\r\n");
  CHECK(client.Stat("cmd_touch") == 2);
  CHECK(client.Stat("touch_hits") == 2);
  CHECK(client.Stat("cmd_get") == 1);
}

TEST_CASE_METHOD(WireTest, "one client is told to fill what is about to expire",
                 "[wire][meta][mg]") {
  client.Send("set a 0 100 1\r\nx\r\nmg a R30\r\n").Expect("STORED\r\nHD\r\n");
  server.AdvanceClock(71);
  client.Send("mg a R30 v\r\nmg a R30 v\r\nmg a\r\n");
  client.Expect("VA 1 W\r\nx\r\nVA 1 Z\r\nx\r\nHD Z\r\n");
  client.Send("ms a 1 T100\r\ny\r\nmg a R30 v\r\n").Expect("HD\r\nVA 1\r\ny\r\n");
}

TEST_CASE("of many clients one wins", "[wire][meta][mg][concurrency]") {
  TestServer server([](Config& config) { config.threads = 4; });
  std::vector<Client> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(server.Connect());
  const auto count_wins = [&](const std::string& request) {
    int wins = 0;
    for (Client& client : clients) client.Send(request);
    for (Client& client : clients) {
      const std::string reply = client.ReceiveLine();
      CHECK(reply.find(" Z") != reply.find(" W"));  // One of them.
      if (reply.ends_with(" W\r\n")) ++wins;
    }
    return wins;
  };
  for (int round = 0; round < 100; ++round) {
    const std::string key = "k" + std::to_string(round);
    REQUIRE(count_wins("mg " + key + " N30\r\n") == 1);
    clients[0].Send("ms " + key + " 1\r\nx\r\nmd " + key + " I\r\n").Expect("HD\r\nHD\r\n");
    REQUIRE(count_wins("mg " + key + "\r\n") == 1);
  }
}

TEST_CASE_METHOD(WireTest, "an item that mg created expires if nobody fills it",
                 "[wire][meta][mg]") {
  client.Send("mg a N30 v t\r\nmg a N30 v t\r\n");
  client.Expect("VA 0 t30 W\r\n\r\nVA 0 t30 Z\r\n\r\n");
  CHECK(client.Stat("curr_items") == 1);
  CHECK(client.Stat("get_misses") == 0);
  server.AdvanceClock(30);
  client.Send("mg a N30\r\n").Expect("HD W\r\n");
  client.Send("mg b N10 T20 t\r\nmg b t\r\n").Expect("HD t20 W\r\nHD t20 Z\r\n");
}

TEST_CASE_METHOD(WireTest, "an invalidated item is filled by one, and late fills stay stale",
                 "[wire][meta][stale]") {
  Client late = server.Connect();
  client.Send("ms a 3 T100\r\nold\r\n").Expect("HD\r\n");
  const std::string seen = late.CasOf("a");
  client.Send("md a I T30\r\nmd nothing I\r\n").Expect("HD\r\nNF\r\n");
  client.Send("mg a v t\r\nmg a v\r\n").Expect("VA 3 t30 X W\r\nold\r\nVA 3 Z X\r\nold\r\n");
  // This client has read the value before it became stale.
  late.Send("ms a 4 C" + seen + "\r\nlate\r\n").Expect("EX\r\n");
  late.Send("ms a 4 I C" + seen + " T999 F5\r\nlate\r\n").Expect("HD\r\n");
  client.Send("mg a v t f\r\n").Expect("VA 4 t30 f5 Z X\r\nlate\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "late", 5) + "END\r\n");
  const std::string now = client.CasOf("a");
  client.Send("ms a 3 C" + now + " T50\r\nnew\r\nmg a v t\r\n");
  client.Expect("HD\r\nVA 3 t50\r\nnew\r\n");
  client.Send("ms a 1 I C99999999999999\r\nx\r\n").Expect("EX\r\n");  // Nobody was given that.
}

TEST_CASE_METHOD(WireTest, "md takes the item, its freshness or its value", "[wire][meta][md]") {
  client.Send("ms a 3 E10 F4 T100\r\nabc\r\nmd a C9 k O1\r\n").Expect("HD\r\nEX ka O1\r\n");
  client.Send("md a x C10\r\nmg a v c t f\r\n").Expect("HD\r\nVA 0 c10 t-1 f0\r\n\r\n");
  client.Send("md a x I T9 F3 E11\r\nmg a c t f\r\n").Expect("HD\r\nHD c11 t9 f3 X W\r\n");
  client.Send("md a q\r\nmd a q\r\nmd a x q\r\n").Expect("NF\r\nNF\r\n").ExpectNothing();
  CHECK(client.Stat("delete_hits") == 1);
  CHECK(client.Stat("delete_misses") == 3);
}

TEST_CASE_METHOD(WireTest, "a CAS that a client chose has 64 bits", "[wire][meta][cas]") {
  const std::string largest = "18446744073709551615";
  const std::string value = GENERATE(std::string("5"), std::string(300'000, '5'));
  const std::string bytes = std::to_string(value.size());
  client.Send("ms a " + bytes + " E" + largest + " c\r\n" + value + "\r\n");
  client.Expect("HD c" + largest + "\r\n");
  CHECK(client.CasOf("a") == largest);
  client.Send("cas a 0 0 1 281474976710655\r\nx\r\n").Expect("EXISTS\r\n");
  client.Send("ms a 1 MA E18446744073709551614 c\r\n5\r\n");
  client.Expect("HD c18446744073709551614\r\n");
  client.Send("md a I E281474976710656 C18446744073709551614\r\n").Expect("HD\r\n");
  client.Send("mg a c s\r\n");
  client.Expect("HD c281474976710656 s" + std::to_string(value.size() + 1) + " X W\r\n");
  client.Send("cas a 0 0 1 281474976710656\r\n7\r\n").Expect("STORED\r\n");
  client.Send("ma a E281474976710657 c v\r\nma a C281474976710657 E0 c\r\n");
  client.Expect("VA 1 c281474976710657\r\n8\r\nHD c0\r\n");
  client.Send("flush_all\r\nmg a\r\n").Expect("OK\r\nEN\r\n");
  client.Send("mg n N0 E281474976710656 c\r\nmg n c\r\n");
  client.Expect("HD c281474976710656 W\r\nHD c281474976710656 Z\r\n");
}

TEST_CASE_METHOD(WireTest, "that an empty value is no number is told before its CAS",
                 "[wire][meta][ma]") {
  client.Send("ms a 0\r\n\r\nma a C99\r\n").Expect("HD\r\n").Expect(kNonNumeric);
  client.Send("ms a 1\r\nx\r\nma a C99\r\n").Expect("HD\r\nEX\r\n");
}

TEST_CASE_METHOD(WireTest, "the E of a store that fails is forgotten", "[wire][meta][cas]") {
  client.Send("ms a 3 E88\r\nabcXY").Expect(kBadDataChunk);
  client.Send("set a 0 0 1\r\nz\r\n").Expect("STORED\r\n");
  CHECK(client.CasOf("a") != "88");
}

TEST_CASE("without CAS numbers C fits nothing, and E gives none", "[wire][meta][cas]") {
  TestServer server([](Config& config) { config.use_cas = false; });
  Client client = server.Connect();
  client.Send("ms a 1 E5 c\r\n1\r\nmg a c\r\n").Expect("HD c0\r\nHD c0\r\n");
  client.Send("ms a 1 C5\r\n1\r\nms a 1 MA C5\r\n1\r\n").Expect("EX\r\nEX\r\n");
  client.Send("md a C5\r\nma a C5\r\nms a 1 I C5\r\n1\r\n").Expect("EX\r\nEX\r\nEX\r\n");
  client.Send("mg a v C5\r\nma a E5 c\r\n").Expect("VA 1\r\n1\r\nHD c0\r\n");
  // It is what every item shows.
  client.Send("mg a v C0\r\nmd a I C0\r\nmd a C0\r\n").Expect("HD\r\nHD\r\nHD\r\n");
}

TEST_CASE_METHOD(WireTest, "ms stores values of any size, in any pieces", "[wire][meta][ms]") {
  const std::size_t bytes = GENERATE(std::size_t{0}, std::size_t{100}, std::size_t{70'000},
                                     std::size_t{200'000}, std::size_t{1'000'000});
  const std::string value = PatternBytes(bytes, 1);
  const std::string size = std::to_string(bytes);
  client.SendInPieces({"ms YW", "I= ", size, " b k F3 T100 s O", "12\r", "\n"});
  client.SendInPieces({std::string_view(value).substr(0, bytes / 2),
                       std::string_view(value).substr(bytes / 2), "\r", "\nmn\r\n"});
  client.Expect("HD kYWI= b s" + size + " O12\r\nMN\r\n");
  client.Send("mg ab v f t k\r\n").Expect("VA " + size + " f3 t100 kYWI= b\r\n");
  CHECK((client.ReceiveBytes(bytes) == value));
  client.Expect("\r\n");
  // Quiet, refused, and with a bad end.
  client.SendInPieces({"ms ab " + size + " q\r\n", value, "\r\n"}).ExpectNothing();
  client.SendInPieces({"ms ab " + size + " ME q c\r\n", value, "\r\n"}).Expect("NS c0\r\n");
  client.SendInPieces({"ms ab " + size + " q k\r\n", value, "XY"}).Expect(kBadDataChunk);
  client.SendInPieces({"ms new " + size + " MA N0 c E5\r\n", value, "\r\n"}).Expect("HD c5\r\n");
  client.Send("mg new s\r\n").Expect("HD s" + size + "\r\n");
}

TEST_CASE_METHOD(WireTest, "ms of too large a value removes the old one", "[wire][meta][ms]") {
  const std::string mode = GENERATE("", " MA", " ME", " MR");
  const std::string bytes = std::to_string((1 << 20) + 1);
  client.Send("set a 0 0 1\r\nx\r\n").Expect("STORED\r\n");
  client.Send("ms a " + bytes + mode + " q\r\n" + std::string((1 << 20) + 1, 'x') + "\r\n");
  client.Expect(kTooLarge);
  client.Send("mg a\r\n").Expect("EN\r\n").ExpectNothing();
  CHECK(client.Stat("store_too_large") == 1);
}

TEST_CASE_METHOD(WireTest, "ms counts as the store that it is", "[wire][meta][ms]") {
  client.Send("ms a 1 E9\r\n1\r\nms a 1 C8\r\n1\r\nms a 1 C9\r\n1\r\nms b 1 C9\r\n1\r\n");
  client.Expect("HD\r\nEX\r\nHD\r\nNF\r\n");
  CHECK(client.Stat("cmd_set") == 4);
  CHECK(client.Stat("cas_hits") == 1);
  CHECK(client.Stat("cas_badval") == 1);
  CHECK(client.Stat("cas_misses") == 1);
  client.Send("me a\r\n").ReceiveLine();
  CHECK(client.Stat("cmd_meta") == 1);
}

TEST_CASE_METHOD(WireTest, "ma counts, creates and keeps what it is not asked to change",
                 "[wire][meta][ma]") {
  client.Send("ms a 2 T100 F6\r\n99\r\nma a v t\r\n").Expect("HD\r\nVA 3 t100\r\n100\r\n");
  client.Send("ma a MD v\r\nget a\r\n").Expect("VA 2\r\n99\r\n" + ValueReply("a", "99 ", 6));
  client.Expect("END\r\n");
  client.Send("ma a t T9 v\r\nmg a t\r\n").Expect("VA 3 t100\r\n100\r\nHD t9\r\n");
  client.Send("ma n N30 J7 D5 v t\r\nma n N30 J7 D5 v t\r\n");
  client.Expect("VA 1 t30\r\n7\r\nVA 2 t30\r\n12\r\n");
  client.Send("ma n MD D100 q\r\nma nothing q O1\r\nmg n v\r\n");
  client.Expect("NF O1\r\nVA 2\r\n0 \r\n");
  CHECK(client.Stat("incr_hits") == 3);
  CHECK(client.Stat("decr_hits") == 2);
  CHECK(client.Stat("incr_misses") == 1);
}

TEST_CASE_METHOD(WireTest, "a refused opaque leaves everything as it was", "[wire][meta]") {
  const std::string opaque = " O" + std::string(32, 'o') + "\r\n";
  client.Send("set a 0 0 1\r\n1\r\n").Expect("STORED\r\n");
  for (const std::string request : {"ma a", "md a", "mg a T-1", "mg new N0", "mg a q"}) {
    client.Send(request + opaque).Expect("CLIENT_ERROR opaque token too long\r\n");
  }
  client.Send("ms a 2" + opaque + "mn\r\n").Expect("CLIENT_ERROR opaque token too long\r\n");
  client.Send("mg a v\r\nmg new\r\n").Expect("VA 1\r\n1\r\nEN\r\n");
}

TEST_CASE_METHOD(WireTest, "a key that no line can hold is never printed as it is",
                 "[wire][meta][base64]") {
  const std::string key = "YSBiDQo=";  // "a b", CR, LF
  client.Send("mg " + key + " b N30 k\r\n").Expect("HD k" + key + " b W\r\n");
  client.Send("mg " + key + " b k\r\n").Expect("HD k" + key + " b Z\r\n");
  client.Send("me " + key + " b\r\n");
  CHECK(client.ReceiveLine().starts_with("ME " + key + " exp=30 la=0 cas="));
  client.Send("ma c\r\nma " + key + " b k\r\n").Expect("NF\r\n").Expect(kNonNumeric);
  client.Send("md " + key + " b k q\r\nmg " + key + " b k\r\n").Expect("EN k" + key + " b\r\n");
  client.Send("ma " + key + " b N0 k\r\nmg " + key + " b k v\r\n");
  client.Expect("HD k" + key + " b\r\nVA 1 k" + key + " b\r\n0\r\n");
}

TEST_CASE_METHOD(WireTest, "pipelines of base64 gets are served in batches",
                 "[wire][meta][base64]") {
  client.Send("ms YWI= 2 b\r\nxy\r\nset c 0 0 1\r\nz\r\n").Expect("HD\r\nSTORED\r\n");
  std::string requests;
  std::string replies;
  for (int i = 0; i < 100; ++i) {
    requests += "mg YWI= b v O" + std::to_string(i) + "\r\nmg Yw== v b k q\r\nmg ZA== b q\r\n";
    replies += "VA 2 O" + std::to_string(i) + "\r\nxy\r\nVA 1 kc\r\nz\r\n";
  }
  client.Send(requests + "mn\r\n").Expect(replies + "MN\r\n");
}

TEST_CASE_METHOD(WireTest, "large values are answered to meta gets in order", "[wire][meta][mg]") {
  const std::string value = PatternBytes(200'000, 3);
  client.Send("ms a 200000\r\n" + value + "\r\n").Expect("HD\r\n");
  std::string requests;
  for (int i = 0; i < 20; ++i) requests += "mg a v O" + std::to_string(i) + "\r\nmg b q\r\n";
  client.Send(requests);
  for (int i = 0; i < 20; ++i) {
    client.Expect("VA 200000 O" + std::to_string(i) + "\r\n");
    REQUIRE((client.ReceiveBytes(value.size()) == value));
    client.Expect("\r\n");
  }
}

TEST_CASE_METHOD(WireTest, "me tells about an item without touching it", "[wire][meta][me]") {
  client.Send("ms a 3 E7 T60 F1\r\nabc\r\n").Expect("HD\r\n");
  server.AdvanceClock(10);
  for (int i = 0; i < 2; ++i) {
    client.Send("me a\r\n").ExpectMatch("ME a exp=50 la=10 cas=7 fetch=no cls=\\d+ size=\\d+\r\n");
  }
  client.Send("get a\r\n").Expect(ValueReply("a", "abc", 1) + "END\r\n");
  client.Send("me a\r\n").ExpectMatch("ME a exp=50 la=0 cas=7 fetch=yes cls=\\d+ size=\\d+\r\n");
}

TEST_CASE_METHOD(WireTest, "meta commands are not counted by prefix", "[wire][meta][stats]") {
  client.Send("stats detail on\r\n").Expect("OK\r\n");
  client.Send("ms p:a 1\r\n1\r\nmg p:a\r\nmd p:a\r\n").Expect("HD\r\nHD\r\nHD\r\n");
  client.Send("stats detail dump\r\n").Expect("END\r\n");
}

TEST_CASE("cachedump leaves out what no line can hold", "[wire][meta][stats]") {
  const std::string request = GENERATE(as<std::string>{}, "ms YSBiDQo= 1 b\r\nx\r\n",
                                       "mg YSBiDQo= b N0\r\n", "ma YSBiDQo= b N0\r\n");
  TestServer server;
  Client client = server.Connect();
  client.Send(request).ExpectMatch("HD.*\r\n");
  for (int id = 1; id < 10; ++id) {
    client.Send("stats cachedump " + std::to_string(id) + " 0\r\n").Expect("END\r\n");
  }
}

}  // namespace
}  // namespace larder::wire
