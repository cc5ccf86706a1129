#include "server/socket/event_loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include "slab/check.h"

namespace larder::server {
namespace {

// The descriptors that an event base of libevent opens, with some reserve: its queue, a timer, and
// a pair for signals.
constexpr std::size_t kDescriptorsOfBase = 8;

// Throws the exception that reports what the system refused. `what` is the beginning of its text.
[[noreturn]] void Refuse(const char* what, int error = errno) {
  throw std::system_error(error, std::generic_category(), what);
}

// Opens as many descriptors as an event base needs and closes them again; throws if it cannot.
// Another thread may take them afterwards, which the reserve in kDescriptorsOfBase makes unlikely
// to matter.
void CheckDescriptors() {
  std::array<int, kDescriptorsOfBase> probes{};
  std::size_t count = 0;
  while (count < probes.size() && (probes[count] = eventfd(0, EFD_CLOEXEC)) >= 0) ++count;
  // Read before close() can change it.
  const int error = errno;
  for (std::size_t i = 0; i < count; ++i) close(probes[i]);
  if (count < probes.size()) Refuse("no descriptors for an event loop", error);
}

// A new descriptor for WakeFd, in non-blocking mode.
int MakeWakeFd() {
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) Refuse("no descriptor to wake a thread");
  return fd;
}

}  // namespace

EventBase MakeEventBase() {
  CheckDescriptors();
  const std::unique_ptr<event_config, decltype(&event_config_free)> config(event_config_new(),
                                                                           &event_config_free);
  if (config == nullptr) Refuse("no event loop", ENOMEM);
  // Each base is used by one thread only: its locks would cost time and protect nothing.
  event_config_set_flag(config.get(), EVENT_BASE_FLAG_NOLOCK);
  EventBase base(event_base_new_with_config(config.get()), &event_base_free);
  if (base == nullptr) Refuse("no event loop", errno != 0 ? errno : ENOMEM);
  return base;
}

Event MakeEvent(event_base* base, int fd, short what, event_callback_fn callback, void* argument) {
  LARDER_ASSERT(base != nullptr && callback != nullptr);
  LARDER_ASSERT(fd >= 0 || (what & (EV_READ | EV_WRITE)) == 0);
  Event made(event_new(base, fd, what, callback, argument));
  if (made == nullptr) Refuse("no event of a loop", ENOMEM);
  return made;
}

void AddEvent(event& event, const timeval* timeout) {
  LARDER_ASSERT(event_pending(&event, EV_READ | EV_WRITE | EV_TIMEOUT, nullptr) == 0);
  // libevent does not always set errno: without an error of the system it lacked memory.
  errno = 0;
  if (event_add(&event, timeout) != 0) Refuse("no event of a loop", errno != 0 ? errno : ENOMEM);
}

WakeFd::WakeFd() : fd_(MakeWakeFd()) {}

WakeFd::~WakeFd() { close(fd_); }

void WakeFd::Wake() const {
  const std::uint64_t one = 1;
  // It fails only if the counter is about to overflow: then the descriptor is readable anyway.
  (void)!write(fd_, &one, sizeof one);
}

void WakeFd::Clear() const {
  std::uint64_t count = 0;
  // One read resets the counter, however often the thread was woken. It fails if there is nothing
  // to clear.
  (void)!read(fd_, &count, sizeof count);
}

}  // namespace larder::server
