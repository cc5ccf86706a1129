#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

// How often a line has come, of what is there.
std::size_t CountIn(std::string_view text, std::string_view line) {
  std::size_t count = 0;
  for (std::size_t at = text.find(line); at != text.npos; at = text.find(line, at + 1)) ++count;
  return count;
}

TEST_CASE_METHOD(OneWorker, "a pipeline of statistics is answered in full while others are served",
                 "[wire][fairness][stats]") {
  const std::string what = GENERATE("memory", "", "items", "conns");
  CAPTURE(what);
  constexpr std::size_t kReports = 400;
  std::string requests;
  for (std::size_t i = 0; i < kReports; ++i) requests += "stats " + what + "\r\n";
  Client busy = server.Connect();
  busy.Send(requests + "version\r\n");
  for (int i = 0; i < 20; ++i) client.Send("get a\r\n").Expect("END\r\n");
  client.Send("set a 0 0 1\r\nx\r\n").Expect("STORED\r\n");
  const std::string replies = busy.ReceiveUntil("VERSION");
  CHECK(CountIn(replies, "END\r\n") == kReports);
}

TEST_CASE_METHOD(OneWorker, "a request behind statistics waits for them",
                 "[wire][fairness][stats]") {
  client.Send("set a 0 0 1\r\nx\r\nstats reset\r\nget a\r\nstats\r\nget b\r\n");
  client.Expect("STORED\r\nRESET\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  const std::string report = client.ReceiveUntil("END\r\n");
  CHECK(report.find("STAT get_hits 1\r\n") != report.npos);
  CHECK(report.find("STAT get_misses 0\r\n") != report.npos);
  client.Expect("END\r\n").ExpectNothing();
}

TEST_CASE_METHOD(OneWorker, "a client that vanishes while statistics are gathered leaves nothing",
                 "[wire][fairness][stats]") {
  for (int i = 0; i < 50; ++i) {
    Client leaving = server.Connect();
    leaving.Send("stats memory\r\nstats memory\r\nstats memory\r\n");
    if (i % 2 == 0) leaving.Reset();
  }
  client.Send("mn\r\n").Expect("MN\r\n");
  CHECK(client.Stat("curr_connections") >= 1);
}

TEST_CASE_METHOD(OneWorker, "statistics wait for a client that does not read",
                 "[wire][fairness][stats]") {
  client.Send(SetRequest("large", PatternBytes(1000000, 1))).Expect("STORED\r\n");
  Client slow = server.ConnectSlow();
  std::string requests;
  for (int i = 0; i < 15; ++i) requests += "get large\r\nstats settings\r\n";
  slow.SendWithoutReading(requests);
  server.Settle();
  for (int i = 0; i < 15; ++i) {
    slow.Expect(ValueReply("large", PatternBytes(1000000, 1)) + "END\r\n");
    CHECK(slow.ReceiveUntil("END\r\n").starts_with("STAT maxbytes"));
  }
  slow.ExpectNothing();
}

}  // namespace
}  // namespace larder::wire
