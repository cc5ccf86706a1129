// The requests that signals make of the process.
#pragma once

#include "server/config/config_exit.h"

namespace larder::server {

// From this call on SIGTERM, SIGINT and SIGUSR1 request an orderly stop, and SIGHUP requests that
// files are read again; the functions below return these requests. None of the signals ends the
// process, even if it was started with them blocked. SIGPIPE is ignored: a write to a closed
// connection fails instead. It is the first thing that main does. Fails with exit code 71.
StepResult CatchSignals();

// Returns whether a stop was requested. A request is never taken back.
//
// Threads: any, also for all functions below. Without CatchSignals() there are no requests.
bool StopIsSignalled();
// Returns true once after one or several requests to read files again.
bool TakeReloadSignal();

// A descriptor that is readable if a signal came after the last ClearSignalFd(), for an event loop;
// -1 without CatchSignals(). It stays open as long as the process lives.
int SignalFd();
// Makes the descriptor not readable. Call it before the requests are looked at, so that none is
// missed. REQUIRES: CatchSignals() was called.
void ClearSignalFd();

}  // namespace larder::server
