// The end of a connection that the server closes.
#pragma once

#include <span>

namespace larder::server {

// Ends the stream to the client, and throws away what the client has sent and the server will not
// read, up to a bound: the system resets a connection that is closed while received bytes are
// unread, and the client could lose the last replies. `area`, which is not empty, is used as a
// buffer. The caller closes `fd`.
void EndSocket(int fd, std::span<char> area);

}  // namespace larder::server
