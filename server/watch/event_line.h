// The line that a watcher gets for an event.
#pragma once

#include <string>
#include <string_view>

#include "server/watch/event.h"

namespace larder::server {

// Appends the line of the event, which ends with a line feed alone, in memcached's form:
//
//   ts=<seconds>.<microseconds> gid=<number> type=<type> <field>=<value> ...
//
// The microseconds have six digits, where memcached leaves out leading zeros, so that lines sort by
// time. Keys are percent-encoded.
void AppendEventLine(std::string& out, const NumberedEvent& event);

// Appends bytes in percent-encoding.
void AppendPercent(std::string& out, std::string_view bytes);

}  // namespace larder::server
