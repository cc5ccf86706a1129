#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "after a bad data chunk the next byte begins a line",
                 "[wire][bad_data]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("set a 0 0 3\r\nabcdefgh\r\n").Expect(kBadDataChunk).Expect("ERROR\r\n");
  client.Send("set a 0 0 3\r\nabcdef\r\n").Expect(kBadDataChunk).Expect(kBadLine);
  client.ExpectNothing();
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "only a carriage return and a line feed end a value",
                 "[wire][bad_data]") {
  for (const char* end : {"\n\n", "\n\r", "\r\r", "xx"}) {
    CAPTURE(end);
    client.Send(std::string("set a 0 0 3\r\nabc") + end + "mn\r\n").Expect(kBadDataChunk);
    client.Expect("MN\r\n").ExpectNothing();
  }
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "a value that is too short eats from the next line",
                 "[wire][bad_data]") {
  client.Send("set a 0 0 5\r\nabc\r\n").ExpectSilence();
  client.Send("version\r\n").Expect(kBadDataChunk).Expect("ERROR\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "noreply silences a bad data chunk, but not its tail",
                 "[wire][bad_data]") {
  client.Send("set a 0 0 3 noreply\r\nabcdefgh\r\n").Expect("ERROR\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a bad data chunk is noticed in every piece of a split",
                 "[wire][bad_data]") {
  const std::string request = "set a 0 0 3\r\nabcXYmn\r\n";
  for (std::size_t split = 1; split < request.size(); ++split) {
    CAPTURE(split);
    client.SendInPieces(
        {std::string_view(request).substr(0, split), std::string_view(request).substr(split)});
    client.Expect(kBadDataChunk).Expect("MN\r\n").ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "a large value with a bad end keeps the old item", "[wire][bad_data]") {
  const std::size_t bytes = static_cast<std::size_t>(GENERATE(9000, 70000, 300000, 800000));
  CAPTURE(bytes);
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("set a 0 0 " + std::to_string(bytes) + "\r\n" + PatternBytes(bytes, 1) +
              "\n\nmn\r\n");
  client.Expect(kBadDataChunk).Expect("MN\r\n").ExpectNothing();
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "a client that dies in the middle of a value changes nothing",
                 "[wire][bad_data]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const std::string value = PatternBytes(200000, 1);
  client.Send(SetRequest("b", value)).Expect("STORED\r\n");
  const std::string before = client.Stats("slabs").at("total_malloced");
  const std::size_t came =
      static_cast<std::size_t>(GENERATE(0, 1, 100, 70000, 150000, 200000, 200001));
  CAPTURE(came);
  Client dying = server.Connect();
  dying.Send("set a 0 0 200000\r\n" + (value + "\r\n").substr(0, came)).ExpectSilence();
  dying.Reset();
  server.Settle();
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  // What was set aside for it is free again: the next such value takes no more memory.
  client.Send("delete b\r\n").Expect("DELETED\r\n");
  client.Send(SetRequest("b", value)).Expect("STORED\r\n");
  CHECK(client.Stats("slabs").at("total_malloced") == before);
}

TEST_CASE_METHOD(WireTest, "a client that leaves in the middle of a value changes nothing",
                 "[wire][bad_data]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  Client leaving = server.Connect();
  leaving.Send("set a 0 0 10\r\nabcdefghij\r").FinishSending();
  leaving.ExpectClosed();
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

}  // namespace
}  // namespace larder::wire
