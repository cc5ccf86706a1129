// Fuzzes a whole connection, from bytes to replies, against a small cache: as text or binary, with
// every command. The same stream goes to two servers, to one whole and to the other in pieces; both
// must answer alike and in good form, close alike, and leave a cache that is sound.
//
// The servers have no threads: the worker's turns run here. The mark kTimePasses in a stream is not
// sent but moves their clock.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "protocol/binary/binary_packet.h"
#include "protocol/text/text_reply.h"
#include "server/authenticator.h"
#include "server/clock.h"
#include "server/log.h"
#include "server/net/worker.h"
#include "slab/cache.h"
#include "tests/fuzz/stream.h"
#include "tests/server/worker_parts.h"

namespace larder::server {
namespace {

// Behind it comes a byte: how many seconds pass.
constexpr std::string_view kTimePasses = "\xf0\x9f";

// Calls fn(bytes to send, seconds that pass after them) for each part of a stream, in order. A part
// may be without bytes, as when the stream begins with a mark.
template <class Fn>
void ForEachPart(std::string_view stream, Fn&& fn) {
  while (!stream.empty()) {
    const std::string_view bytes = stream.substr(0, stream.find(kTimePasses));
    stream.remove_prefix(bytes.size());
    const bool has_seconds = stream.size() > kTimePasses.size();
    const unsigned seconds =
        has_seconds ? static_cast<unsigned char>(stream[kTimePasses.size()]) : 0;
    stream.remove_prefix(std::min(stream.size(), kTimePasses.size() + 1));
    fn(bytes, seconds);
  }
}

// All that a stream has the client send: what is expected of the replies depends on this alone, for
// a mark may stand anywhere, also before the first byte, in a word or in a line.
std::string SentBytes(std::string_view stream) {
  std::string sent;
  ForEachPart(stream, [&](std::string_view bytes, unsigned) { sent += bytes; });
  return sent;
}

// --- The server ----------------------------------------------------------------------------------

// What the first byte of an input chooses from.
struct Setting {
  // A page for every class: an upload that comes in pieces reserves memory, even if nothing comes
  // of it, and must not evict what the same stream in one piece would leave.
  std::uint64_t memory_bytes = std::uint64_t{32} << 20;
  std::uint32_t item_bytes_max = 256 * 1024;
  int requests_per_turn = 1024;
  bool evict = true;
  bool use_cas = true;
  bool is_full = false;  // Of items that the stream does not name.
  bool has_password = false;
  bool is_detailed = false;
};

constexpr std::array<Setting, 8> kSettings = {{
    {},
    {.requests_per_turn = 1, .is_detailed = true},
    {.memory_bytes = 512 * 1024, .item_bytes_max = 128 * 1024, .is_full = true},
    {.memory_bytes = 512 * 1024, .item_bytes_max = 128 * 1024, .evict = false, .is_full = true},
    {.item_bytes_max = 1024, .requests_per_turn = 3},
    {.use_cas = false},
    {.has_password = true},
    {.requests_per_turn = 20},
}};

// A file that is nowhere in the file system.
std::string PasswordPath() {
  static const int fd = [] {
    const int created = memfd_create("passwords", MFD_CLOEXEC);
    constexpr std::string_view kPasswords = "u:p\n";
    Require(write(created, kPasswords.data(), kPasswords.size()) == ssize_t{kPasswords.size()});
    return created;
  }();
  return "/proc/self/fd/" + std::to_string(fd);
}

Config ConfigOf(const Setting& setting) {
  Config config;
  config.port = 0;
  config.threads = 1;
  config.memory_bytes = setting.memory_bytes;
  config.item_bytes_max = setting.item_bytes_max;
  config.requests_per_turn_max = setting.requests_per_turn;
  config.evict = setting.evict;
  config.use_cas = setting.use_cas;
  config.track_sizes = setting.is_detailed;
  config.detail_enabled = setting.is_detailed;
  config.shutdown_command = true;
  config.cluster_admin = true;
  if (setting.has_password) config.auth_file = PasswordPath();
  return config;
}

std::unique_ptr<slab::Cache> MakeCache(const Config& config) {
  slab::Cache::Options options;
  options.memory_bytes = config.memory_bytes;
  options.item_bytes_max = config.item_bytes_max;
  options.evict = config.evict;
  options.track_sizes = config.track_sizes;
  options.prefault = true;  // Without a thread of its own.
  auto cache = slab::Cache::Create(options);
  Require(static_cast<bool>(cache));
  return std::move(*cache);
}

// All that stays the same from input to input.
struct Frame {
  explicit Frame(const Setting& chosen) : setting(chosen), config(ConfigOf(chosen)) {
    auto created = Authenticator::Create(config);
    Require(static_cast<bool>(created));
    authenticator = std::move(*created);
  }

  const Setting setting;
  const Config config;
  std::unique_ptr<Authenticator> authenticator;
};

// One server with one client.
//
// Threads: one.
class Session {
 public:
  Session(const Frame& frame, Clock& clock)
      : cache_(MakeCache(frame.config)),
        parts_(frame.config, *cache_, clock, *frame.authenticator),
        lane_(cache_->AddLane()),
        worker_(parts_.shared) {
    lane_.SetNow(clock.now());
    Fill(frame.setting);
    std::array<int, 2> ends;
    Require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    fd_ = ends[0];
    parts_.shared.clients.fetch_add(1);
    worker_.Adopt({.fd = ends[1],
                   .terms = TermsOf(frame.config),
                   .identity = ClientIdentity::Of(SocketAddress::Peer(ends[1]))});
    worker_.RunOnce();
  }
  ~Session() { close(fd_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Returns when all was served that can be.
  void Send(std::string_view bytes) {
    while (!bytes.empty() && !is_at_end_) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno != EAGAIN) {
        break;  // The server has closed.
      }
      const Progress before = progress();
      Settle();
      Require(sent > 0 || progress() != before);  // Or it hangs.
    }
  }

  // No more comes: the server answers the rest and closes.
  void Finish() {
    shutdown(fd_, SHUT_WR);
    Settle();
    Require(is_at_end_);
    cache_->CheckInvariants();
  }

  const std::string& replies() const { return replies_; }
  // How far the numbers of stores have come.
  std::uint64_t next_cas() { return worker_.lane().cas_next; }
  bool is_at_end() const { return is_at_end_; }

 private:
  // Changes with everything that happens in a turn.
  using Progress = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::size_t, bool>;
  Progress progress() {
    const WorkerCounters& counters = worker_.counters();
    return {counters.value(Stat::kBytesRead), counters.value(Stat::kBytesWritten),
            counters.value(Stat::kConnYields), replies_.size(), is_at_end_};
  }

  void Settle() {
    for (;;) {
      const Progress before = progress();
      worker_.RunOnce();
      Receive();
      if (progress() == before) return;
    }
  }

  void Receive() {
    static std::array<char, 64 * 1024> room;
    while (!is_at_end_) {
      const ssize_t received = recv(fd_, room.data(), room.size(), 0);
      if (received < 0 && errno == EAGAIN) return;
      // A server that leaves bytes unread resets the connection.
      is_at_end_ = received <= 0;
      if (received > 0) replies_.append(room.data(), static_cast<std::size_t>(received));
    }
  }

  // Items larger than any stream: one that is sent from where it lies, one in several chunks.
  void Fill(const Setting& setting) {
    Store("big", std::string(20'000, 'b'));
    Store("huge", std::string(140'000, 'h'));
    Store("n", "41");
    if (!setting.is_full) return;
    for (int i = 0; i < 60; ++i) Store("fill" + std::to_string(i), std::string(9'000, 'f'));
  }
  void Store(std::string_view key, std::string_view value) {
    const slab::ItemSpec spec{.key = {key, cache_->Hash(key)},
                              .value_bytes = static_cast<std::uint32_t>(value.size())};
    (void)cache_->Store(slab::StoreMode::kSet, spec, value, 0, lane_);
  }

  const std::unique_ptr<slab::Cache> cache_;
  WorkerParts parts_;
  slab::Lane& lane_;
  Worker worker_;
  int fd_ = -1;
  bool is_at_end_ = false;
  std::string replies_;
};

// --- Replies -------------------------------------------------------------------------------------

std::string_view TakeWord(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

std::optional<std::size_t> ToNumber(std::string_view word) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return number;
}

bool IsLine(std::string_view line) {
  constexpr std::array<std::string_view, 31> kFirstWords = {"END",
                                                            "STORED",
                                                            "NOT_STORED",
                                                            "EXISTS",
                                                            "ERROR",
                                                            "CLIENT_ERROR",
                                                            "SERVER_ERROR",
                                                            "NOT_FOUND",
                                                            "DELETED",
                                                            "TOUCHED",
                                                            "OK",
                                                            "VERSION",
                                                            "RESET",
                                                            "STAT",
                                                            "ITEM",
                                                            "PREFIX",
                                                            "HD",
                                                            "EN",
                                                            "NF",
                                                            "NS",
                                                            "EX",
                                                            "MN",
                                                            "ME",
                                                            "EXPLAIN",
                                                            "MEMLIMIT_TOO_SMALL",
                                                            "SERVER_ERROR:",
                                                            "MEMLIMIT_ADJUST_FAILED",
                                                            "BUSY",
                                                            "BADCLASS",
                                                            "NOSPARE",
                                                            "SAME"};
  const std::string_view word = TakeWord(line);
  return std::ranges::find(kFirstWords, word) != kFirstWords.end() || ToNumber(word).has_value();
}

// Appends a line of a reply but for the CAS numbers on it.
void AppendWithoutCas(std::string& kept, std::string_view line) {
  const bool is_value = line.starts_with("VALUE ");
  for (int word_number = 0; !line.empty(); ++word_number) {
    std::string_view word = TakeWord(line);
    const bool is_cas =
        is_value
            ? word_number == 4
            : word_number > 0 && (word.starts_with("cas=") ||
                                  (word.starts_with('c') && ToNumber(word.substr(1)).has_value()));
    kept.append(is_cas ? "(cas)" : word) += ' ';
  }
}

// What two servers that were sent the same have in common, of replies that are in good form: all
// but statistics, dumps (in the order of addresses, which are up to when values came), and, on
// demand, CAS numbers.
std::string ComparableText(std::string_view replies, bool with_cas) {
  std::string kept;
  while (!replies.empty()) {
    const std::size_t line_bytes = replies.find(protocol::kCrlf);
    Require(line_bytes != std::string_view::npos);
    const std::string_view line = replies.substr(0, line_bytes);
    replies.remove_prefix(line_bytes + protocol::kCrlf.size());
    std::string_view rest = line;
    const std::string_view word = TakeWord(rest);
    // The lines of metadump have no CR: they come as one, with END behind the last.
    if (word == "STAT" || word == "mg" || word.starts_with("key=")) continue;
    if (with_cas) {
      kept += line;
    } else {
      AppendWithoutCas(kept, line);
    }
    kept += protocol::kCrlf;
    if (word != "VALUE" && word != "VA" && word != "CONFIG") {
      Require(IsLine(line));
      continue;
    }
    if (word != "VA") {
      TakeWord(rest);
      TakeWord(rest);
    }
    const std::optional<std::size_t> value_bytes = ToNumber(TakeWord(rest));
    Require(value_bytes.has_value() && *value_bytes <= replies.size());
    const std::string_view value = replies.substr(0, *value_bytes + protocol::kCrlf.size());
    Require(value.size() >= *value_bytes && value.ends_with(protocol::kCrlf));
    kept += value;
    replies.remove_prefix(value.size());
  }
  return kept;
}

// As ComparableText, of the binary protocol.
std::string ComparablePackets(std::string_view replies, bool with_cas) {
  constexpr char kStatOpcode = 0x10;
  constexpr std::size_t kCasAt = 16;
  std::string kept;
  while (!replies.empty()) {
    Require(replies.size() >= protocol::kPacketHeadBytes);
    const char* const head = replies.data();
    Require(static_cast<unsigned char>(head[0]) == protocol::kReplyMagic && head[5] == 0);
    const std::size_t key_bytes = protocol::LoadBig<std::uint16_t>(head + 2);
    const std::size_t extras_bytes = static_cast<unsigned char>(head[4]);
    const std::size_t body_bytes = protocol::LoadBig<std::uint32_t>(head + 8);
    Require(extras_bytes % 4 == 0 && key_bytes + extras_bytes <= body_bytes);
    Require(body_bytes <= replies.size() - protocol::kPacketHeadBytes);
    std::string packet(replies.substr(0, protocol::kPacketHeadBytes + body_bytes));
    replies.remove_prefix(packet.size());
    if (!with_cas) packet.replace(kCasAt, sizeof(std::uint64_t), sizeof(std::uint64_t), '\0');
    if (packet[1] != kStatOpcode) kept += packet;
  }
  return kept;
}

bool MayNameCas(std::string_view sent, bool is_binary) {
  constexpr std::array<std::string_view, 3> kNaming = {"cas ", " C", " E"};
  return is_binary || std::ranges::any_of(kNaming, [&](std::string_view text) {
           return sent.find(text) != std::string_view::npos;
         });
}

// --- The test ------------------------------------------------------------------------------------

// On standard error, which a fuzzer does not keep but who looks at one input reads.
void Show(std::string_view what, std::string_view replies) {
  Log(LogLevel::kDebug, "--- {}\n{}", what, replies);
}

void TestOneStream(std::uint8_t choice, std::string_view stream) {
  static const auto frames = [] {
    std::array<std::unique_ptr<Frame>, kSettings.size()> made;
    for (std::size_t i = 0; i < made.size(); ++i) made[i] = std::make_unique<Frame>(kSettings[i]);
    return made;
  }();
  const Frame& frame = *frames[choice % kSettings.size()];
  const std::string sent = SentBytes(stream);
  const bool is_binary =
      !sent.empty() && static_cast<unsigned char>(sent[0]) == protocol::kRequestMagic;
  // Without memory to spare, a value that comes late is refused before its end is seen.
  bool must_agree = !frame.setting.is_full && (is_binary || !HasLongLine(sent));
  const bool may_name_cas = MayNameCas(sent, is_binary);

  Clock clock;
  Session whole(frame, clock);
  Session cut(frame, clock);
  Pieces pieces(choice);
  ForEachPart(stream, [&](std::string_view bytes, unsigned seconds) {
    whole.Send(bytes);
    pieces.Cut(bytes, [&](std::string_view piece) { cut.Send(piece); });
    if (seconds == 0) return;
    clock.Advance(seconds);
    clock.Tick();
  });
  const bool closes_alike = whole.is_at_end() == cut.is_at_end();
  whole.Finish();
  cut.Finish();
  // A store that is refused may have used up a number already, or not, if its value came late.
  const bool with_cas = whole.next_cas() == cut.next_cas();
  if (!with_cas && may_name_cas) must_agree = false;
  const auto comparable = is_binary ? &ComparablePackets : &ComparableText;
  const std::string replies = comparable(whole.replies(), with_cas);
  const std::string cut_replies = comparable(cut.replies(), with_cas);
  if (!must_agree || (closes_alike && replies == cut_replies)) return;
  Show("in one piece", replies);
  Show("in pieces", cut_replies);
  Require(closes_alike);
  Require(replies == cut_replies);
}

}  // namespace
}  // namespace larder::server

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  if (bytes == 0) return 0;
  larder::server::TestOneStream(data[0], {reinterpret_cast<const char*>(data) + 1, bytes - 1});
  return 0;
}
