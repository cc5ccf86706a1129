// The operator from hell.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/bench/random.h"
#include "tests/bench/socket.h"
#include "tests/torture/ledger.h"
#include "tests/torture/line_socket.h"

namespace larder::torture {

// Disturber flushes, dumps, moves pages, changes limits and asks for every statistic while others
// work, and expects each command to be answered in good form.
//
// Threads: one worker.
// Owns:    its connections.
class Disturber {
 public:
  struct Limits {
    std::uint32_t megabytes_min = 8;
    std::uint32_t megabytes_max = 32;
  };

  Disturber(const bench::Address& address, Flushes& flushes, const Limits& limits,
            std::uint64_t seed);

  void Run(std::chrono::steady_clock::time_point deadline);
  std::uint64_t commands() const { return commands_; }
  std::uint64_t dumped_lines() const { return dumped_lines_; }
  // Empty, or the first thing that was wrong.
  const std::string& fault() const { return fault_; }

 private:
  void Disturb();
  // Sends a command that is answered by one line, which must be `wanted` if that is not empty.
  void Order(std::string_view command, std::string_view wanted);
  // Sends a command that is answered by lines up to END.
  void List(std::string_view command);
  void FlushAll();
  // A list of items, read slowly at first, and not always to its end.
  void Dump(std::string_view command, std::string_view end);

  const bench::Address& address_;
  Flushes& flushes_;
  const Limits limits_;
  bench::Random random_;
  LineSocket socket_;
  std::uint64_t commands_ = 0;
  std::uint64_t dumped_lines_ = 0;
  std::string last_command_;
  std::string fault_;
};

}  // namespace larder::torture
