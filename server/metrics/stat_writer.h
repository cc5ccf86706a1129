// Statistics on their way to a client.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocol/binary/binary_packet.h"
#include "server/metrics/metric.h"

namespace larder::server {

// StatWriter appends statistics to a reply: as `STAT <name> <value>` lines, or as packets of the
// binary protocol where it is given the request to echo.
//
// Threads: one worker.
class StatWriter {
 public:
  explicit StatWriter(std::string& reply) : reply_(reply) {}
  StatWriter(std::string& reply, const protocol::Echo& echo) : reply_(reply), echo_(echo) {}

  void Write(std::string_view name, std::string_view value);
  // The rows that are shown, each name after `prefix`.
  template <class Source>
  void WriteRows(std::span<const Metric<Source>> rows, const Source& source,
                 std::string_view prefix = "") {
    for (const Metric<Source>& row : rows) {
      if (row.is_shown != nullptr && !row.is_shown(source)) continue;
      name_.assign(prefix).append(row.name);
      Write(name_, row.get(source));
    }
  }
  // Ends the list.
  void End();

 private:
  void WritePacket(std::string_view name, std::string_view value);

  std::string& reply_;
  const std::optional<protocol::Echo> echo_;
  std::string name_;  // Of the row that is being written.
};

}  // namespace larder::server
