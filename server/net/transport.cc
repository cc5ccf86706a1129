// The choice of a transport: the one place that names all kinds.
#include "server/net/transport.h"

#include "server/net/plain_transport.h"
#include "slab/check.h"

namespace larder::server {

std::unique_ptr<Transport> MakeTransport(TransportKind kind, int fd, event_base& base,
                                         TransportUser& user) {
  LARDER_ASSERT(fd >= 0);
  // Without a default, so that the compiler reports a kind that is missing here.
  switch (kind) {
    case TransportKind::kPlain:
      break;
  }
  return std::make_unique<PlainTransport>(fd, base, user);
}

}  // namespace larder::server
