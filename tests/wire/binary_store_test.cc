#include "tests/wire/binary_fixture.h"

namespace larder::wire {
namespace {

constexpr std::uint64_t kNoSuchCas = 0x7fffffffffffffff;

TEST_CASE_METHOD(BinaryTest, "binary set, add and replace store as they should",
                 "[wire][binary][store]") {
  client.Send(StorePacket({.opcode = kReplace, .key = "a", .value = "0"}));
  client.Expect(kReplace, kNotFound);
  CHECK(client.Ask(StorePacket({.opcode = kAdd, .key = "a", .value = "1"})).cas != 0);
  client.Send(StorePacket({.opcode = kAdd, .key = "a", .value = "2"})).Expect(kAdd, kExists);
  CHECK(client.ValueOf("a") == "1");
  CHECK(client.Ask(StorePacket({.opcode = kReplace, .key = "a", .value = "3"})).cas != 0);
  CHECK(client.ValueOf("a") == "3");
  client.Set("a", "");
  CHECK(client.ValueOf("a").empty());
  client.ExpectNothing();
}

TEST_CASE_METHOD(BinaryTest, "quiet stores are silent when they store", "[wire][binary][store]") {
  client.Send(StorePacket({.opcode = kSetQ, .key = "a", .value = "1"}));
  client.Send(StorePacket({.opcode = kAddQ, .key = "b", .value = "2"}));
  client.Send(StorePacket({.opcode = kReplaceQ, .key = "b", .value = "3"}));
  client.Send({.opcode = kAppendQ, .key = "b", .value = "4"});
  client.Send({.opcode = kPrependQ, .key = "b", .value = "2"}).ExpectNothing();
  CHECK(client.ValueOf("a") == "1");
  CHECK(client.ValueOf("b") == "234");
}

TEST_CASE_METHOD(BinaryTest, "quiet stores say what went wrong", "[wire][binary][store]") {
  client.Set("a", "1");
  client.Send(StorePacket({.opcode = kAddQ, .key = "a", .value = "2"})).Expect(kAddQ, kExists);
  client.Send(StorePacket({.opcode = kReplaceQ, .key = "no"})).Expect(kReplaceQ, kNotFound);
  client.Send(StorePacket({.opcode = kSetQ, .key = "a", .cas = kNoSuchCas}));
  client.Expect(kSetQ, kExists);
  client.Send({.opcode = kAppendQ, .key = "no", .value = "x"}).Expect(kAppendQ, kNotStored);
  client.Send({.opcode = kPrependQ, .key = "no", .value = "x"}).Expect(kPrependQ, kNotStored);
  client.ExpectNothing();
}

TEST_CASE_METHOD(BinaryTest, "a CAS makes set, add and replace the same", "[wire][binary][cas]") {
  for (const auto opcode : {kSet, kAdd, kReplace}) {
    CAPTURE(int{opcode});
    client.Ask({.opcode = kDelete, .key = "a"});
    client.Send(StorePacket({.opcode = opcode, .key = "a", .cas = 5})).Expect(opcode, kNotFound);
    const std::uint64_t cas = client.Set("a", "1");
    client.Send(StorePacket({.opcode = opcode, .key = "a", .value = "2", .cas = kNoSuchCas}));
    client.Expect(opcode, kExists);
    const Packet stored =
        client.Ask(StorePacket({.opcode = opcode, .key = "a", .value = "3", .cas = cas}));
    CHECK(stored.status == 0);
    CHECK(stored.cas > cas);
    CHECK(client.CasOf("a") == stored.cas);
    CHECK(client.ValueOf("a") == "3");
  }
  CHECK(text.Stat("cas_misses") == 3);
  CHECK(text.Stat("cas_badval") == 3);
  CHECK(text.Stat("cas_hits") == 3);
  CHECK(text.Stat("cmd_set") == 12);
}

TEST_CASE_METHOD(BinaryTest, "text and binary share one CAS", "[wire][binary][cas]") {
  const std::uint64_t cas = client.Set("a", "1");
  CHECK(text.CasOf("a") == std::to_string(cas));
  text.Send("cas a 0 0 1 " + std::to_string(cas) + "\r\n2\r\n").Expect("STORED\r\n");
  client.Send(StorePacket({.key = "a", .cas = cas})).Expect(kSet, kExists);
}

TEST_CASE_METHOD(BinaryTest, "binary append and prepend keep flags and expiry, and compare a CAS",
                 "[wire][binary][append]") {
  std::uint64_t cas =
      client.Ask(StorePacket({.key = "a", .value = "b", .flags = 9, .exptime = 100})).cas;
  client.Send({.opcode = kAppend, .key = "a", .value = "c", .cas = kNoSuchCas});
  client.Expect(kAppend, kExists);
  cas = client.Ask({.opcode = kAppend, .key = "a", .value = "c", .cas = cas}).cas;
  const Packet prepended = client.Ask({.opcode = kPrepend, .key = "a", .value = "a", .cas = cas});
  CHECK(prepended.status == 0);
  CHECK(prepended.cas > cas);
  client.Send({.opcode = kGet, .key = "a"}).Expect(HitReply(kGet, "abc", 9, prepended.cas));
  // Nothing added is a change as well.
  CHECK(client.Ask({.opcode = kAppend, .key = "a"}).cas > prepended.cas);
  server.AdvanceClock(100);
  client.Send({.opcode = kAppend, .key = "a", .value = "x"}).Expect(kAppend, kNotStored);
  client.Send({.opcode = kAppend, .key = "a", .value = "x", .cas = 5}).Expect(kAppend, kNotStored);
}

TEST_CASE_METHOD(BinaryTest, "a binary value that is too large is swallowed, the old one gone",
                 "[wire][binary][too_large]") {
  const std::string large(1100000, 'x');
  for (const bool with_cas : {false, true}) {
    CAPTURE(with_cas);
    const std::uint64_t cas = client.Set("a", "old");
    client.Send(StorePacket({.key = "a", .value = large, .cas = with_cas ? cas : 0}));
    client.Expect(kSet, kValueTooLarge);
    client.Send({.opcode = kGet, .key = "a"}).Expect(kGet, kNotFound);
  }
  client.Set("a", "old");
  for (const auto opcode : {kAdd, kReplace, kAddQ, kReplaceQ}) {
    client.Send(StorePacket({.opcode = opcode, .key = "a", .value = large}));
    client.Expect(opcode, kValueTooLarge);
  }
  for (const auto opcode : {kAppend, kPrepend, kAppendQ, kPrependQ}) {
    client.Send({.opcode = opcode, .key = "a", .value = large}).Expect(opcode, kValueTooLarge);
  }
  CHECK(client.ValueOf("a") == "old");
  client.Set("a", large.substr(0, 600000));
  client.Send({.opcode = kAppend, .key = "a", .value = large.substr(0, 600000)});
  client.Expect(kAppend, kNotStored).ExpectNothing();
  CHECK(client.ValueOf("a").size() == 600000);
  // As memcached, which counts these for text only.
  CHECK(text.Stat("store_too_large") == 0);
}

TEST_CASE("a small binary value may be too large as well", "[wire][binary][too_large]") {
  TestServer server([](Config& config) { config.item_bytes_max = 1024; });
  BinaryClient client(server.Connect());
  client.Set("a", "old");
  const std::string large(2000, 'x');
  client.Send({.opcode = kAppend, .key = "a", .value = large}).Expect(kAppend, kValueTooLarge);
  client.Send(StorePacket({.opcode = kAdd, .key = "a", .value = large}));
  client.Expect(kAdd, kValueTooLarge);
  CHECK(client.ValueOf("a") == "old");
  client.Send(StorePacket({.opcode = kSetQ, .key = "a", .value = large}));
  client.Expect(kSetQ, kValueTooLarge);
  client.Send({.opcode = kGet, .key = "a"}).Expect(kGet, kNotFound).ExpectNothing();
}

TEST_CASE("with -M a full memory refuses binary stores", "[wire][binary][full_memory]") {
  TestServer server([](Config& config) {
    config.memory_bytes = 8U << 20;
    config.evict = false;
  });
  BinaryClient client(server.Connect());
  const std::string value = PatternBytes(500000, 1);
  int stored = 0;
  for (;; ++stored) {
    REQUIRE(stored < 100);
    const Packet reply = client.Ask(StorePacket({.key = std::to_string(stored), .value = value}));
    if (reply.status == 0) continue;
    CHECK(reply.Reply() == ErrorReply(kSet, kNoMemoryForItem).Reply());
    break;
  }
  // A set that fails takes the old value with it, an add does not.
  client.Send(StorePacket({.opcode = kAddQ, .key = "0", .value = value}));
  CHECK(client.Receive().status == 0x82);
  CHECK(client.ValueOf("0") == value);
  client.Send(StorePacket({.opcode = kSetQ, .key = "1", .value = value}));
  CHECK(client.Receive().status == 0x82);
  client.Send({.opcode = kGet, .key = "1"}).Expect(kGet, kNotFound).ExpectNothing();
  CHECK(client.Ask({.opcode = kStat, .key = "items"}).status == 0);
}

TEST_CASE_METHOD(BinaryTest, "binary delete answers, and compares a CAS",
                 "[wire][binary][delete]") {
  client.Send({.opcode = kDelete, .key = "a"}).Expect(kDelete, kNotFound);
  client.Send({.opcode = kDelete, .key = "a", .cas = 5}).Expect(kDelete, kNotFound);
  const std::uint64_t cas = client.Set("a", "1");
  client.Send({.opcode = kDelete, .key = "a", .cas = cas + 1}).Expect(kDelete, kExists);
  client.Send({.opcode = kDelete, .key = "a", .cas = cas}).Expect({.opcode = kDelete});
  client.Set("a", "1");
  client.Send({.opcode = kDeleteQ, .key = "a", .cas = 5}).Expect(kDeleteQ, kExists);
  client.Send({.opcode = kDeleteQ, .key = "a"}).ExpectNothing();
  client.Send({.opcode = kDeleteQ, .key = "a"}).Expect(kDeleteQ, kNotFound).ExpectNothing();
  CHECK(text.Stat("delete_hits") == 2);
  CHECK(text.Stat("delete_misses") == 3);
}

TEST_CASE_METHOD(BinaryTest, "binary incr and decr answer the number and the CAS",
                 "[wire][binary][incr]") {
  client.Set("n", "100", 7);
  const Packet changed = client.Ask(ChangePacket({.key = "n", .delta = 1000}));
  CHECK(changed.value == Big(1100, 8));
  CHECK(changed.extras.empty());
  client.Send({.opcode = kGet, .key = "n"}).Expect(HitReply(kGet, "1100", 7, changed.cas));
  CHECK(client.Ask(ChangePacket({.opcode = kDecr, .key = "n", .delta = 101})).value == Big(999, 8));
  CHECK(client.ValueOf("n") == "999 ");
  CHECK(client.Ask(ChangePacket({.opcode = kDecr, .key = "n", .delta = 1000})).value == Big(0, 8));
  CHECK(client.Ask(ChangePacket({.key = "n", .delta = ~std::uint64_t{0}})).value ==
        Big(~std::uint64_t{0}, 8));
  CHECK(client.Ask(ChangePacket({.key = "n", .delta = 2})).value == Big(1, 8));
  CHECK(text.Stat("incr_hits") == 3);
  CHECK(text.Stat("decr_hits") == 2);
}

TEST_CASE_METHOD(BinaryTest, "binary incr compares a CAS", "[wire][binary][incr]") {
  const std::uint64_t cas = client.Set("n", "9");
  client.Send(ChangePacket({.key = "n", .cas = cas + 1})).Expect(kIncr, kExists);
  client.Send(ChangePacket({.opcode = kDecrQ, .key = "n", .cas = cas + 1}));
  client.Expect(kDecrQ, kExists);
  // To a longer number as well, which is another item.
  const Packet changed = client.Ask(ChangePacket({.key = "n", .cas = cas}));
  CHECK(changed.value == Big(10, 8));
  CHECK(client.CasOf("n") == changed.cas);
  CHECK(client.ValueOf("n") == "10");
}

TEST_CASE_METHOD(BinaryTest, "binary incr creates what it misses, if it may",
                 "[wire][binary][incr]") {
  client.Send(ChangePacket({.key = "n", .initial = 5})).Expect(kIncr, kNotFound);
  client.Send(ChangePacket({.opcode = kDecrQ, .key = "n"})).Expect(kDecrQ, kNotFound);
  const Packet created =
      client.Ask(ChangePacket({.key = "n", .delta = 3, .initial = 5, .exptime = 10, .cas = 9}));
  CHECK(created.value == Big(5, 8));
  client.Send({.opcode = kGet, .key = "n"}).Expect(HitReply(kGet, "5", 0, created.cas));
  server.AdvanceClock(10);
  client.Send({.opcode = kGet, .key = "n"}).Expect(kGet, kNotFound);
  client.Send(
      ChangePacket({.opcode = kDecrQ, .key = "n", .initial = ~std::uint64_t{0}, .exptime = 0}));
  client.ExpectNothing();
  CHECK(client.ValueOf("n") == "18446744073709551615");
  CHECK(text.Stat("incr_misses") == 1);
  CHECK(text.Stat("decr_misses") == 1);
  CHECK(text.Stat("incr_hits") == 0);
  CHECK(text.Stat("cmd_set") == 0);
  CHECK(text.Stat("total_items") == 2);
}

TEST_CASE_METHOD(BinaryTest, "binary incr takes the texts that text's takes",
                 "[wire][binary][incr]") {
  for (const char* number : {" 12", "12 ", "+12"}) {
    client.Set("n", number);
    CHECK(client.Ask(ChangePacket({.key = "n"})).value == Big(13, 8));
  }
  for (const char* other : {"", "abc", "12abc", "-1", "100000000000000000000"}) {
    client.Set("n", other);
    for (const auto opcode : {kIncr, kDecr, kIncrQ, kDecrQ}) {
      client.Send(ChangePacket({.opcode = opcode, .key = "n"})).Expect(opcode, kNotNumeric);
    }
  }
  client.Set("n", "1");
  client.SendAll({ChangePacket({.opcode = kIncrQ, .key = "n", .delta = 5}),
                  ChangePacket({.opcode = kDecrQ, .key = "n", .delta = 2})});
  client.ExpectNothing();
  CHECK(client.ValueOf("n") == "4");
}

TEST_CASE("with -M a full memory refuses a binary incr that creates",
          "[wire][binary][full_memory]") {
  TestServer server([](Config& config) {
    config.memory_bytes = 1U << 20;
    config.evict = false;
    config.threads = 1;
  });
  BinaryClient client(server.Connect());
  for (int i = 0;; ++i) {
    REQUIRE(i < 100000);
    const std::string key = "n" + std::to_string(i) + std::string(200, 'n');
    const Packet reply = client.Ask(ChangePacket({.key = key, .initial = 9, .exptime = 0}));
    if (reply.status == 0) continue;
    CHECK(reply.status == 0x82);
    CHECK(reply.value == "Out of memory allocating new item");
    break;
  }
  client.ExpectNothing();
}

TEST_CASE_METHOD(BinaryTest, "a binary value may come in three pieces, cut anywhere",
                 "[wire][binary][large_value]") {
  const std::size_t bytes = static_cast<std::size_t>(GENERATE(200, 9000, 66000, 140000, 1000000));
  CAPTURE(bytes);
  const std::string value = PatternBytes(bytes, 1);
  const std::string request = StorePacket({.opcode = kSetQ, .key = "a", .value = value}).Request();
  const std::string_view view = request;
  const std::size_t end = request.size();
  for (const std::size_t first : {std::size_t{5}, end - bytes - 1, end - bytes, end / 3}) {
    for (const std::size_t second : {end / 2, end - 1, end}) {
      CAPTURE(first, second);
      client.client.SendInPieces(
          {view.substr(0, first), view.substr(first, second - first), view.substr(second)});
      client.ExpectNothing();
      CHECK(client.ValueOf("a") == value);
      client.Send({.opcode = kDeleteQ, .key = "a"}).ExpectNothing();
    }
  }
}

TEST_CASE_METHOD(BinaryTest, "a binary value that never comes whole leaves the old one",
                 "[wire][binary][store]") {
  client.Set("a", "old");
  const std::string set = StorePacket({.key = "a", .value = PatternBytes(100000, 1)}).Request();
  BinaryClient other(server.Connect());
  other.client.SendInPieces({std::string_view(set).substr(0, 5000)});
  CHECK(client.ValueOf("a") == "old");
  other.client.Close();
  server.Settle();
  CHECK(client.ValueOf("a") == "old");
}

TEST_CASE_METHOD(BinaryTest, "large binary values may follow each other in one stream",
                 "[wire][binary][large_value]") {
  std::string requests;
  for (std::size_t i = 0; i < 40; ++i) {
    const std::string key = "k" + std::to_string(i);
    requests +=
        StorePacket({.opcode = kSetQ, .key = key, .value = PatternBytes(i * 17011 % 400000, i)})
            .Request();
    requests += Packet{.opcode = kGet, .key = key, .opaque = Big(i, 4)}.Request();
  }
  client.client.Send(requests);
  for (std::size_t i = 0; i < 40; ++i) {
    const Packet reply = client.Receive();
    CAPTURE(i);
    CHECK(reply.opaque == Big(i, 4));
    CHECK((reply.value == PatternBytes(i * 17011 % 400000, i)));
  }
  client.ExpectNothing();
}

}  // namespace
}  // namespace larder::wire
