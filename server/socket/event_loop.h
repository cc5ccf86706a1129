// What an event loop is made of.
#pragma once

#include <event2/event.h>

#include <functional>
#include <memory>
#include <thread>

namespace larder::server {

// All of these throw std::system_error, with what was wanted, when the system refuses; so does
// whoever makes them for itself. Server::Create tells it.

using EventBase = std::unique_ptr<event_base, decltype(&event_base_free)>;
struct EventDeleter {
  void operator()(event* dead) const { event_free(dead); }
};
using Event = std::unique_ptr<event, EventDeleter>;

// A base that never leaves its thread. One for which descriptors are short is refused: libevent
// itself would end the process.
EventBase MakeEventBase();
Event MakeEvent(event_base* base, int fd, short what, event_callback_fn callback, void* argument);
// REQUIRES: called when nobody is served yet; libevent's own event_add is for later.
void AddEvent(event& event, const timeval* timeout = nullptr);

std::thread StartThread(std::function<void()> run);

// WakeFd is readable from when it is woken to when it is cleared.
//
// Threads: any.
// Owns:    the descriptor.
class WakeFd {
 public:
  WakeFd();
  ~WakeFd();
  WakeFd(const WakeFd&) = delete;
  WakeFd& operator=(const WakeFd&) = delete;

  int get() const { return fd_; }
  void Wake() const;
  void Clear() const;

 private:
  const int fd_;
};

}  // namespace larder::server
