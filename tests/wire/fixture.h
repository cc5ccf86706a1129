// A server in this process, and clients that speak to it over real sockets.
#pragma once

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/app/server.h"
#include "server/config/config.h"
#include "server/config/version.h"

namespace larder::wire {

using server::Config;

// Longer than any reply takes, also under thread sanitizer; only a failing test waits so long.
inline constexpr int kPatienceMs = 10'000;

// memcached's answers that many tests expect.
inline constexpr std::string_view kBadLine = "CLIENT_ERROR bad command line format\r\n";
inline constexpr std::string_view kBadExptime = "CLIENT_ERROR invalid exptime argument\r\n";
inline constexpr std::string_view kBadDelta = "CLIENT_ERROR invalid numeric delta argument\r\n";
inline constexpr std::string_view kBadDataChunk = "CLIENT_ERROR bad data chunk\r\n";
inline constexpr std::string_view kNonNumeric =
    "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
inline constexpr std::string_view kTooLarge = "SERVER_ERROR object too large for cache\r\n";
inline constexpr std::string_view kNoMemoryStoring =
    "SERVER_ERROR out of memory storing object\r\n";

class TestServer;

// One connection. What does not go as expected fails the test, and names the line that expected it.
//
// Threads: the test's own; Catch2's assertions are not for others.
// Owns:    the socket.
class Client {
 public:
  Client(TestServer& server, int fd) : server_(&server), fd_(fd) {}
  Client(Client&& other) noexcept;
  Client& operator=(Client&&) = delete;
  ~Client();

  // Reads replies while the server does not take more, so that neither waits for the other.
  Client& Send(std::string_view bytes);
  // The server gets each piece by itself.
  Client& SendInPieces(const std::vector<std::string_view>& pieces);
  // Reads nothing, and gives up when nothing more is taken. Returns how many bytes were.
  std::size_t SendWithoutReading(std::string_view bytes);

  // The next bytes are these.
  Client& Expect(std::string_view reply, int line = __builtin_LINE());
  // All that comes, now and soon, matches as a whole (ECMAScript; `.` is no line end).
  Client& ExpectMatch(const std::string& pattern, int line = __builtin_LINE());
  // No bytes are left over: the next request, `mn`, has the next reply.
  Client& ExpectNothing(int line = __builtin_LINE());
  // Nothing has been answered to all that was sent; for the middle of a request.
  Client& ExpectSilence(int line = __builtin_LINE());
  // The server closes, and sends nothing before.
  Client& ExpectClosed(int line = __builtin_LINE());

  // All up to and including the next `end`.
  std::string ReceiveUntil(std::string_view end, int line = __builtin_LINE());
  std::string ReceiveLine(int line = __builtin_LINE()) { return ReceiveUntil("\r\n", line); }
  // As many bytes; fewer only if the server closes.
  std::string ReceiveBytes(std::size_t bytes, int line = __builtin_LINE());

  // The list that `stats <what>` answers, by name.
  std::map<std::string, std::string> Stats(std::string_view what = "", int line = __builtin_LINE());
  std::uint64_t Stat(const std::string& name, int line = __builtin_LINE());
  // The CAS of a key that is present.
  std::string CasOf(std::string_view key, int line = __builtin_LINE());

  // Nothing more will be sent; replies can still be read.
  void FinishSending();
  void Close();
  // Closes with a reset, as a client that dies.
  void Reset();
  int fd() const { return fd_; }

 private:
  // Waits for bytes and appends what there is to received_. False when the server has closed or
  // patience has ended.
  bool Receive(int patience_ms = kPatienceMs);
  [[noreturn]] void Fail(int line, std::string_view expected) const;

  TestServer* server_;
  int fd_;
  bool is_at_end_ = false;
  std::string received_;   // And not expected yet.
  std::string last_sent_;  // Shown by failures.
};

// A server on a free loopback port, running on its own thread until the test ends.
//
// Threads: the test's own.
// Owns:    the server and its thread.
class TestServer {
 public:
  using Configure = std::function<void(Config&)>;

  explicit TestServer(const Configure& configure = {});
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  // To the listener of that place in Config::listen, or the unix socket.
  Client Connect(std::size_t listener = 0) { return ConnectWith(listener, 0); }
  // With little room for replies that it does not read.
  Client ConnectSlow() { return ConnectWith(0, 16 << 10); }
  // Returns when what was sent before has been served, up to some 10 MB of work on a connection.
  void Settle() { PassTurns(40); }
  // Returns when each worker has begun so many turns of its loop since, at least; what a client
  // sent before is read in the first, if it is small, and served when the second begins.
  void PassTurns(int turns);
  void AdvanceClock(std::uint32_t seconds);
  // Sets the system's time, as far as the server sees it.
  void StepWallClock(std::int32_t seconds);
  // Has files read again, as SIGHUP does, and returns when they were.
  void Reload();
  // What clients of Settle() have to send first; the server answers STORED.
  void LogProbesInWith(std::string request) { probe_login_ = std::move(request); }
  // Asks the server to stop, as SIGTERM does, and returns at once.
  void RequestStop() { server_->RequestStop(); }
  // Returns when it has stopped.
  void Join();

  const Config& config() const { return config_; }
  server::Server& server() { return *server_; }

 private:
  Client ConnectWith(std::size_t listener, int receive_buffer_bytes);

  Config config_;
  std::unique_ptr<server::Server> server_;
  std::thread thread_;
  bool has_saved_ = true;       // What Run() returned.
  std::vector<Client> probes_;  // One per worker, once Settle was called.
  std::string probe_login_;
  bool has_connected_ = true;  // Since then.
};

// What most tests need.
class WireTest {
 protected:
  TestServer server;
  Client client = server.Connect();
};

// All clients on one worker.
struct OneWorker {
  TestServer server{[](Config& config) { config.threads = 1; }};
  Client client = server.Connect();
};

// `<verb> <key> <flags> <exptime> <bytes>[ <rest>]`, with the value.
struct StorageSpec {
  std::string_view verb = "set";
  std::string_view key;
  std::string_view value;
  std::uint32_t flags = 0;
  std::int64_t exptime = 0;
  std::string_view rest = {};  // The CAS unique, noreply.
};
std::string StorageRequest(const StorageSpec& spec);
std::string SetRequest(std::string_view key, std::string_view value, std::uint32_t flags = 0);
// The block that get answers for a key; END follows the last.
std::string ValueReply(std::string_view key, std::string_view value, std::uint32_t flags = 0);
// Bytes that are the same for the same seed, and nowhere alike.
std::string PatternBytes(std::size_t bytes, std::uint64_t seed);

}  // namespace larder::wire
