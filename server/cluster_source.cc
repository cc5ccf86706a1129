#include "server/cluster_source.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <system_error>
#include <utility>

#include "server/log.h"
#include "server/signals.h"
#include "slab/check.h"
#include "slab/sync/thread.h"

namespace larder::server {
namespace {

// How long Start() sleeps until it checks again whether the file is old enough.
constexpr auto kFreshFilePause = std::chrono::milliseconds(10);

// The system's time, in seconds.
std::uint32_t UnixNow() { return static_cast<std::uint32_t>(std::time(nullptr)); }

// Returns whether a file was changed in the present second. Such a file may change again within the
// second and still have the same stamp, and a second list would have to share the version of the
// first: so it is read only when the second is over. The server's clock may be up to a second
// behind; a file from further in the future was written by a clock that was wrong, and is not
// waited for.
bool IsFresh(const FileStamp& stamp, std::uint32_t now_s) {
  constexpr std::int64_t kClockLagMaxS = 2;
  const std::int64_t age_s = std::int64_t{now_s} - stamp.changed_s();
  return age_s <= 0 && age_s >= -kClockLagMaxS;
}

// Returns an address in its usual notation.
std::string AddressText(const addrinfo& info) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* const address =
      info.ai_family == AF_INET
          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(info.ai_addr)->sin_addr)
          : &reinterpret_cast<const sockaddr_in6*>(info.ai_addr)->sin6_addr;
  const char* const written = inet_ntop(info.ai_family, address, text.data(), text.size());
  return written != nullptr ? written : "";
}

}  // namespace

AddressesResult ResolveAddresses(const std::string& host) {
  std::string reason;
  // IPv6 is only asked for if there is no IPv4 address.
  for (const int family : {AF_INET, AF_INET6}) {
    addrinfo hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int failure = getaddrinfo(host.c_str(), nullptr, &hints, &found);
    if (failure != 0) {
      // The first reason is the one to report.
      if (reason.empty()) reason = gai_strerror(failure);
      continue;
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
    std::vector<std::string> addresses;
    for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
      addresses.push_back(AddressText(*info));
    }
    // Sorted, so that an unchanged set of addresses is an unchanged list.
    std::ranges::sort(addresses);
    addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
    if (!addresses.empty()) return addresses;
  }
  return Failure{reason.empty() ? std::string("no addresses") : reason};
}

ClusterSource::ClusterSource(const Config& config, Cluster& cluster, WorkerCounters& counters,
                             Resolver resolver)
    : file_path_(config.cluster_file),
      file_bytes_max_(config.cluster_file_bytes_max),
      dns_host_(config.cluster_dns_host),
      dns_port_(config.cluster_dns_port),
      dns_interval_s_(config.cluster_dns_interval_s),
      nodes_max_(config.cluster_nodes_max),
      resolver_(std::move(resolver)),
      cluster_(cluster),
      counters_(counters) {
  LARDER_ASSERT(resolver_ != nullptr);
  LARDER_ASSERT(file_path_.empty() || dns_host_.empty());
  LARDER_ASSERT(dns_host_.empty() || (dns_port_ != 0 && dns_interval_s_ > 0));
  LARDER_ASSERT(nodes_max_ > 0);
}

void ClusterSource::Start() {
  // The first list is read even if the file was written just before the start.
  if (!file_path_.empty()) {
    // A signal that asks to stop ends the waiting.
    for (auto stamp = StampOf(file_path_);
         stamp && IsFresh(*stamp, UnixNow()) && !StopIsSignalled();) {
      std::this_thread::sleep_for(kFreshFilePause);
    }
  }
  Tick(UnixNow());
}

void ClusterSource::Tick(const slab::Now& now) {
  if (!file_path_.empty()) WatchFile(now.wall_s());
  if (!dns_host_.empty()) WatchName(now);
}

void ClusterSource::ReadAgain(const slab::Now& now) {
  // The file counts as not read, and the next lookup is due at once.
  seen_.reset();
  next_lookup_s_ = 0;
  last_complaint_.clear();
  Tick(now);
}

void ClusterSource::WatchFile(std::uint32_t wall_s) {
  const auto stamp = StampOf(file_path_);
  if (!stamp) return Complain(file_path_, stamp.error().text);
  // Unchanged since it was read, or too young.
  if (seen_ == *stamp || IsFresh(*stamp, wall_s)) return;

  const auto file = ReadSmallFile(file_path_, file_bytes_max_);
  if (!file) {
    // A file that changes while it is read is read again at the next tick, without a message.
    if (file.error().error_number != EAGAIN) Complain(file_path_, file.error().text);
    return;
  }
  // The file may have been changed between the check above and reading.
  if (IsFresh(file->stamp, wall_s)) return;
  // From here on the file counts as read, even if its contents are wrong: the error is logged once.
  seen_ = file->stamp;
  last_complaint_.clear();
  const auto list = ParseClusterFile(file->text, nodes_max_);
  if (!list) return Complain(file_path_, list.error());
  // The time of the file serves as the version: servers that read the same file then agree.
  Offer(*list, static_cast<std::uint64_t>(std::max<std::int64_t>(file->stamp.changed_s(), 0)),
        file_path_);
}

void ClusterSource::WatchName(const slab::Now& now) {
  if (mailbox_ != nullptr) {
    std::optional<AddressesResult> answer;
    {
      const MutexLock lock(mailbox_->mutex);
      answer = std::move(mailbox_->answer);
    }
    // The lookup is still under way: no second one is begun, however long it takes.
    if (!answer) return;
    mailbox_.reset();
    TakeAddresses(*answer, now.wall_s());
  }
  if (now.now_s < next_lookup_s_) return;
  next_lookup_s_ = now.now_s + dns_interval_s_;
  BeginLookup();
}

void ClusterSource::BeginLookup() {
  LARDER_ASSERT(mailbox_ == nullptr);
  mailbox_ = std::make_shared<Mailbox>();
  try {
    // The thread shares only the mailbox, so it may outlive this object.
    StartThread([mailbox = mailbox_, resolver = resolver_, host = dns_host_] {
      AddressesResult answer = resolver(host);
      const MutexLock lock(mailbox->mutex);
      mailbox->answer = std::move(answer);
    }).detach();
  } catch (const std::system_error& error) {
    mailbox_.reset();
    Complain(dns_host_, error.what());
  }
}

void ClusterSource::TakeAddresses(const AddressesResult& addresses, std::uint32_t wall_s) {
  if (!addresses) return Complain(dns_host_, addresses.error());
  LARDER_ASSERT(!addresses->empty());
  if (addresses->size() > nodes_max_) {
    return Complain(dns_host_, fmt::format("more than {} nodes", nodes_max_));
  }
  last_complaint_.clear();
  ClusterList list;
  for (const std::string& address : *addresses) {
    // The name is not a node: clients need the addresses.
    list.nodes.push_back({.host = address, .ip = address, .port = dns_port_});
  }
  Offer(list, wall_s, dns_host_);
}

void ClusterSource::Offer(const ClusterList& list, std::uint64_t version_hint,
                          const std::string& source) {
  switch (cluster_.Set(list, version_hint)) {
    case ClusterChange::kChanged:
    case ClusterChange::kSame:
      return;
    case ClusterChange::kOldVersion:
      return Complain(source, fmt::format("version {} is not above those before", list.version));
    case ClusterChange::kNoVersion:
    case ClusterChange::kBadList:
      return Complain(source, "no version is left");
  }
}

void ClusterSource::Complain(const std::string& source, const std::string& text) {
  LARDER_ASSERT(!text.empty());
  if (text == last_complaint_) return;
  last_complaint_ = text;
  counters_.Add(Stat::kConfigErrors);
  Log(LogLevel::kWarning, "cluster: {}: {}; the list stays as it is", source, text);
}

}  // namespace larder::server
