#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/authenticator.h"
#include "server/clock.h"
#include "server/net/worker.h"
#include "server/session/turn_budget.h"
#include "slab/cache.h"
#include "tests/server/worker_parts.h"

namespace larder::server {
namespace {

constexpr std::size_t kValueBytes = 100'000;

// A worker without a thread: its turns run when the test says so.
class TurnTest {
 protected:
  TurnTest() {
    lane_.SetNow(clock_.now());
    Store("small", "x");
    Store("large", std::string(kValueBytes, 'l'));
    Store("huge", std::string(900'000, 'h'));
  }
  ~TurnTest() {
    for (const int fd : clients_) close(fd);
  }

  // A client whose socket takes a lot.
  int Connect() {
    std::array<int, 2> ends;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const int bytes = 8 << 20;
    for (const int end : ends) {
      REQUIRE(setsockopt(end, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) == 0);
    }
    parts_.shared.clients.fetch_add(1);
    worker_.Adopt({.fd = ends[1]});
    worker_.RunOnce();
    clients_.push_back(ends[0]);
    server_ends_.push_back(ends[1]);
    return ends[0];
  }
  // A client whose socket takes little of replies.
  int ConnectSlow() {
    const int fd = Connect();
    const int bytes = 0;  // As few as the system allows.
    REQUIRE(setsockopt(server_ends_.back(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) == 0);
    return fd;
  }
  static void Send(int fd, std::string_view bytes) {
    REQUIRE(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  static std::string Receive(int fd) {
    std::string all;
    std::array<char, 65536> room;
    for (;;) {
      const ssize_t received = recv(fd, room.data(), room.size(), 0);
      if (received <= 0) return all;
      all.append(room.data(), static_cast<std::size_t>(received));
    }
  }
  static std::string Repeat(std::string_view text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
  }
  void Store(std::string_view key, std::string_view value) {
    const slab::ItemSpec spec{.key = {key, cache_->Hash(key)},
                              .value_bytes = static_cast<std::uint32_t>(value.size())};
    REQUIRE(cache_->Store(slab::StoreMode::kSet, spec, value, 0, lane_).status ==
            slab::StoreStatus::kStored);
  }
  // What one turn answers to requests that came together, beside another client's.
  std::string OneTurnOf(std::string_view requests) {
    const int busy = Connect();
    const int other = Connect();
    Send(busy, requests);
    Send(other, "get small\r\n");
    worker_.RunOnce();
    CHECK(Receive(other) == "VALUE small 0 1\r\nx\r\nEND\r\n");
    const std::string replies = Receive(busy);
    for (const int fd : std::exchange(clients_, {})) close(fd);
    for (int turns = 0; turns < 3; ++turns) worker_.RunOnce();  // The server closes, too.
    return replies;
  }

  Config config_;
  Clock clock_;
  std::unique_ptr<slab::Cache> cache_ = std::move(*slab::Cache::Create({}));
  std::unique_ptr<Authenticator> authenticator_ = std::move(*Authenticator::Create(config_));
  WorkerParts parts_{config_, *cache_, clock_, *authenticator_};
  slab::Lane& lane_ = cache_->AddLane();
  std::deque<int> clients_;
  std::deque<int> server_ends_;  // The worker's.
  Worker worker_{parts_.shared};
};

TEST_CASE_METHOD(TurnTest, "a turn of large replies ends when there are enough of them",
                 "[server][turn]") {
  const std::string replies = OneTurnOf(Repeat("get large\r\n", 900));
  CHECK(replies.size() > kWorkPerTurnBytes);
  CHECK(replies.size() < kWorkPerTurnBytes + 2 * kValueBytes);
}

TEST_CASE_METHOD(TurnTest, "a turn of one multiget ends when its reply is long enough",
                 "[server][turn]") {
  const std::string replies = OneTurnOf("get" + Repeat(" large", 900) + "\r\n");
  CHECK(replies.size() > kWorkPerTurnBytes);
  CHECK(replies.size() < kWorkPerTurnBytes + 2 * kValueBytes);
}

TEST_CASE_METHOD(TurnTest, "a turn of appends ends when they have copied enough",
                 "[server][turn]") {
  CHECK(OneTurnOf(Repeat("append huge 0 0 1\r\nx\r\n", 100)) == "STORED\r\n");
  CHECK(OneTurnOf(Repeat("prepend large 0 0 1\r\nx\r\n", 100)) ==
        Repeat("STORED\r\n", 1 + kWorkPerTurnBytes / kValueBytes));
  CHECK(OneTurnOf(Repeat("ms huge 1 MA\r\nx\r\n", 100)) == "HD\r\n");
}

TEST_CASE_METHOD(TurnTest, "commands of operators leave others their turn sooner than gets do",
                 "[server][turn]") {
  const std::string ok = "OK\r\n";
  const std::string end = "END\r\n";
  const auto gets = OneTurnOf(Repeat("get absent\r\n", 900)).size() / end.size();
  CHECK(gets >= kUnitsPerSliceMin);
  for (const char* const command : {"lru tune 10 10 0.1 0.1\r\n", "verbosity 1\r\n",
                                    "cache_memlimit 100\r\n", "slabs automove 0\r\n"}) {
    const auto done = OneTurnOf(Repeat(command, 900)).size() / ok.size();
    CAPTURE(command, done, gets);
    CHECK(done > 0);
    CHECK(2 * done <= gets);
  }
}

TEST_CASE_METHOD(TurnTest, "a turn of first expiries ends when values were copied enough",
                 "[server][turn]") {
  std::string touches;
  std::string gets;
  for (int i = 0; i < 20; ++i) {
    for (const char* const kind : {"t", "m"}) {
      Store(kind + std::to_string(i), std::string(kValueBytes, 'v'));
    }
    touches += "touch t" + std::to_string(i) + " 100\r\n";
    gets += "mg m" + std::to_string(i) + " T100\r\n";
  }
  constexpr int kPerTurn = 1 + kWorkPerTurnBytes / kValueBytes;
  CHECK(OneTurnOf(touches) == Repeat("TOUCHED\r\n", kPerTurn));
  CHECK(OneTurnOf(gets) == Repeat("HD\r\n", kPerTurn));
}

TEST_CASE_METHOD(TurnTest, "what a turn leaves is served in the next ones, in order",
                 "[server][turn]") {
  const int busy = Connect();
  std::string requests;
  std::string expected;
  for (int i = 0; i < 30; ++i) {
    requests += "get large\r\nget k" + std::to_string(i) + "\r\nmg small k v\r\n";
    expected += "VALUE large 0 100000\r\n" + std::string(kValueBytes, 'l') +
                "\r\nEND\r\nEND\r\nVA 1 ksmall\r\nx\r\n";
  }
  Send(busy, requests);
  std::string replies;
  for (int turns = 0; turns < 40; ++turns) {
    worker_.RunOnce();
    replies += Receive(busy);
  }
  CHECK((replies == expected));
}

TEST_CASE_METHOD(TurnTest, "all that a turn made and the socket did not take is told as pending",
                 "[server][turn]") {
  Store("medium", std::string(4000, 'm'));
  const BufferGauges& buffers = worker_.counters().buffers;
  const int slow = ConnectSlow();
  Send(slow, Repeat("get medium\r\n", 1000));
  worker_.RunOnce();
  // The values are too short to be sent from where they lie.
  const std::uint64_t pending = buffers.value(Buffer::kPending);
  CHECK(pending > kWorkPerTurnBytes - 10'000);
  CHECK(pending < kWorkPerTurnBytes + 2 * 5000);
  worker_.RunOnce();
  CHECK(buffers.value(Buffer::kPending) == pending);
  std::string replies;
  for (int turns = 0; turns < 2000; ++turns) {
    replies += Receive(slow);
    worker_.RunOnce();
  }
  const std::string reply = "VALUE medium 0 4000\r\n" + std::string(4000, 'm') + "\r\nEND\r\n";
  CHECK((replies == Repeat(reply, 1000)));
  CHECK(buffers.value(Buffer::kPending) == 0);
}

TEST_CASE_METHOD(TurnTest, "a connection that is closed for what it sent ends without a reset",
                 "[server][turn]") {
  const std::string more(300'000, 'x');
  const int client = Connect();
  const bool quits = GENERATE(false, true);
  Send(client, (quits ? "quit\r\n" : "") + more);
  for (int turns = 0; turns < 3; ++turns) worker_.RunOnce();
  std::string reply(28, '\0');
  if (!quits) CHECK(recv(client, reply.data(), reply.size(), 0) == 28);
  if (!quits) CHECK(reply == "CLIENT_ERROR line too long\r\n");
  char room = 0;
  CHECK(recv(client, &room, 1, 0) == 0);
}

TEST_CASE_METHOD(TurnTest, "others are served while a report is made", "[server][turn]") {
  parts_.reporter.Start();
  const int asking = Connect();
  const int other = Connect();
  bool has_begun = false;
  // Whoever lists connections waits as long as this has them.
  parts_.connections.ForEach([&](int, const ConnectionInfo&) {
    if (std::exchange(has_begun, true)) return;
    Send(asking, "stats conns\r\nmn\r\n");
    Send(other, "get small\r\n");
    for (int turns = 0; turns < 3; ++turns) worker_.RunOnce();
    CHECK(Receive(other) == "VALUE small 0 1\r\nx\r\nEND\r\n");
    CHECK(Receive(asking).empty());
  });
  parts_.reporter.Stop();  // It makes the report before.
  for (int turns = 0; turns < 3; ++turns) worker_.RunOnce();
  const std::string reply = Receive(asking);
  CHECK(reply.starts_with("STAT "));
  CHECK(reply.ends_with("END\r\nMN\r\n"));
}

}  // namespace
}  // namespace larder::server
