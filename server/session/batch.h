// A batch: requests that are parsed before any of them is executed.
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

// The most requests of a batch.
inline constexpr std::size_t kBatchRequests = 32;

// Batch stores the requests that are parsed together. While they are parsed, the memory of their
// keys is prefetched, so that most of it has arrived in the processor's cache when the requests are
// executed.
//
// Threads:    one worker.
// Owns:       nothing that its views refer to: those are in the input.
// Invariants: the first `count` elements of the arrays belong to the batch. After the last of them
//             the arrays may have one more request, a store whose value has not completely arrived.
struct Batch {
  // The requests. One of the two arrays is in use, whichever the client's protocol needs.
  std::array<protocol::LineRequest, kBatchRequests> lines;
  std::array<protocol::BinaryRequest, kBatchRequests> packets;
  // The hash of each request's key.
  std::array<std::uint64_t, kBatchRequests> hashes;
  // Where the input goes on behind each request, and the parser's state there: a batch may have to
  // end before its last request, and then parsing continues from here.
  std::array<const char*, kBatchRequests> ends;
  std::array<protocol::KeyList, kBatchRequests> key_lists;
  // Room for the decoded form of keys that arrive in base64.
  std::array<std::array<char, protocol::DecodedBytesMax(protocol::kKeyBytesMax)>, kBatchRequests>
      decoded_keys;
  // The number of requests in the batch.
  std::size_t count = 0;
};

}  // namespace larder::server
