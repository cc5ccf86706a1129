#include <string>

#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

// A server whose memory has pages of several classes.
struct SlabsServer {
  SlabsServer() {
    std::string requests;
    for (int number = 0; number < 2000; ++number) {
      requests += "set k" + std::to_string(number) + " 0 0 1000 noreply\r\n" + value + "\r\n";
    }
    client.Send(requests).ExpectNothing();
  }
  // The class that these keys are in.
  std::string ClassId() {
    const std::string row = client.Stats("items").begin()->first;
    return row.substr(6, row.find(':', 6) - 6);
  }
  std::string Pages(const std::string& id) {
    const auto rows = client.Stats("slabs");
    const auto row = rows.find(id + ":total_pages");
    return row == rows.end() ? "0" : row->second;
  }

  TestServer server;
  Client client = server.Connect();
  const std::string value = PatternBytes(1000, 1);
};

TEST_CASE("slabs reassign takes a page to another class", "[wire][slabs]") {
  SlabsServer slabs;
  const std::string from = slabs.ClassId();
  const int pages = std::stoi(slabs.Pages(from));
  REQUIRE(pages > 2);
  const bool is_any = GENERATE(true, false);
  slabs.client.Send("slabs reassign " + (is_any ? "-1" : from) + " 3\r\n").Expect("OK\r\n");
  slabs.server.AdvanceClock(1);
  CHECK(slabs.Pages("3") == "1");
  CHECK(slabs.Pages(from) == std::to_string(pages - 1));
  CHECK(slabs.client.Stat("slabs_moved") == 1);
  CHECK(slabs.client.Stat("slab_reassign_running") == 0);
  CHECK(slabs.client.Stat("slab_reassign_rescues") + slabs.client.Stat("evictions") > 0);
}

TEST_CASE("slabs reassign refuses what memcached refuses", "[wire][slabs]") {
  SlabsServer slabs;
  for (const char* request : {"slabs\r\n", "slabs foo\r\n", "slabs reassign\r\n",
                              "slabs reassign 1\r\n", "slabs reassign 1 2 3\r\n"}) {
    CAPTURE(request);
    slabs.client.Send(request).Expect("ERROR\r\n").ExpectNothing();
  }
  slabs.client.Send("slabs reassign x 1\r\nslabs reassign 1 1x\r\n")
      .Expect(std::string(kBadLine) + std::string(kBadLine));
  slabs.client.Send("slabs reassign 2 2\r\n").Expect("SAME src and dst class are identical\r\n");
  for (const char* classes : {"1 999", "999 1", "-2 1", "1 -1"}) {
    CAPTURE(classes);
    slabs.client.Send("slabs reassign " + std::string(classes) + "\r\n")
        .Expect("BADCLASS invalid src or dst class id\r\n");
  }
  slabs.client.Send("slabs reassign 1 2\r\n").Expect("NOSPARE source class has no spare pages\r\n");
  slabs.client.Send("slabs reassign " + slabs.ClassId() + " 2 noreply\r\n").ExpectNothing();
  slabs.server.AdvanceClock(1);
  CHECK(slabs.client.Stat("slabs_moved") == 0);
}

TEST_CASE("with no_slab_reassign pages are not reassigned, and have no statistics",
          "[wire][slabs]") {
  TestServer server([](server::Config& config) { config.slab_reassign = false; });
  Client client = server.Connect();
  client.Send("slabs reassign 1 2\r\n").Expect("CLIENT_ERROR slab reassignment disabled\r\n");
  CHECK_FALSE(client.Stats().contains("slab_reassign_running"));
}

TEST_CASE_METHOD(WireTest, "slabs automove switches the moves by gain", "[wire][slabs]") {
  CHECK(client.Stats("settings").at("slab_automove") == "1");
  client.Send("slabs automove 0\r\n").Expect("OK\r\n");
  CHECK(client.Stats("settings").at("slab_automove") == "0");
  client.Send("slabs automove 2 noreply\r\n").ExpectNothing();
  CHECK(client.Stats("settings").at("slab_automove") == "2");
  client.Send("slabs automove\r\nslabs automove 3\r\nslabs automove ratio x\r\n")
      .Expect("ERROR\r\nERROR\r\nERROR\r\n");
  client.Send("slabs automove x\r\n").Expect(kBadLine);
  client.Send("slabs automove window\r\n").Expect(kBadLine);
  client.Send("slabs automove window 3\r\nslabs automove ratio 0.8\r\n").Expect("OK\r\nOK\r\n");
  client.Send("slabs automove window 1801\r\n")
      .Expect("CLIENT_ERROR automove window too low or too high\r\n");
  CHECK(client.Stats("settings").at("slab_automove") == "2");
}

TEST_CASE("a slow upload holds up nobody, and leaves nothing when its client goes",
          "[wire][slabs]") {
  SlabsServer slabs;
  Client slow = slabs.server.Connect();
  const std::string value = PatternBytes(900'000, 2);
  const std::string request = SetRequest("large", value);
  const auto used = [&] {
    std::uint64_t chunks = 0;
    for (const auto& [row, text] : slabs.client.Stats("slabs")) {
      if (row.ends_with(":used_chunks")) chunks += std::stoull(text);
    }
    return chunks;
  };
  const std::uint64_t used_before = used();
  slow.SendInPieces({std::string_view(request).substr(0, 500'000)});
  CHECK(used() > used_before);
  // The key, its class, and a page move are all free to go on.
  slabs.client.Send(SetRequest("large", value)).Expect("STORED\r\n");
  slabs.client.Send("get large\r\n").Expect(ValueReply("large", value) + "END\r\n");
  slabs.client.Send("slabs reassign " + slabs.ClassId() + " 3\r\n").Expect("OK\r\n");
  slabs.server.AdvanceClock(1);
  CHECK(slabs.client.Stat("slabs_moved") == 1);
  slabs.client.Send("delete large\r\n").Expect("DELETED\r\n");
  const bool is_reset = GENERATE(true, false);
  if (is_reset) {
    slow.Reset();
  } else {
    slow.Close();
  }
  slabs.server.Settle();
  slabs.client.Send("get large\r\n").Expect("END\r\n");
  CHECK(used() + slabs.client.Stat("evictions") == used_before);
}

}  // namespace
}  // namespace larder::wire
