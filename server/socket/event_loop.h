// The parts of an event loop: libevent's handles, and a descriptor that wakes a loop.
#pragma once

#include <event2/event.h>

#include <memory>

namespace larder::server {

// All functions and constructors in this file throw std::system_error when the system refuses what
// they need; its text says what was wanted. They run at start-up, and Server::Create turns the
// exception into an error message.

// An event base of libevent, freed by its owner.
using EventBase = std::unique_ptr<event_base, decltype(&event_base_free)>;
// Frees an event of libevent, which also removes it from its loop.
//
// Threads: one worker (the thread of the event's base).
struct EventDeleter {
  void operator()(event* dead) const { event_free(dead); }
};
// An event of libevent. It has to be destroyed before its base.
using Event = std::unique_ptr<event, EventDeleter>;

// A new event base without locks: only one thread at a time may use it. The function first checks
// that enough descriptors are free and throws if not, because libevent itself would end the
// process.
EventBase MakeEventBase();
// A new event that calls `callback` with `argument`. It becomes active by AddEvent() or
// event_add(). `fd` is -1 for a pure timer. `base` and `argument` must outlive it. REQUIRES: `base`
// and `callback` are not nullptr.
Event MakeEvent(event_base* base, int fd, short what, event_callback_fn callback, void* argument);
// Makes the event active, with a timeout if one is given. REQUIRES: the event is not active, and no
// client is served yet, because the function throws. Later code calls libevent's event_add().
void AddEvent(event& event, const timeval* timeout = nullptr);

// WakeFd is a descriptor by which any thread can wake the event loop of another. It is readable
// from the first Wake() until Clear(); further calls of Wake() in between have no effect.
//
// Threads: any thread may call any method.
// Owns:    the descriptor.
class WakeFd {
 public:
  WakeFd();
  ~WakeFd();
  WakeFd(const WakeFd&) = delete;
  WakeFd& operator=(const WakeFd&) = delete;

  // The descriptor, for the event loop to watch. Valid as long as this object.
  int get() const { return fd_; }
  // Makes the descriptor readable. Never blocks, and cannot fail in a way that matters: if the
  // counter of the descriptor is full, it is readable.
  void Wake() const;
  // Makes the descriptor not readable. A Wake() that comes after it makes it readable again, so the
  // loop calls Clear() first and then looks at what it was woken for.
  void Clear() const;

 private:
  const int fd_;
};

}  // namespace larder::server
