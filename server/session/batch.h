// Requests parsed ahead.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/binary/binary_request.h"
#include "protocol/encoding/base64.h"
#include "protocol/parse_result.h"
#include "protocol/text/line_request.h"

namespace larder::server {

inline constexpr std::size_t kBatchRequests = 32;

// Requests whose memory in the cache is on its way when they are executed.
struct Batch {
  // One of these is in use, as the client's protocol is.
  std::array<protocol::LineRequest, kBatchRequests> lines;
  std::array<protocol::BinaryRequest, kBatchRequests> packets;
  std::array<std::uint64_t, kBatchRequests> hashes;
  // Where the parser stood after each request: a batch may have to end before its last one.
  std::array<std::string_view, kBatchRequests> rests;
  std::array<protocol::KeyList, kBatchRequests> key_lists;
  // Room for keys that come in base64.
  std::array<std::array<char, protocol::DecodedBytesMax(protocol::kKeyBytesMax)>, kBatchRequests>
      decoded_keys;
  std::size_t count = 0;
};

}  // namespace larder::server
