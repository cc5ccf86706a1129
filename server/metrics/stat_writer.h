// StatWriter, which formats statistics for a client.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocol/binary/binary_packet.h"
#include "server/metrics/metric.h"

namespace larder::server {

// StatWriter appends statistics to a reply: as `STAT <name> <value>` lines, or, if it is given the
// fields that a reply of the binary protocol repeats, as packets of that protocol.
//
// Threads: one worker.
// Owns:    nothing; the reply must outlive it.
class StatWriter {
 public:
  // For the text protocol.
  explicit StatWriter(std::string& reply) : reply_(reply) {}
  // For the binary protocol.
  StatWriter(std::string& reply, const protocol::Echo& echo) : reply_(reply), echo_(echo) {}

  // Appends one statistic. `value` is printed as it is. REQUIRES: `name` is not empty, because an
  // entry without a name ends the list.
  void Write(std::string_view name, std::string_view value);
  // Appends the rows that this source has, with `prefix` before each name.
  template <class Source>
  void WriteRows(std::span<const Metric<Source>> rows, const Source& source,
                 std::string_view prefix = "") {
    for (const Metric<Source>& row : rows) {
      if (row.is_shown != nullptr && !row.is_shown(source)) continue;
      name_.assign(prefix).append(row.name);
      Write(name_, row.get(source));
    }
  }
  // Appends the end of the list: the line END, or a packet without key and value.
  void End();

 private:
  // Appends one packet.
  //
  // REQUIRES: echo_ has a value.
  void WritePacket(std::string_view name, std::string_view value);

  std::string& reply_;
  const std::optional<protocol::Echo> echo_;
  // The name of the row that is being written; a member, so that its memory is used again.
  std::string name_;
};

}  // namespace larder::server
