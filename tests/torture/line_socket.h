// A connection that waits.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "tests/bench/byte_queue.h"
#include "tests/bench/socket.h"

namespace larder::torture {

// The server did not answer as it must, or not at all.
struct Fault {
  std::string what;
};

// LineSocket sends and receives whole lines and blocks of bytes. Throws Fault when the server
// closes the connection or is silent for kSilenceMax.
//
// Threads: one worker.
// Owns:    the socket.
class LineSocket {
 public:
  static constexpr std::chrono::seconds kSilenceMax{60};

  explicit LineSocket(const bench::Address& address);

  // Reads replies meanwhile, so that both sides can go on however much is under way.
  void Send(std::string_view bytes);
  // Without the line end; lives until the next call.
  std::string_view ReadLine() { return ReadTo("\r\n"); }
  // The same for lists whose lines end in LF alone, such as metadump's; a CR before it stays.
  std::string_view ReadListLine() { return ReadTo("\n"); }
  std::string_view ReadBlock(std::size_t bytes);

 private:
  std::string_view ReadTo(std::string_view line_end);
  void Wait(short events);
  void Fill();
  void ConsumeLast();

  const bench::UniqueFd fd_;
  bench::ByteQueue received_;
  std::size_t last_bytes_ = 0;  // Of the view that was handed out.
};

}  // namespace larder::torture
