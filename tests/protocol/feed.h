// Feeds bytes to a parser as a connection would, piece by piece, and keeps what it answers.
// Knows no test framework, so that the fuzz target can use it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/binary/binary_request.h"
#include "protocol/parse_result.h"
#include "protocol/text/line_request.h"
#include "protocol/text/text_parser.h"
#include "protocol/text/text_parser_slow.h"

namespace larder::protocol {

template <class Request>
using ParserOf = ParseResult (*)(std::string_view, KeyList&, Request&) noexcept;
using Parser = ParserOf<LineRequest>;

// What stands in the slack behind an input: bytes that a parser which looks at them would take
// for more of the request.
inline constexpr std::array<std::string_view, 5> kHostileSlacks = {" ", "\n", "7", "\r\n", "x"};

// HostileInput holds a text in a heap buffer of exactly its size and the slack, so that the address
// sanitizer sees whoever reads further.
//
// Threads: immutable.
// Owns:    the buffer.
class HostileInput {
 public:
  HostileInput(std::string_view text, std::string_view slack)
      : buffer_(new char[text.size() + kInputSlackBytes]), bytes_(text.size()) {
    std::ranges::copy(text, buffer_.get());
    for (std::size_t at = 0; at < kInputSlackBytes; ++at) {
      buffer_[bytes_ + at] = slack[at % slack.size()];
    }
  }

  std::string_view view() const { return {buffer_.get(), bytes_}; }

 private:
  std::unique_ptr<char[]> buffer_;
  std::size_t bytes_;
};

// A LineRequest that owns its texts, with the status it came with.
struct Parsed {
  ParseStatus status = ParseStatus::kComplete;
  std::string key = {};
  std::string value = {};
  std::string arguments = {};
  std::uint64_t cas_unique = 0;
  std::uint64_t delta = 0;
  MetaFlagSet flags = {};
  std::uint32_t client_flags = 0;
  std::int32_t exptime = 0;
  std::uint32_t value_bytes = 0;
  std::uint32_t swallow_bytes = 0;
  std::uint32_t setting = 0;
  TextVerb verb = TextVerb::kNone;
  MetaVerb meta_verb = MetaVerb::kGet;
  LineError error = LineError::kNone;
  bool noreply = false;
  bool is_last_key = true;
  bool is_key_encoded = false;

  bool operator==(const Parsed&) const = default;
  // The connection closes after the answer.
  bool is_last() const { return false; }
  void RefuseValue() {
    verb = TextVerb::kNone;
    error = LineError::kBadDataChunk;
  }
};

inline Parsed Keep(ParseStatus status, const LineRequest& request) {
  return {
      .status = status,
      .key = std::string(request.key),
      .value = std::string(request.value),
      .arguments = std::string(request.arguments),
      .cas_unique = request.cas_unique,
      .delta = request.delta,
      .flags = request.flags,
      .client_flags = request.client_flags,
      .exptime = request.exptime,
      .value_bytes = request.value_bytes,
      .swallow_bytes = request.swallow_bytes,
      .setting = request.setting,
      .verb = request.verb,
      .meta_verb = request.meta_verb,
      .error = request.error,
      .noreply = request.noreply,
      .is_last_key = request.is_last_key,
      .is_key_encoded = request.is_key_encoded,
  };
}

// Likewise of a BinaryRequest.
struct ParsedPacket {
  ParseStatus status = ParseStatus::kComplete;
  std::string key = {};
  std::string value = {};
  std::string head = {};
  std::uint64_t cas = 0;
  std::uint64_t delta = 0;
  std::uint32_t client_flags = 0;
  std::uint32_t exptime = 0;
  std::uint32_t value_bytes = 0;
  std::uint32_t swallow_bytes = 0;
  BinaryVerb verb = BinaryVerb::kNone;
  PacketError error = PacketError::kNone;
  bool is_quiet = false;

  bool operator==(const ParsedPacket&) const = default;
  bool is_last() const {
    return error == PacketError::kBadBodyLength || error == PacketError::kBadArguments;
  }
  void RefuseValue() {}  // Nothing follows a value that could be wrong.
};

inline ParsedPacket Keep(ParseStatus status, const BinaryRequest& request) {
  return {
      .status = status,
      .key = std::string(request.key),
      .value = std::string(request.value),
      .head = std::string(request.head),
      .cas = request.cas,
      .delta = request.delta,
      .client_flags = request.client_flags,
      .exptime = request.exptime,
      .value_bytes = request.value_bytes,
      .swallow_bytes = request.swallow_bytes,
      .verb = request.verb,
      .error = request.error,
      .is_quiet = request.is_quiet,
  };
}

inline std::ostream& operator<<(std::ostream& out, const Parsed& parsed) {
  return out << "{status " << int{static_cast<std::uint8_t>(parsed.status)} << " verb "
             << int{static_cast<std::uint8_t>(parsed.verb)} << " error "
             << int{static_cast<std::uint8_t>(parsed.error)} << " key '" << parsed.key
             << "' value '" << parsed.value << "' arguments '" << parsed.arguments << "' cas "
             << parsed.cas_unique << " delta " << parsed.delta << " meta "
             << int{static_cast<std::uint8_t>(parsed.meta_verb)} << " meta flags "
             << parsed.flags.bits() << " setting " << parsed.setting << " flags "
             << parsed.client_flags << " exptime " << parsed.exptime << " bytes "
             << parsed.value_bytes << " swallow " << parsed.swallow_bytes
             << (parsed.noreply ? " noreply" : "") << (parsed.is_last_key ? "" : " more keys")
             << "}";
}

// FeedOf is a connection without a socket: it keeps the unconsumed tail of each piece for the next,
// receives values that the parser left to it, and swallows what a refused command brings along.
//
// Threads: one.
// Owns:    the tail and all it has parsed.
template <class Request>
class FeedOf {
 public:
  using Answer = decltype(Keep(ParseStatus::kComplete, Request()));

  // value_end_bytes: of the CRLF behind a value, none in the binary protocol.
  explicit FeedOf(ParserOf<Request> parser, std::string_view slack = " ",
                  std::size_t value_end_bytes = 2)
      : parser_(parser), slack_(slack), value_end_bytes_(value_end_bytes) {}

  void Receive(std::string_view piece) {
    tail_ += piece;
    while (Step()) {
    }
  }

  // In order of arrival. Ends with a kFatal or kLineTooLong if the parser gave up.
  const std::vector<Answer>& parsed() const { return parsed_; }

  // The bytes that wait for more; of a value that is being received, those of it that came.
  const std::string& tail() const { return tail_; }

  const KeyList& list() const { return list_; }
  bool is_closed() const { return is_closed_; }

  // False if the parser broke its contract in a way that no answer shows.
  bool is_sane() const { return is_sane_; }

 private:
  // Takes one thing off the tail; false if it needs more bytes.
  bool Step() {
    if (is_closed_) return false;
    if (swallow_bytes_ > 0) {
      const std::size_t swallowed = std::min(swallow_bytes_, tail_.size());
      tail_.erase(0, swallowed);
      swallow_bytes_ -= swallowed;
      return swallow_bytes_ == 0;
    }
    if (is_receiving_) return ReceiveValue();

    const HostileInput input(tail_, slack_);
    Request request;
    const ParseResult result = parser_(input.view(), list_, request);
    is_sane_ &= result.consumed_bytes <= tail_.size();
    is_sane_ &= !(list_.is_open && list_.is_skipping);
    if (result.status == ParseStatus::kFatal || result.status == ParseStatus::kLineTooLong) {
      is_closed_ = true;
      parsed_.push_back({.status = result.status});
      return false;
    }
    if (result.status != ParseStatus::kNeedMore) {
      is_sane_ &= result.consumed_bytes > 0;
      parsed_.push_back(Keep(ParseStatus::kComplete, request));
      swallow_bytes_ = request.swallow_bytes;
      is_receiving_ = result.status == ParseStatus::kNeedValue;
      is_closed_ = parsed_.back().is_last();
    }
    tail_.erase(0, result.consumed_bytes);
    return result.status != ParseStatus::kNeedMore;
  }

  // Ends as TakeValue() does when all is in the input.
  bool ReceiveValue() {
    Answer& waiting = parsed_.back();
    const std::size_t block_bytes = waiting.value_bytes + value_end_bytes_;
    if (tail_.size() < block_bytes) return false;
    if (value_end_bytes_ == 0 || tail_.compare(waiting.value_bytes, 2, "\r\n") == 0) {
      waiting.value = tail_.substr(0, waiting.value_bytes);
    } else {
      waiting.RefuseValue();
    }
    tail_.erase(0, block_bytes);
    is_receiving_ = false;
    return true;
  }

  ParserOf<Request> parser_;
  std::string_view slack_;
  std::size_t value_end_bytes_;
  KeyList list_;
  std::string tail_;
  std::vector<Answer> parsed_;
  std::size_t swallow_bytes_ = 0;
  bool is_receiving_ = false;
  bool is_closed_ = false;
  bool is_sane_ = true;
};

using Feed = FeedOf<LineRequest>;
using PacketFeed = FeedOf<BinaryRequest>;

// True if both have answered alike and wait for the same.
template <class Request>
bool AreAlike(const FeedOf<Request>& one, const FeedOf<Request>& other) {
  return one.is_sane() && other.is_sane() && one.is_closed() == other.is_closed() &&
         one.parsed() == other.parsed() && (one.is_closed() || one.tail() == other.tail()) &&
         one.list().is_open == other.list().is_open &&
         one.list().is_skipping == other.list().is_skipping;
}

}  // namespace larder::protocol
