#include "tests/wire/fixture.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <random>
#include <regex>
#include <utility>

#include "server/session/turn_budget.h"

namespace larder::wire {
namespace {

constexpr std::size_t kReceiveBytes = std::size_t{256} << 10;
constexpr std::size_t kShownBytes = 160;

std::string Quote(std::string_view bytes) {
  std::string text = "\"";
  for (const char c : bytes) {
    if (c == '\r') {
      text += "\\r";
    } else if (c == '\n') {
      text += "\\n";
    } else if (c < ' ' || c > '~') {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      text += c;
    }
  }
  return text + '"';
}

// Both ends of a text too long to be read.
std::string Shorten(std::string_view bytes) {
  if (bytes.size() <= kShownBytes) return Quote(bytes);
  constexpr std::size_t kEnd = kShownBytes / 2;
  return fmt::format("{} ...{} bytes... {}", Quote(bytes.substr(0, kEnd)), bytes.size(),
                     Quote(bytes.substr(bytes.size() - kEnd)));
}

// Where two texts part, for those too long to be compared by eye.
std::string DescribeDifference(std::string_view expected, std::string_view got) {
  const auto [at, unused] = std::ranges::mismatch(expected, got);
  const auto offset = static_cast<std::size_t>(at - expected.begin());
  if (expected.size() <= kShownBytes) return {};
  return fmt::format("\nthey part at byte {}: {} and {}", offset,
                     Shorten(expected.substr(offset, kShownBytes)),
                     Shorten(got.substr(std::min(offset, got.size()), kShownBytes)));
}

bool WaitFor(int fd, short events, int patience_ms) {
  pollfd wanted{.fd = fd, .events = events, .revents = 0};
  return poll(&wanted, 1, patience_ms) > 0;
}

}  // namespace

// --- Client -------------------------------------------------------------------------------------

Client::Client(Client&& other) noexcept
    : server_(other.server_),
      fd_(std::exchange(other.fd_, -1)),
      is_at_end_(other.is_at_end_),
      received_(std::move(other.received_)),
      last_sent_(std::move(other.last_sent_)) {}

Client::~Client() { Close(); }

void Client::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

void Client::Reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  Close();
}

void Client::FinishSending() { shutdown(fd_, SHUT_WR); }

Client& Client::Send(std::string_view bytes) {
  last_sent_ = bytes;
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (!WaitFor(fd_, POLLOUT | POLLIN, kPatienceMs)) FAIL("the server does not take more");
      if (WaitFor(fd_, POLLIN, 0)) Receive();
    } else {
      break;  // The server may close before it has read all: what it sent then is what counts.
    }
  }
  return *this;
}

Client& Client::SendInPieces(const std::vector<std::string_view>& pieces) {
  for (const std::string_view piece : pieces) {
    Send(piece);
    server_->PassTurns(2 + static_cast<int>(piece.size() / server::kInputBytesBesideOthers));
  }
  return *this;
}

std::size_t Client::SendWithoutReading(std::string_view bytes) {
  constexpr int kPauseMs = 50;  // Of a loopback peer that still reads.
  const std::size_t all = bytes.size();
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EAGAIN || !WaitFor(fd_, POLLOUT, kPauseMs)) {
      break;
    }
  }
  return all - bytes.size();
}

bool Client::Receive(int patience_ms) {
  if (is_at_end_ || !WaitFor(fd_, POLLIN, patience_ms)) return false;
  const std::size_t size = received_.size();
  received_.resize(size + kReceiveBytes);
  const ssize_t received = recv(fd_, received_.data() + size, kReceiveBytes, MSG_DONTWAIT);
  received_.resize(size + static_cast<std::size_t>(std::max<ssize_t>(received, 0)));
  if (received == 0 || (received < 0 && errno != EAGAIN && errno != EINTR)) is_at_end_ = true;
  return !is_at_end_;
}

void Client::Fail(int line, std::string_view expected) const {
  FAIL("line " << line << ": sent " << Shorten(last_sent_) << "\nexpected " << expected << "\ngot "
               << Shorten(received_) << (is_at_end_ ? ", then the end" : ""));
  std::abort();  // Not reached: FAIL throws.
}

Client& Client::Expect(std::string_view reply, int line) {
  while (received_.size() < reply.size() && reply.starts_with(received_) && Receive()) {
  }
  if (!received_.starts_with(reply)) {
    Fail(line, Shorten(reply) + DescribeDifference(reply, received_));
  }
  received_.erase(0, reply.size());
  return *this;
}

Client& Client::ExpectMatch(const std::string& pattern, int line) {
  const std::regex expression(pattern);
  while (!std::regex_match(received_, expression)) {
    if (!Receive()) Fail(line, "/" + pattern + "/");
  }
  received_.clear();
  return *this;
}

Client& Client::ExpectNothing(int line) {
  const std::string sent = last_sent_;
  Send("mn\r\n");
  last_sent_ = sent;  // Failures show the request that had more to say.
  Expect("MN\r\n", line);
  if (!received_.empty()) Fail(line, "nothing more");
  return *this;
}

Client& Client::ExpectSilence(int line) {
  server_->Settle();
  while (Receive(0)) {
  }
  if (!received_.empty() || is_at_end_) Fail(line, "no reply yet");
  return *this;
}

Client& Client::ExpectClosed(int line) {
  while (received_.empty() && Receive()) {
  }
  if (!received_.empty() || !is_at_end_) Fail(line, "the end of the connection");
  return *this;
}

std::string Client::ReceiveUntil(std::string_view end, int line) {
  std::size_t found = received_.find(end);
  while (found == std::string::npos) {
    const std::size_t looked = received_.size() - std::min(received_.size(), end.size());
    if (!Receive()) Fail(line, "something that ends in " + Quote(end));
    found = received_.find(end, looked);
  }
  std::string text = received_.substr(0, found + end.size());
  received_.erase(0, text.size());
  return text;
}

std::string Client::ReceiveBytes(std::size_t bytes, int line) {
  while (received_.size() < bytes && Receive()) {
  }
  if (received_.size() < bytes && !is_at_end_) Fail(line, fmt::format("{} bytes", bytes));
  std::string text = received_.substr(0, bytes);
  received_.erase(0, text.size());
  return text;
}

std::map<std::string, std::string> Client::Stats(std::string_view what, int line) {
  Send(fmt::format("stats {}\r\n", what));
  std::map<std::string, std::string> rows;
  for (std::string row = ReceiveLine(line); row != "END\r\n"; row = ReceiveLine(line)) {
    const std::size_t name_end = row.find(' ', 5);
    if (!row.starts_with("STAT ") || name_end == std::string::npos) {
      received_.insert(0, row);
      Fail(line, "a STAT line");
    }
    const bool is_new = rows.emplace(row.substr(5, name_end - 5),
                                     row.substr(name_end + 1, row.size() - name_end - 3))
                            .second;
    if (!is_new) FAIL("line " << line << ": this came twice: " << row);
  }
  return rows;
}

std::uint64_t Client::Stat(const std::string& name, int line) {
  const auto rows = Stats("", line);
  const auto row = rows.find(name);
  if (row == rows.end()) FAIL("line " << line << ": there is no statistic " << name);
  return std::stoull(row->second);
}

std::string Client::CasOf(std::string_view key, int line) {
  Send(fmt::format("gets {}\r\n", key));
  const std::string head = ReceiveLine(line);
  if (!head.starts_with("VALUE ")) FAIL("line " << line << ": not there: " << key);
  ReceiveUntil("END\r\n", line);
  return head.substr(head.rfind(' ') + 1, head.size() - head.rfind(' ') - 3);
}

// --- TestServer ---------------------------------------------------------------------------------

TestServer::TestServer(const Configure& configure) {
  config_.port = -1;
  config_.threads = 2;
  config_.listen = {{.host = "127.0.0.1"}};
  if (configure) configure(config_);
  auto created = server::Server::Create(config_);
  if (!created) FAIL(created.error().message);
  server_ = std::move(*created);
  thread_ = std::thread([this] { has_saved_ = server_->Run(); });
}

TestServer::~TestServer() {
  probes_.clear();
  RequestStop();
  Join();
}

void TestServer::Join() {
  if (thread_.joinable()) thread_.join();
  CHECK(has_saved_);
}

Client TestServer::ConnectWith(std::size_t listener, int receive_buffer_bytes) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  const int listening = server_->listeners().at(listener).fd();
  REQUIRE(getsockname(listening, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  has_connected_ = true;
  Client client(*this, fd);
  if (receive_buffer_bytes != 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  }
  REQUIRE(connect(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0);
  const int on = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // Pieces must leave as they are.
  return client;
}

void TestServer::PassTurns(int turns) {
  // Connections go to the workers in turn, so this makes one for each. When these are served, those
  // made before are, too.
  if (has_connected_) {
    probes_.clear();
    for (int i = 0; i < config_.threads; ++i) {
      probes_.push_back(Connect());
      if (!probe_login_.empty()) probes_.back().Send(probe_login_).Expect("STORED\r\n");
    }
    has_connected_ = false;
  }
  // A loopback socket has what was sent when send returns. So the turn of the loop that answers has
  // seen it, or one before. A second answer tells that the first turn is over.
  for (int turn = 0; turn < turns; ++turn) {
    for (Client& probe : probes_) probe.ExpectNothing();
  }
}

void TestServer::AdvanceClock(std::uint32_t seconds) { server_->AdvanceClock(seconds); }

void TestServer::StepWallClock(std::int32_t seconds) { server_->StepWallClock(seconds); }

void TestServer::Reload() {
  server_->RequestReload();
  server_->AdvanceClock(1);  // It waits for the main loop.
}

// --- Bytes --------------------------------------------------------------------------------------

std::string StorageRequest(const StorageSpec& spec) {
  return fmt::format("{} {} {} {} {}{}{}\r\n{}\r\n", spec.verb, spec.key, spec.flags, spec.exptime,
                     spec.value.size(), spec.rest.empty() ? "" : " ", spec.rest, spec.value);
}

std::string SetRequest(std::string_view key, std::string_view value, std::uint32_t flags) {
  return StorageRequest({.key = key, .value = value, .flags = flags});
}

std::string ValueReply(std::string_view key, std::string_view value, std::uint32_t flags) {
  return fmt::format("VALUE {} {} {}\r\n{}\r\n", key, flags, value.size(), value);
}

std::string PatternBytes(std::size_t bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text(bytes, '\0');
  for (std::size_t at = 0; at < bytes; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(text.data() + at, &word, std::min(sizeof word, bytes - at));
  }
  return text;
}

}  // namespace larder::wire
