#include <fmt/format.h>

#include <random>

#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "replies come in the order of the requests", "[wire][pipeline]") {
  client.Send("set a 0 0 1\r\na\r\nget a\r\nfoo\r\ndelete a\r\nget a\r\nincr a 1\r\n");
  client.Expect("STORED\r\n" + ValueReply("a", "a") +
                "END\r\nERROR\r\nDELETED\r\nEND\r\nNOT_FOUND\r\n");
  client.ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a request sees what the one before it did", "[wire][pipeline]") {
  std::string requests;
  std::string replies;
  for (int i = 0; i < 1000; ++i) {
    const std::string value = std::to_string(i);
    requests += SetRequest("a", value) + "get a\r\nincr a 1\r\ndelete a\r\nget a\r\n";
    replies += "STORED\r\n" + ValueReply("a", value) +
               fmt::format("END\r\n{}\r\nDELETED\r\nEND\r\n", i + 1);
  }
  client.Send(requests).Expect(replies).ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "stores and gets of many keys in one send", "[wire][pipeline]") {
  std::string requests;
  std::string replies;
  for (int i = 0; i < 500; ++i) {
    const std::string key = "k" + std::to_string(i);
    requests += SetRequest(key, key, static_cast<std::uint32_t>(i));
    replies += "STORED\r\n";
  }
  for (int i = 0; i < 500; ++i) {
    const std::string key = "k" + std::to_string(i * 7 % 500);
    requests += "get " + key + " missing " + key + "\r\n";
    const std::string value = ValueReply(key, key, static_cast<std::uint32_t>(i * 7 % 500));
    replies += value + value + "END\r\n";
  }
  client.Send(requests).Expect(replies).ExpectNothing();
}

// --- The same stream in any pieces --------------------------------------------------------------

// Requests of every kind, good and bad, over few keys, so that most depend on others.
class RequestStream {
 public:
  explicit RequestStream(std::uint64_t seed) : random_(seed) {}

  std::string Next() {
    const std::string key = "k" + std::to_string(Below(12));
    const std::string noreply = Below(4) == 0 ? " noreply" : "";
    switch (Below(20)) {
      case 0:
      case 1:
      case 2:
        return Store("set", key, noreply);
      case 3:
        return Store("add", key, noreply);
      case 4:
        return Store("replace", key, noreply);
      case 5:
        return Store("append", key, noreply);
      case 6:
        return Store("prepend", key, noreply);
      case 7:
        return fmt::format("set {} 0 0 {}{}\r\n{}\r\n", key, 3, noreply, 100 + Below(900));
      case 8:
        return fmt::format("incr {} {}{}\r\n", key, Below(1000), noreply);
      case 9:
        return fmt::format("decr {} {}{}\r\n", key, Below(1000), noreply);
      case 10:
        return fmt::format("delete {}{}\r\n", key, noreply);
      case 11:
        return fmt::format("touch {} {}{}\r\n", key, Below(3) == 0 ? -1 : 1000, noreply);
      case 12:
        return fmt::format("get {} k1  {} nothing\r\n", key, key);
      case 13:
        return fmt::format("gat 1000 {} k2\r\n", key);
      case 14:
        return ManyKeys();
      case 15:
        return Bad(key, noreply);
      case 16:
        return fmt::format("flush_all{}\r\n", noreply);
      case 17:
        return Below(8) == 0 ? TooLarge(key, noreply) : "mn\r\n";
      default:
        return fmt::format("get {}\r\n", key);
    }
  }

  std::uint64_t Below(std::uint64_t bound) { return random_() % bound; }

 private:
  std::string Store(std::string_view verb, std::string_view key, std::string_view noreply) {
    // Mostly small, at times of a size that is pinned or chained.
    const std::uint64_t choice = Below(40);
    const std::size_t bytes = choice == 0 ? Below(200000) : choice < 4 ? Below(20000) : Below(300);
    return fmt::format("{} {} {} 0 {}{}\r\n{}\r\n", verb, key, Below(3) * Below(5000), bytes,
                       noreply, PatternBytes(bytes, random_()));
  }
  std::string ManyKeys() {
    std::string line = Below(2) == 0 ? "get" : "gat 0";
    for (std::uint64_t count = 1 + Below(200); count > 0; --count) {
      line += fmt::format(" k{}", Below(40));
    }
    return line + "\r\n";
  }
  std::string Bad(std::string_view key, std::string_view noreply) {
    switch (Below(8)) {
      case 0:
        return "\r\n";
      case 1:
        return fmt::format("foo {}{}\r\n", key, noreply);
      case 2:
        return fmt::format("set {} x 0 5{}\r\nget a\r\n", key, noreply);
      case 3:
        return fmt::format("set {} 0 0 3{}\r\nabcd\r\nmn\r\n", key, noreply);
      case 4:
        return fmt::format("get {} {} {}\r\n", key, std::string(251, 'k'), key);
      case 5:
        return fmt::format("incr {} x{}\r\n", key, noreply);
      case 6:
        return fmt::format("cas {} 0 0 2 x{}\r\nmn\r\n", key, noreply);
      default:
        return fmt::format("gat x {}\r\n", key);
    }
  }
  std::string TooLarge(std::string_view key, std::string_view noreply) {
    constexpr std::size_t kBytes = 1048577;
    return fmt::format("set {} 0 0 {}{}\r\n{}\r\n", key, kBytes, noreply, std::string(kBytes, 'x'));
  }

  std::mt19937_64 random_;
};

std::string ReplyTo(Client& client, const std::string& requests,
                    const std::vector<std::size_t>& cuts) {
  client.Send("flush_all\r\n").Expect("OK\r\n");
  std::size_t begin = 0;
  std::vector<std::string_view> pieces;
  for (const std::size_t cut : cuts) {
    pieces.push_back(std::string_view(requests).substr(begin, cut - begin));
    begin = cut;
  }
  client.SendInPieces(pieces);
  client.Send(std::string_view(requests).substr(begin)).Send("version\r\n");
  std::string reply = client.ReceiveUntil("VERSION ");
  return reply + client.ReceiveLine();
}

TEST_CASE_METHOD(WireTest, "a stream is answered alike however it is cut",
                 "[wire][pipeline][property]") {
  const std::uint64_t seed = GENERATE(take(6, random(std::uint64_t{1}, std::uint64_t{1} << 60)));
  CAPTURE(seed);
  RequestStream stream(seed);
  std::string requests;
  std::vector<std::size_t> ends;
  for (int i = 0; i < 400; ++i) {
    requests += stream.Next();
    ends.push_back(requests.size());
  }
  const std::string whole = ReplyTo(client, requests, {});
  // One at a time, then at random places.
  CHECK(ReplyTo(client, requests, ends) == whole);
  for (int round = 0; round < 3; ++round) {
    std::vector<std::size_t> cuts;
    for (int i = 0; i < 300; ++i) cuts.push_back(stream.Below(requests.size()));
    std::ranges::sort(cuts);
    CHECK(ReplyTo(client, requests, cuts) == whole);
  }
}

TEST_CASE_METHOD(WireTest, "a small stream is answered alike wherever it is cut once",
                 "[wire][pipeline][property]") {
  const std::string requests =
      "set a 5 0 3\r\nabc\r\nget a b\r\nincr a 1\r\nset n 0 0 2 noreply\r\n10\r\nincr n 5\r\n"
      "gat 0 a n\r\nset a 0 0 2\r\nabcd\r\n\r\nappend a 0 0 1\r\nd\r\nget a\r\ndelete a noreply\r\n"
      "touch a 0\r\nset b x 0 3\r\nabc\r\nget  a   n  \r\nmn\r\n";
  const std::string whole = ReplyTo(client, requests, {});
  for (std::size_t cut = 1; cut < requests.size(); ++cut) {
    CAPTURE(cut);
    CHECK(ReplyTo(client, requests, {cut}) == whole);
  }
}

}  // namespace
}  // namespace larder::wire
