#include "tests/torture/disturber.h"

#include <fmt/format.h>

#include <thread>

namespace larder::torture {
namespace {

constexpr std::chrono::milliseconds kPauseMax{100};

}  // namespace

Disturber::Disturber(const bench::Address& address, Flushes& flushes, const Limits& limits,
                     std::uint64_t seed)
    : address_(address), flushes_(flushes), limits_(limits), random_(seed), socket_(address) {}

void Disturber::Run(std::chrono::steady_clock::time_point deadline) {
  try {
    while (std::chrono::steady_clock::now() < deadline) {
      Disturb();
      std::this_thread::sleep_for(
          std::chrono::milliseconds(random_.Below(static_cast<std::uint32_t>(kPauseMax.count()))));
    }
  } catch (const Fault& fault) {
    fault_ = "operator: " + fault.what;
  }
}

void Disturber::Disturb() {
  switch (random_.Below(8)) {
    case 0:
      return FlushAll();
    case 1:
    case 2: {
      const std::uint32_t span = limits_.megabytes_max - limits_.megabytes_min + 1;
      return Order(fmt::format("cache_memlimit {}", limits_.megabytes_min + random_.Below(span)),
                   "OK");
    }
    case 3:
      return Order(random_.Below(4) == 0 ? "lru mode flat" : "lru mode segmented", "OK");
    case 4:
      return List("stats items");
    case 5:
      return List("stats slabs");
    case 6:
      return List("stats conns");
    default:
      return List("stats");
  }
}

void Disturber::Order(std::string_view command, std::string_view wanted) {
  ++commands_;
  socket_.Send(fmt::format("{}\r\n", command));
  const std::string line(socket_.ReadLine());
  if (!wanted.empty() && line != wanted) {
    throw Fault{fmt::format("'{}' was answered by '{}'", command, line)};
  }
}

void Disturber::List(std::string_view command) {
  ++commands_;
  socket_.Send(fmt::format("{}\r\n", command));
  for (;;) {
    const std::string line(socket_.ReadLine());
    if (line == "END") return;
    if (!line.starts_with("STAT ")) {
      throw Fault{fmt::format("'{}' was answered by '{}'", command, line)};
    }
  }
}

void Disturber::FlushAll() {
  flushes_.begun.fetch_add(1);
  Order("flush_all", "OK");
  flushes_.done.fetch_add(1);
}

}  // namespace larder::torture
