#include "server/session/session.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/text/text_reply.h"
#include "server/authenticator.h"
#include "server/clock.h"
#include "server/reply/unsent_output.h"
#include "slab/cache.h"
#include "tests/server/worker_parts.h"

namespace larder::server {
namespace {

struct TestHost final : TurnHost {
  bool AreOthersReady() override { return are_others_ready; }
  void WakeStreams() override {}

  bool are_others_ready = false;
};

// Sessions without sockets, on a small cache.
class SessionTest {
 protected:
  // Puts bytes where the session wants them; what does not fit is left in `bytes`.
  static void Put(Session& session, std::string_view& bytes) {
    InputPieces pieces;
    std::size_t put = 0;
    for (const iovec& piece : session.PreparePieces(pieces)) {
      const std::size_t n = std::min(piece.iov_len, bytes.size());
      std::memcpy(piece.iov_base, bytes.data(), n);
      bytes.remove_prefix(n);
      put += n;
    }
    session.Took(put);
  }

  // One turn: what it answers.
  std::string Turn(Session& session, std::string_view& bytes) {
    session.BeginTurn();
    if (session.is_streaming()) {
      session.ContinueStream();
    } else {
      Put(session, bytes);
      session.Serve();
    }
    return TakeOutput();
  }

  // As many turns as the session goes on for: all that it answers.
  std::string Send(Session& session, std::string_view bytes) {
    std::string replies;
    do {
      replies += Turn(session, bytes);
    } while (!session.has_ended() &&
             (!bytes.empty() || session.wants_turn() || session.is_streaming()));
    return replies;
  }
  std::string SendByteByByte(Session& session, std::string_view bytes) {
    std::string replies;
    for (const char& byte : bytes) replies += Send(session, {&byte, 1});
    return replies;
  }

  std::string TakeOutput() {
    Output& output = workspace_.output;
    OutputSlice slice{.end = output.size(), .pins_end = output.pins().size()};
    UnsentOutput unsent(output.data(), output.pins(), slice);
    std::string taken;
    while (!unsent.is_empty()) {
      OutputPieces room;
      std::size_t bytes = 0;
      for (const iovec& piece : unsent.Pieces(room)) {
        taken.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
        bytes += piece.iov_len;
      }
      unsent.Consume(bytes);
    }
    output.Clear();
    return taken;
  }

  std::uint64_t KeptBytes() { return workspace_.buffers().value(Buffer::kTails); }

  Config config_ = [] {
    Config config;
    config.cluster_admin = true;
    config.drop_admin = true;
    config.requests_per_turn_max = 4;
    return config;
  }();
  Clock clock_;
  std::unique_ptr<slab::Cache> cache_ = std::move(*slab::Cache::Create({}));
  std::unique_ptr<Authenticator> authenticator_ = std::move(*Authenticator::Create(config_));
  WorkerParts parts_{config_, *cache_, clock_, *authenticator_};
  TestHost host_;
  Workspace workspace_{parts_.shared, host_};
  Wires wires_{workspace_};
};

TEST_CASE_METHOD(SessionTest, "a session answers alike however its bytes are split",
                 "[server][session]") {
  const std::string requests =
      "set a 1 0 3\r\nabc\r\nget a b\r\nset b 0 0 0\r\n\r\nmg b v\r\nbad\r\nset c 0 0 "
      "2\r\nlonger\r\n"
      "get a b\r\ngets\r\nmn\r\n";
  Session whole(wires_, {}, {}, 1);
  const std::string replies = Send(whole, requests);
  CHECK(replies.ends_with("MN\r\n"));
  REQUIRE(cache_->Delete({"b", cache_->Hash("b")}, workspace_.lane));
  Session split(wires_, {}, {}, 2);
  CHECK(SendByteByByte(split, requests) == replies);
  CHECK(KeptBytes() == 0);
}

TEST_CASE_METHOD(SessionTest, "the first byte decides on the protocol, unless the terms do",
                 "[server][session]") {
  const std::string noop = std::string("\x80\x0a", 2) + std::string(22, '\0');
  const std::string answer = std::string("\x81\x0a", 2) + std::string(22, '\0');
  Session negotiated(wires_, {}, {}, 1);
  CHECK(Send(negotiated, noop) == answer);
  Session text(wires_, {.protocol = BindingProtocol::kAscii}, {}, 2);
  CHECK(Send(text, noop + "\r\n").ends_with("ERROR\r\n"));
  Session binary(wires_, {.protocol = BindingProtocol::kBinary}, {}, 3);
  CHECK(Send(binary, "get a and as many bytes as a head\r\n") != "END\r\n");
  CHECK(binary.has_ended());
}

TEST_CASE_METHOD(SessionTest, "most of a large value is put straight into the cache",
                 "[server][session]") {
  Session session(wires_, {}, {}, 1);
  const std::string value(100'000, 'v');
  const std::string begin = "set large 0 0 100000\r\n" + value.substr(0, 40'000);
  CHECK(Send(session, begin).empty());
  REQUIRE(session.uploading() != nullptr);
  CHECK(session.uploading()->holds_memory());
  CHECK(KeptBytes() == 0);
  session.BeginTurn();
  InputPieces room;
  const auto pieces = session.PreparePieces(room);
  const char* const area = workspace_.input.data();
  REQUIRE(pieces.size() >= 2);
  CHECK(pieces.back().iov_base == area);
  std::size_t room_bytes = 0;
  for (const iovec& piece : pieces.first(pieces.size() - 1)) room_bytes += piece.iov_len;
  CHECK(room_bytes == 60'000);
  CHECK(Send(session, value.substr(40'000) + "\r\nget large\r\n") ==
        "STORED\r\nVALUE large 0 100000\r\n" + value + "\r\nEND\r\n");
  CHECK(session.is_between_requests());
}

TEST_CASE_METHOD(SessionTest, "a value that is refused is thrown away, and what follows is served",
                 "[server][session]") {
  Session session(wires_, {}, {}, 1);
  CHECK(Send(session, "set large 0 0 2000000\r\n") ==
        "SERVER_ERROR object too large for cache\r\n");
  CHECK(session.resting_state() == ConnectionState::kSwallow);
  CHECK(Send(session, std::string(2'000'000, 'v')).empty());
  CHECK(Send(session, "\r\nmn\r\n") == "MN\r\n");
  CHECK(session.is_between_requests());
}

TEST_CASE_METHOD(SessionTest, "a session that has ended keeps nothing and answers nothing",
                 "[server][session]") {
  Session session(wires_, {}, {}, 1);
  CHECK(Send(session, "mn\r\nquit\r\nmn\r\n") == "MN\r\n");
  CHECK(session.has_ended());
  CHECK(KeptBytes() == 0);
}

TEST_CASE_METHOD(SessionTest,
                 "a turn ends after so many requests, and the next goes on behind them",
                 "[server][session]") {
  Session session(wires_, {}, {}, 1);
  std::string_view requests = "mn\r\nmn\r\nmn\r\nmn\r\nmn\r\nversion\r\n";
  CHECK(Turn(session, requests) == "MN\r\nMN\r\nMN\r\nMN\r\n");
  CHECK(session.wants_turn());
  CHECK(Turn(session, requests).starts_with("MN\r\nVERSION "));
  CHECK_FALSE(session.wants_turn());
}

TEST_CASE_METHOD(SessionTest, "a list of all keys is a stream, and requests wait until it ends",
                 "[server][session]") {
  Session session(wires_, {}, {}, 1);
  // More than a piece of the stream has room for.
  std::string sets;
  for (int i = 0; i < 2000; ++i) sets += "set k" + std::to_string(i) + " 0 0 1 noreply\r\nx\r\n";
  CHECK(Send(session, sets).empty());
  std::string_view requests = "lru_crawler metadump all\r\nmn\r\n";
  std::string replies = Turn(session, requests);
  REQUIRE(session.is_streaming());
  CHECK(session.has_kept_input());
  CHECK(session.resting_state() == ConnectionState::kMwrite);
  while (session.is_streaming()) replies += Turn(session, requests);
  CHECK(std::ranges::count(replies, '\n') == 2000 + 2);
  CHECK(replies.ends_with("END\r\n"));
  CHECK(Send(session, "") == "MN\r\n");
}

TEST_CASE_METHOD(SessionTest, "an unauthenticated client is told so, and cannot store",
                 "[server][session]") {
  Session session(wires_, {.authentication = Authentication::kRequired}, {}, 1);
  CHECK(Send(session, "get k\r\n") == "CLIENT_ERROR unauthenticated\r\n");
  Session other(wires_, {}, {}, 2);
  CHECK(Send(other, "get k\r\n") == "END\r\n");
}

TEST_CASE_METHOD(SessionTest, "only a client of this machine changes the cluster",
                 "[server][session]") {
  const std::string_view request = "config delete cluster\r\n";
  Session remote(wires_, {}, ClientIdentity{.address = {}, .is_local = false}, 1);
  Session local(wires_, {}, ClientIdentity{.address = {}, .is_local = true}, 2);
  CHECK(Send(remote, request) == protocol::kConfigNotAllowed);
  CHECK(Send(local, request) == protocol::kNotFound);
  CHECK(Send(remote, request) == protocol::kConfigNotAllowed);
}

TEST_CASE_METHOD(SessionTest, "with --drop-admin only a client of this machine drops",
                 "[server][session]") {
  Session remote(wires_, {}, ClientIdentity{.address = {}, .is_local = false}, 1);
  Session local(wires_, {}, ClientIdentity{.address = {}, .is_local = true}, 2);
  CHECK(Send(local, "set k 0 0 1\r\nv\r\n") == "STORED\r\n");
  CHECK(Send(remote, "drop k\r\nmd k p\r\n") ==
        std::string(protocol::kDropNotAllowed) + std::string(protocol::kDropNotAllowed));
  CHECK(Send(remote, "get k\r\n") == "VALUE k 0 1\r\nv\r\nEND\r\n");
  CHECK(Send(local, "drop k\r\nget k\r\n") == "OK\r\nEND\r\n");
}

}  // namespace
}  // namespace larder::server
