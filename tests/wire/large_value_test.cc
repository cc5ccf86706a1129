#include "server/net/worker.h"
#include "server/reply/output.h"
#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

// The sizes at which something changes, and their neighbours.
std::vector<std::size_t> EdgeSizes() {
  std::vector<std::size_t> sizes;
  const auto around = [&](std::size_t size, std::size_t margin) {
    for (std::size_t at = size - margin; at <= size + margin; ++at) sizes.push_back(at);
  };
  around(server::kPinBytesMin, 40);  // Larger values are sent from where they lie.
  around(server::kInputBytes, 40);   // Larger requests come in several receives.
  around(slab::kPageBytes / 2, 40);  // Larger items are chained.
  around(slab::kPageBytes, 40);      // The same with one continuation more.
  around(slab::kPageBytes * 3, 2);
  for (std::size_t at = 1048400; at <= 1048516; at += 29) sizes.push_back(at);
  return sizes;
}

TEST_CASE_METHOD(WireTest, "values of every size around a limit come back as they were",
                 "[wire][large_value]") {
  for (const std::size_t bytes : EdgeSizes()) {
    CAPTURE(bytes);
    const std::string value = PatternBytes(bytes, bytes);
    client.Send(SetRequest("a", value)).Expect("STORED\r\n");
    client.Send("get a\r\n").Expect(ValueReply("a", value) + "END\r\n");
  }
  client.ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a line and its value may be split anywhere at the 64 KiB that fit in",
                 "[wire][large_value]") {
  // What stands before the value moves the edge of the input area through line, value and end.
  const std::string value = PatternBytes(1000, 1);
  const std::string set = SetRequest("a", value);
  for (std::size_t before = 0; before < set.size() + 4; before += before < 20 ? 1 : 13) {
    CAPTURE(before);
    std::string requests(server::kInputBytes - before - 3, 'x');
    requests.replace(0, 12, "get missing ");
    for (std::size_t at = 100; at < requests.size(); at += 200) requests[at] = ' ';
    client.Send(requests + "\r\n" + set + "get a\r\n");
    client.Expect("END\r\nSTORED\r\n" + ValueReply("a", value) + "END\r\n");
  }
  client.ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a value may come byte by byte", "[wire][large_value]") {
  const std::string value = PatternBytes(300, 1);
  const std::string request = SetRequest("a", value, 5);
  for (std::size_t at = 0; at + 1 < request.size(); ++at) {
    client.SendInPieces({std::string_view(request).substr(at, 1)});
  }
  client.ExpectSilence().Send("\n").Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", value, 5) + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "a large value may come slowly", "[wire][large_value]") {
  const std::string value = PatternBytes(300000, 1);
  const std::string request = SetRequest("a", value);
  for (std::size_t at = 0; at < request.size(); at += 1999) {
    client.SendInPieces({std::string_view(request).substr(at, 1999)});
  }
  client.Expect("STORED\r\n").Send("get a\r\n").Expect(ValueReply("a", value) + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "a value may come in three pieces, cut anywhere",
                 "[wire][large_value]") {
  const std::size_t bytes = static_cast<std::size_t>(GENERATE(200, 9000, 66000, 140000, 1000000));
  CAPTURE(bytes);
  const std::string value = PatternBytes(bytes, 1);
  const std::string request = SetRequest("a", value) + "mn\r\n";
  const std::size_t end = request.size();
  const std::string_view view = request;
  for (const std::size_t first :
       {std::size_t{5}, end - value.size() - 7, end - value.size() - 6, end / 3}) {
    for (const std::size_t second : {end / 2, end - 7, end - 6, end - 5, end - 4, end - 1}) {
      CAPTURE(first, second);
      client.SendInPieces(
          {view.substr(0, first), view.substr(first, second - first), view.substr(second)});
      client.Expect("STORED\r\nMN\r\n");
      client.Send("get a\r\n").Expect(ValueReply("a", value) + "END\r\n");
      client.Send("delete a\r\n").Expect("DELETED\r\n");
    }
  }
}

TEST_CASE_METHOD(WireTest, "large values may follow each other in one stream",
                 "[wire][large_value]") {
  std::string requests;
  std::string replies;
  for (std::size_t i = 0; i < 40; ++i) {
    const std::string key = "k" + std::to_string(i);
    const std::string value = PatternBytes(i * 17011 % 400000, i);
    requests += SetRequest(key, value, static_cast<std::uint32_t>(i)) + "get " + key + "\r\n";
    replies += "STORED\r\n" + ValueReply(key, value, static_cast<std::uint32_t>(i)) + "END\r\n";
  }
  client.Send(requests).Expect(replies).ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a large value is read as it was when it was asked for",
                 "[wire][large_value]") {
  const std::string value = PatternBytes(1000000, 1);
  client.Send(SetRequest("a", value)).Expect("STORED\r\n");
  // More than the sockets hold, so most of it is still to be sent when the item changes.
  Client slow = server.ConnectSlow();
  constexpr int kGets = 20;
  std::string gets;
  for (int i = 0; i < kGets; ++i) gets += "get a\r\n";
  slow.SendWithoutReading(gets);
  server.Settle();
  client.Send("delete a\r\n").Expect("DELETED\r\n");
  const std::string other = PatternBytes(1000000, 2);
  for (int i = 0; i < 70; ++i) {
    client.Send(SetRequest("b" + std::to_string(i), other)).Expect("STORED\r\n");
  }
  // Those that were served before it was stuck have found it, the others have not.
  int found = 0;
  for (int i = 0; i < kGets; ++i) {
    const std::string head = slow.ReceiveLine();
    if (head == "END\r\n") continue;
    ++found;
    CHECK(head == "VALUE a 0 1000000\r\n");
    slow.Expect(value + "\r\nEND\r\n");
  }
  slow.ExpectNothing();
  CHECK(found > 0);
}

TEST_CASE_METHOD(WireTest, "one large value asked for hundreds of times at once",
                 "[wire][large_value]") {
  // More often than it can be pinned.
  const std::string value = PatternBytes(20000, 1);
  client.Send(SetRequest("a", value)).Expect("STORED\r\n");
  std::string line = "get";
  std::string reply;
  for (int i = 0; i < 600; ++i) {
    line += " a";
    reply += ValueReply("a", value);
  }
  client.Send(line + "\r\n").Expect(reply + "END\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", value) + "END\r\n");
}

}  // namespace
}  // namespace larder::wire
