#include "tests/torture/disturber.h"

#include <fmt/format.h>

#include <thread>

namespace larder::torture {
namespace {

constexpr std::chrono::milliseconds kPauseMax{100};
constexpr std::chrono::milliseconds kSlowReadPause{2};
constexpr std::uint32_t kClassesMax = 60;

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
    fault_ = fmt::format("operator, after '{}': {}", last_command_, fault.what);
  }
}

void Disturber::Disturb() {
  switch (random_.Below(16)) {
    case 0:
      // Rarely: there must be something to lose.
      return random_.Below(4) == 0 ? FlushAll() : List("stats settings");
    case 1:
    case 2: {
      const std::uint32_t span = limits_.megabytes_max - limits_.megabytes_min + 1;
      return Order(fmt::format("cache_memlimit {}", limits_.megabytes_min + random_.Below(span)),
                   "OK");
    }
    case 3:
    case 4:
      // Busy, done, or nothing to spare: all are good answers.
      return Order(fmt::format("slabs reassign -1 {}", 1 + random_.Below(kClassesMax)), "");
    case 5:
      return Order(fmt::format("slabs automove {}", random_.Below(3)), "OK");
    case 6:
      return Dump("lru_crawler metadump all", "END");
    case 7:
      return Dump("lru_crawler mgdump all", "EN");
    case 8:
      return Order("lru_crawler crawl all", "");
    case 9:
      return Order(random_.Below(4) == 0 ? "lru mode flat" : "lru mode segmented", "OK");
    case 10:
      return Order(fmt::format("explain k{:019x}", random_.Below(1000)), "");
    case 11:
      return List("stats items");
    case 12:
      return List("stats slabs");
    case 13:
      return List("stats conns");
    case 14:
      return List("stats memory");
    default:
      return List("stats");
  }
}

void Disturber::Order(std::string_view command, std::string_view wanted) {
  ++commands_;
  last_command_ = command;
  socket_.Send(fmt::format("{}\r\n", command));
  const std::string line(socket_.ReadLine());
  if (!wanted.empty() && line != wanted) {
    throw Fault{fmt::format("'{}' was answered by '{}'", command, line)};
  }
}

void Disturber::List(std::string_view command) {
  ++commands_;
  last_command_ = command;
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

void Disturber::Dump(std::string_view command, std::string_view end) {
  ++commands_;
  last_command_ = command;
  LineSocket socket(address_);
  socket.Send(fmt::format("{}\r\n", command));
  const bool leaves_early = random_.Below(4) == 0;
  for (std::uint32_t lines = 0;; ++lines) {
    std::string_view line = socket.ReadListLine();
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line == end || line.starts_with("BUSY")) return;
    if (line == "OK" && lines == 0) continue;  // mgdump announces itself.
    if (!line.starts_with("key=") && !line.starts_with("mg ")) {
      throw Fault{fmt::format("'{}' was answered by '{}'", command, line)};
    }
    ++dumped_lines_;
    if (lines < 20) std::this_thread::sleep_for(kSlowReadPause);
    if (leaves_early && lines == 20) return;
  }
}

}  // namespace larder::torture
