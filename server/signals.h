// What signals ask the process for.
#pragma once

#include "server/config/config_exit.h"

namespace larder::server {

// From here on SIGTERM, SIGINT and SIGUSR1 ask for an orderly stop and SIGHUP has files read again,
// as soon as somebody looks; none of them ends the process, even if it was started with them
// blocked. SIGPIPE is ignored: who writes is told. The first thing that main does. Fails with exit
// code 71.
StepResult CatchSignals();

// Threads: any, all of them. Without CatchSignals, nothing was asked for.
bool StopIsSignalled();
// True once for each time that it was asked for, or for several.
bool TakeReloadSignal();

// Readable when a signal came since ClearSignalFd; -1 without CatchSignals. Open as long as the
// process lives.
int SignalFd();
void ClearSignalFd();

}  // namespace larder::server
