// StartThread: how every thread of the program begins.
#pragma once

#include <functional>
#include <thread>

namespace larder {

// Starts a thread that calls `run`. The new thread blocks all signals that other processes send:
// they are for the thread that ran first, which waits for them. Throws std::system_error, with the
// text "no thread", when the system refuses.
// Threads: any thread. Its own signal mask is the same afterwards.
std::thread StartThread(std::function<void()> run);

}  // namespace larder
