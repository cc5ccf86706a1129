#include "server/watch/watch_hub.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/config/config.h"
#include "slab/lane.h"

namespace larder::server {
namespace {

WatchEvent Deletion(std::string_view key) {
  return {.stream = WatchStream::kDeletions,
          .kind = EventKind::kDeleted,
          .command = "delete",
          .text = key};
}

// What a watcher has got so far.
struct Reader {
  explicit Reader(WatchHub& hub, std::string_view words)
      : watcher(hub.Add(*WatchFilter::Parse(words), [this] { ++wakes; })) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Takes what there is now. Returns whether there was anything.
  bool Take() {
    Output output;
    bool has_taken = false;
    while (watcher->Take(1 << 16, output)) has_taken = true;
    text.append(output.data(), output.size());
    return has_taken;
  }
  // Takes until `end` is there.
  void TakeUntil(std::string_view end) {
    while (text.find(end) == std::string::npos) {
      if (!Take()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  std::atomic<int> wakes{0};
  std::string text;
  std::shared_ptr<Watcher> watcher;
};

// The lines of a text, without their line feeds.
std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    REQUIRE(end != std::string::npos);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::uint64_t NumberIn(const std::string& line, const std::string& name) {
  const std::size_t at = line.find(name + "=");
  REQUIRE(at != std::string::npos);
  return std::stoull(line.substr(at + name.size() + 1));
}

struct HubTest {
  Config config;
  WorkerCounters counters;
  std::vector<std::unique_ptr<slab::Lane>> lanes;

  slab::Lane& AddLane() {
    lanes.push_back(std::make_unique<slab::Lane>());
    lanes.back()->number = static_cast<std::uint32_t>(lanes.size() - 1);
    return *lanes.back();
  }
};

TEST_CASE_METHOD(HubTest, "a source takes only what is watched", "[watch][hub]") {
  WatchHub hub(config, counters);
  slab::Lane& lane = AddLane();
  EventSource& source = hub.SourceOf(lane);
  CHECK(&hub.SourceOf(lane) == &source);
  CHECK(lane.observer == &source);
  CHECK_FALSE(source.Wants(~StreamSet{0}));
  CHECK_FALSE(source.is_wanted());
  auto watcher = hub.Add(*WatchFilter::Parse("deletions"), [] {});
  CHECK(source.Wants(WatchStream::kDeletions));
  CHECK_FALSE(source.Wants(WatchStream::kFetchers));
  CHECK_FALSE(source.is_wanted());
  auto other = hub.Add(*WatchFilter::Parse("evictions"), [] {});
  CHECK(source.is_wanted());
  // A source that is made later knows as well.
  CHECK(hub.SourceOf(AddLane()).Wants(WatchStream::kEvictions));
  CHECK(hub.count() == 2);
  hub.Remove(watcher);
  CHECK_FALSE(source.Wants(WatchStream::kDeletions));
  hub.Remove(other);
  CHECK_FALSE(source.is_wanted());
  CHECK(hub.count() == 0);
}

TEST_CASE_METHOD(HubTest, "there are no more watchers than the limit", "[watch][hub]") {
  config.watchers_max = 2;
  WatchHub hub(config, counters);
  auto first = hub.Add({}, [] {});
  auto second = hub.Add({}, [] {});
  CHECK(hub.Add({}, [] {}) == nullptr);
  hub.Remove(first);
  CHECK(hub.Add({}, [] {}) != nullptr);
}

// Threads that run at the same time, with watchers of different streams.
TEST_CASE_METHOD(HubTest, "lines of all threads come in the order of their numbers",
                 "[watch][hub]") {
  constexpr int kThreads = 3;
  constexpr int kEvents = 2000;
  config.worker_log_kilobytes = 4096;
  config.watcher_log_kilobytes = 16 * 1024;
  WatchHub hub(config, counters);
  std::vector<EventSource*> sources;
  for (int i = 0; i < kThreads; ++i) sources.push_back(&hub.SourceOf(AddLane()));
  hub.Start();
  Reader all(hub, "deletions connevents");
  Reader some(hub, "connevents");
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&source = *sources[static_cast<std::size_t>(i)], i] {
      for (int n = 0; n < kEvents; ++n) {
        source.Add(Deletion(std::to_string(i) + "-" + std::to_string(n)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  sources[0]->Add({.stream = WatchStream::kConnections, .text = "type=end"});
  all.TakeUntil("type=end\n");
  some.TakeUntil("type=end\n");
  hub.Stop();
  const auto lines = Lines(all.text);
  REQUIRE(lines.size() == kThreads * kEvents + 1);
  std::uint64_t last = 0;
  std::map<std::string, int> next;
  bool is_in_order = true;
  for (const std::string& line : lines) {
    const std::uint64_t number = NumberIn(line, "gid");
    is_in_order = is_in_order && (last == 0 || number == last + 1);
    last = number;
    if (line.find("type=end") != std::string::npos) continue;
    const std::size_t key = line.find("key=") + 4;
    const std::size_t dash = line.find('-', key);
    int& expected = next[line.substr(key, dash - key)];
    is_in_order = is_in_order && std::stoi(line.substr(dash + 1)) == expected;
    ++expected;
  }
  CHECK(is_in_order);
  CHECK(next == std::map<std::string, int>{{"0", kEvents}, {"1", kEvents}, {"2", kEvents}});
  CHECK(Lines(some.text).size() == 1);
  CHECK(all.wakes > 0);
  CHECK(counters.value(Stat::kLogWorkerWritten) == lines.size());
  CHECK(counters.value(Stat::kLogWatcherSent) == lines.size() + 1);
  CHECK(counters.value(Stat::kLogWorkerDropped) == 0);
}

TEST_CASE_METHOD(HubTest, "lines that a watcher does not take are skipped, and it is told",
                 "[watch][hub]") {
  config.watcher_log_kilobytes = 1;
  WatchHub hub(config, counters);
  EventSource& source = hub.SourceOf(AddLane());
  hub.Start();
  Reader reader(hub, "deletions");
  constexpr int kEvents = 100;
  for (int i = 0; i < kEvents; ++i) source.Add(Deletion("k"));
  while (counters.value(Stat::kLogWorkerWritten) + counters.value(Stat::kLogWorkerDropped) <
         kEvents) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  hub.Stop();
  reader.Take();
  const auto lines = Lines(reader.text);
  REQUIRE(lines.size() > 1);
  const std::size_t sent = lines.size() - 1;
  CHECK(counters.value(Stat::kLogWatcherSent) == sent);
  CHECK(counters.value(Stat::kLogWatcherSkipped) == kEvents - sent);
  // Although no further line comes.
  CHECK(lines.back() == "skipped=" + std::to_string(kEvents - sent));
  CHECK(reader.text.size() <= 1024 + lines.back().size() + 1);
}

TEST_CASE_METHOD(HubTest, "a watcher is told of losses in a thread even if it gets no line",
                 "[watch][hub]") {
  config.worker_log_kilobytes = 1;
  WatchHub hub(config, counters);
  EventSource& source = hub.SourceOf(AddLane());
  Reader reader(hub, "deletions key=other");
  CHECK_FALSE(reader.Take());
  for (int i = 0; i < 100; ++i) source.Add(Deletion("k"));
  hub.Start();
  reader.TakeUntil("\n");
  hub.Stop();
  CHECK(reader.wakes == 1);
  CHECK(reader.text == "skipped=" + std::to_string(counters.value(Stat::kLogWorkerDropped)) + "\n");
}

TEST_CASE_METHOD(HubTest, "the next line that fits is preceded by what was skipped",
                 "[watch][hub]") {
  config.watcher_log_kilobytes = 1;
  // What is lost in the thread is skipped for the watcher as well.
  config.worker_log_kilobytes = 1;
  WatchHub hub(config, counters);
  EventSource& source = hub.SourceOf(AddLane());
  Reader reader(hub, "deletions");
  Reader other(hub, "connevents");
  constexpr int kEvents = 100;
  // Before the thread runs, so that the ring overflows.
  for (int i = 0; i < kEvents; ++i) source.Add(Deletion("k"));
  hub.Start();
  while (counters.value(Stat::kLogWorkerDropped) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  reader.TakeUntil("key=k");
  source.Add(Deletion("last"));
  reader.TakeUntil("key=last");
  hub.Stop();
  CHECK_FALSE(other.Take());
  std::uint64_t skipped = 0;
  std::uint64_t events = 0;
  for (const std::string& line : Lines(reader.text)) {
    if (line.rfind("skipped=", 0) == 0) {
      skipped += NumberIn(line, "skipped");
    } else {
      ++events;
    }
  }
  CHECK(skipped > 0);
  CHECK(events + skipped == kEvents + 1);
}

TEST_CASE_METHOD(HubTest, "watchers come and go while threads add events", "[watch][hub]") {
  WatchHub hub(config, counters);
  std::atomic<bool> is_over{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&source = hub.SourceOf(AddLane()), &is_over] {
      while (!is_over.load()) source.Add(Deletion("k"));
    });
  }
  hub.Start();
  bool is_whole = true;
  // They live on, because the hub may be about to wake them.
  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < 50; ++i) {
    readers.push_back(std::make_unique<Reader>(hub, "deletions"));
    Reader& reader = *readers.back();
    reader.TakeUntil("\n");
    is_whole =
        is_whole && (reader.text.rfind("ts=", 0) == 0 || reader.text.rfind("skipped=", 0) == 0);
    hub.Remove(reader.watcher);
  }
  is_over.store(true);
  for (std::thread& thread : threads) thread.join();
  hub.Stop();
  CHECK(is_whole);
}

}  // namespace
}  // namespace larder::server
