#include "server/watch/event_line.h"

#include <fmt/format.h>

#include <array>
#include <iterator>

#include "protocol/encoding/percent.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// What follows the key, by kind.
void AppendFields(std::string& out, const WatchEvent& event) {
  auto to = std::back_inserter(out);
  switch (event.kind) {
    case EventKind::kItemGet:
      fmt::format_to(to, " status={} clsid={} cfd={} size={}", event.status, event.class_id,
                     event.client, event.value_bytes);
      return;
    case EventKind::kItemStore:
      fmt::format_to(to, " status={} cmd={} ttl={} clsid={} cfd={} size={}", event.status,
                     event.command, event.ttl_s, event.class_id, event.client, event.value_bytes);
      return;
    case EventKind::kDeleted:
      fmt::format_to(to, " cmd={} clsid={} size={}", event.command, event.class_id,
                     event.value_bytes);
      return;
    case EventKind::kEviction:
      fmt::format_to(to, " fetch={} ttl={} la={} clsid={} size={}",
                     event.was_fetched ? "yes" : "no", event.ttl_s, event.idle_s, event.class_id,
                     event.value_bytes);
      return;
    case EventKind::kInvalidated:
      fmt::format_to(to, " cause={}", event.status);
      return;
    case EventKind::kMiss:
      fmt::format_to(to, " cause={} cfd={}", event.status, event.client);
      return;
    case EventKind::kSlow:
      fmt::format_to(to, " us={} cfd={}", event.duration_us, event.client);
      return;
    case EventKind::kText:
      break;
  }
  LARDER_ASSERT(false && "an event without a key has no fields behind it");
}

// The beginning of the line of each kind, up to the key.
std::string_view BeginOf(EventKind kind) {
  switch (kind) {
    case EventKind::kItemGet:
      return "type=item_get key=";
    case EventKind::kItemStore:
      return "type=item_store key=";
    case EventKind::kDeleted:
      return "type=deleted key=";
    case EventKind::kEviction:
      return "type=eviction key=";
    case EventKind::kInvalidated:
      return "type=invalidated key=";
    case EventKind::kMiss:
      return "type=miss key=";
    case EventKind::kSlow:
      return "type=slow cmd=";
    case EventKind::kText:
      break;
  }
  return "";
}

}  // namespace

void AppendPercent(std::string& out, std::string_view bytes) {
  const std::size_t at = out.size();
  out.resize(at + protocol::PercentEncodedBytesMax(bytes.size()));
  char* const end = protocol::EncodePercent(out.data() + at, bytes);
  out.resize(static_cast<std::size_t>(end - out.data()));
}

void AppendEventLine(std::string& out, const NumberedEvent& event) {
  constexpr std::uint64_t kSecond = 1'000'000;
  fmt::format_to(std::back_inserter(out), "ts={}.{:06} gid={} {}", event.time_us / kSecond,
                 event.time_us % kSecond, event.number, BeginOf(event.event.kind));
  if (event.event.has_key()) {
    // The only kind with a field in front of the key.
    if (event.event.kind == EventKind::kSlow) out.append(event.event.command).append(" key=");
    AppendPercent(out, event.event.text);
    AppendFields(out, event.event);
  } else {
    out.append(event.event.text);
  }
  out.push_back('\n');
}

}  // namespace larder::server
