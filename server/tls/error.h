// The reasons that OpenSSL gives for its failures.
#pragma once

#include <string>

namespace larder::server {

// Returns OpenSSL's text for the first error of this thread that was not taken yet, and forgets all
// of them: `error:<number>:<library>:<function>:<reason>`. "unknown error" if there is none.
//
// Threads: any; each thread has its own errors.
std::string TakeTlsError();

// Forgets the errors of this thread. A later failure would be reported with their text otherwise.
void DropTlsErrors();

}  // namespace larder::server
