// Commands that look at an item and store it later, and what other clients do in between.
#include <poll.h>

#include <condition_variable>
#include <mutex>

#include "tests/race_steps.h"
#include "tests/wire/binary_fixture.h"

namespace larder::wire {
namespace {

using slab::RacePoint;
using slab::RaceSteps;
using Step = std::function<void()>;

// Two clients of different workers. The first one's command is held up whenever it comes to a
// point, until the second one has been answered.
class RaceTest {
 protected:
  // Sends a request of `client`, and does one of `steps` each time that the command comes to the
  // point, until it is answered; after the last step it goes on freely. Returns how often it came
  // there. The reply is still to be received.
  std::size_t SendHeldUp(Client& client, RacePoint point, std::string_view request,
                         const std::vector<Step>& steps) {
    std::mutex mutex;
    std::condition_variable changed;
    enum class State { kRuns, kIsHeld, kIsAnswered } state = State::kRuns;
    std::size_t times = 0;
    const RaceSteps held(point, [&] {
      std::unique_lock lock(mutex);
      if (times++ >= steps.size()) return;
      state = State::kIsHeld;
      changed.notify_all();
      changed.wait(lock, [&] { return state != State::kIsHeld; });
    });
    client.Send(request);
    std::thread watcher([&] {
      pollfd reply{.fd = client.fd(), .events = POLLIN, .revents = 0};
      (void)poll(&reply, 1, kPatienceMs);
      const std::lock_guard lock(mutex);
      state = State::kIsAnswered;
      changed.notify_all();
    });
    for (std::unique_lock lock(mutex);;) {
      changed.wait(lock, [&] { return state != State::kRuns; });
      if (state == State::kIsAnswered) break;
      const Step& step = steps[times - 1];
      lock.unlock();
      step();
      lock.lock();
      if (state == State::kIsHeld) state = State::kRuns;
      changed.notify_all();
    }
    watcher.join();
    return times;
  }
  Step Asks(std::string request, std::string expected) {
    return [this, request = std::move(request), expected = std::move(expected)] {
      second.Send(request).Expect(expected);
    };
  }

  TestServer server{[](Config& config) { config.threads = 2; }};
  Client first = server.Connect();
  Client second = server.Connect();
};

// More often than a fixed number of tries would bear.
constexpr std::size_t kManyTimes = 150;

// Numbers that take another chunk to grow by a digit: n is 9, and m is 9 with an expiry.
class NumberRaceTest : public RaceTest {
 protected:
  NumberRaceTest() {
    first.Send("set n 7 0 1\r\n9\r\n").Expect("STORED\r\n");
    first.Send("set m 7 50 1\r\n9\r\n").Expect("STORED\r\n");
  }
  const std::vector<Step> sets{kManyTimes, Asks("set n 7 0 1\r\n9\r\n", "STORED\r\n")};
};

TEST_CASE_METHOD(NumberRaceTest, "a touch that is answered during an incr is not undone by it",
                 "[wire][race][incr]") {
  const std::string key = GENERATE("n", "m");
  const std::string touch = GENERATE("touch", "gat", "mg");
  CAPTURE(key, touch);
  std::vector<Step> touches;
  if (touch == "touch") touches = {Asks("touch " + key + " 500\r\n", "TOUCHED\r\n")};
  if (touch == "gat") {
    touches = {Asks("gat 500 " + key + "\r\n", "VALUE " + key + " 7 1\r\n9\r\nEND\r\n")};
  }
  if (touch == "mg") touches = {Asks("mg " + key + " T500 v\r\n", "VA 1\r\n9\r\n")};
  SECTION("text") {
    CHECK(SendHeldUp(first, RacePoint::kStoreSeen, "incr " + key + " 1\r\n", touches) > 0);
    first.Expect("10\r\n");
  }
  SECTION("meta, which shows the expiry that the number keeps") {
    CHECK(SendHeldUp(first, RacePoint::kStoreSeen, "ma " + key + " t\r\n", touches) > 0);
    first.Expect("HD t500\r\n");
  }
  SECTION("meta, with a CAS that the client chose") {
    CHECK(SendHeldUp(first, RacePoint::kStoreSeen, "ma " + key + " E77\r\n", touches) > 0);
    first.Expect("HD\r\n");
    second.Send("mg " + key + " c\r\n").Expect("HD c77\r\n");
  }
  SECTION("binary") {
    BinaryClient binary{server.Connect()};
    CHECK(SendHeldUp(binary.client, RacePoint::kStoreSeen, ChangePacket({.key = key}).Request(),
                     touches) > 0);
    CHECK(binary.Receive().value == Big(10, 8));
  }
  second.Send("mg " + key + " t v f\r\n").Expect("VA 2 t500 f7\r\n10\r\n");
}

TEST_CASE_METHOD(NumberRaceTest, "an expiry that comes with an incr counts, not one from meanwhile",
                 "[wire][race][incr]") {
  SendHeldUp(first, RacePoint::kStoreSeen, "ma m T900\r\n",
             {Asks("touch m 500\r\n", "TOUCHED\r\n")});
  first.Expect("HD\r\n");
  second.Send("mg m t\r\n").Expect("HD t900\r\n");
}

TEST_CASE_METHOD(NumberRaceTest,
                 "a number that others store again and again is changed all the same",
                 "[wire][race][incr]") {
  SECTION("text") {
    CHECK(SendHeldUp(first, RacePoint::kStoreSeen, "incr n 1\r\n", sets) == kManyTimes + 1);
    first.Expect("10\r\n");
  }
  SECTION("meta") {
    CHECK(SendHeldUp(first, RacePoint::kStoreSeen, "ma n v\r\n", sets) == kManyTimes + 1);
    first.Expect("VA 2\r\n10\r\n");
  }
  second.Send("get n\r\n").Expect("VALUE n 7 2\r\n10\r\nEND\r\n");
}

TEST_CASE_METHOD(NumberRaceTest,
                 "a value that others store again and again is emptied all the same",
                 "[wire][race][delete]") {
  CHECK(SendHeldUp(first, RacePoint::kStoreSeen, "md n x\r\n", sets) == kManyTimes + 1);
  first.Expect("HD\r\n");
  second.Send("mg n v\r\n").Expect("VA 0\r\n\r\n");
}

TEST_CASE_METHOD(RaceTest, "an append goes through while others change all but the value",
                 "[wire][race][append]") {
  const std::string value = PatternBytes(900'000, 1);
  first.Send("set k 7 500 900000\r\n" + value + "\r\n").Expect("STORED\r\n");
  const std::string disturbance = GENERATE("md k I\r\n", "touch k 500\r\n", "mg k R600\r\n");
  const std::string request =
      GENERATE("append k 0 0 1\r\n+\r\n", "prepend k 0 0 1\r\n+\r\n", "ms k 1 MA\r\n+\r\n");
  CAPTURE(disturbance, request);
  const std::vector<Step> disturbances(kManyTimes, [&] { second.Send(disturbance).ReceiveLine(); });
  (void)SendHeldUp(first, RacePoint::kJoin, request, disturbances);
  first.Expect(request.starts_with("ms") ? "HD\r\n" : "STORED\r\n");
  second.Send("mg k s f t\r\n").Expect("HD s900001 f7 t500\r\n");
}

TEST_CASE_METHOD(RaceTest, "an append to a value that others store again and again joins the last",
                 "[wire][race][append]") {
  first.Send("set k 7 0 1\r\n0\r\n").Expect("STORED\r\n");
  std::size_t count = 0;
  const std::vector<Step> sets(kManyTimes, [&] {
    const std::string value(1 + 5000 * (++count % 2), 'v');
    second.Send(SetRequest("k", value, 7)).Expect("STORED\r\n");
  });
  SECTION("text") {
    CHECK(SendHeldUp(first, RacePoint::kJoin, "append k 0 0 1\r\n+\r\n", sets) > 1);
    first.Expect("STORED\r\n");
  }
  SECTION("binary") {
    BinaryClient binary{server.Connect()};
    const protocol::Packet request{.opcode = kAppend, .key = "k", .value = "+"};
    CHECK(SendHeldUp(binary.client, RacePoint::kJoin, request.Request(), sets) > 1);
    CHECK(binary.Receive().status == 0);
  }
  second.Send("get k\r\n")
      .Expect(ValueReply("k", std::string(1 + 5000 * (count % 2), 'v') + "+", 7) + "END\r\n");
}

TEST_CASE_METHOD(RaceTest, "a first expiry comes to an item that others store again and again",
                 "[wire][race][touch]") {
  first.Send(SetRequest("k", "0")).Expect("STORED\r\n");
  std::size_t count = 0;
  const std::vector<Step> sets(kManyTimes, [&] {
    second.Send(SetRequest("k", std::string(1 + 5000 * (++count % 2), 'v'))).Expect("STORED\r\n");
  });
  SECTION("touch") {
    CHECK(SendHeldUp(first, RacePoint::kAddRoom, "touch k 500\r\n", sets) > 1);
    first.Expect("TOUCHED\r\n");
  }
  SECTION("gat") {
    CHECK(SendHeldUp(first, RacePoint::kAddRoom, "gat 500 k\r\n", sets) > 1);
    CHECK(first.ReceiveUntil("END\r\n").starts_with("VALUE k "));
  }
  SECTION("mg") {
    CHECK(SendHeldUp(first, RacePoint::kAddRoom, "mg k T500\r\n", sets) > 1);
    first.Expect("HD\r\n");
  }
  SECTION("md") {
    CHECK(SendHeldUp(first, RacePoint::kAddRoom, "md k I T500\r\n", sets) > 1);
    first.Expect("HD\r\n");
  }
  SECTION("binary") {
    BinaryClient binary{server.Connect()};
    const protocol::Packet request{.opcode = kTouch, .extras = Big(500, 4), .key = "k"};
    CHECK(SendHeldUp(binary.client, RacePoint::kAddRoom, request.Request(), sets) > 1);
    CHECK(binary.Receive().status == 0);
  }
  CHECK(count > 1);
  CHECK(second.Send("mg k t\r\n").ReceiveLine().starts_with("HD t500"));
}

TEST_CASE_METHOD(RaceTest, "a touch of a key that goes meanwhile misses, and is no error",
                 "[wire][race][touch]") {
  first.Send(SetRequest("k", "0")).Expect("STORED\r\n");
  CHECK(SendHeldUp(first, RacePoint::kAddRoom, "touch k 500\r\n",
                   {Asks("delete k\r\n", "DELETED\r\n")}) == 1);
  first.Expect("NOT_FOUND\r\n");
  first.Send(SetRequest("k", "0")).Expect("STORED\r\n");
  CHECK(SendHeldUp(first, RacePoint::kAddRoom, "md k I T500\r\n",
                   {Asks("delete k\r\n", "DELETED\r\n")}) == 1);
  first.Expect("NF\r\n");
}

}  // namespace
}  // namespace larder::wire
