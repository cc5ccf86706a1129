#include "server/metrics/stat_writer.h"

#include <array>

#include "protocol/binary/binary_reply.h"
#include "protocol/text/text_reply.h"
#include "slab/check.h"

namespace larder::server {

void StatWriter::Write(std::string_view name, std::string_view value) {
  LARDER_ASSERT(!name.empty());
  // A request to echo means the binary protocol.
  if (echo_) return WritePacket(name, value);
  reply_.append(protocol::kStatHead).append(name).append(" ").append(value).append(protocol::kCrlf);
}

void StatWriter::End() {
  // In both protocols, an entry without a name ends the list.
  if (!echo_) {
    reply_.append(protocol::kEnd);
  } else {
    WritePacket("", "");
  }
}

void StatWriter::WritePacket(std::string_view name, std::string_view value) {
  LARDER_ASSERT(echo_.has_value());
  std::array<char, protocol::kPacketHeadBytes> head;
  protocol::WriteReplyHead(head.data(), *echo_,
                           {.key_bytes = name.size(), .value_bytes = value.size()});
  reply_.append(head.data(), head.size()).append(name).append(value);
}

}  // namespace larder::server
