// The choice of a transport: the one place that names all kinds.
#include "server/net/transport.h"

#include "server/certificates.h"
#include "server/net/listener.h"
#include "server/net/plain_transport.h"
#include "server/net/tls_transport.h"
#include "slab/check.h"

namespace larder::server {

std::unique_ptr<Transport> MakeTransport(const ClientTerms& terms, int fd,
                                         const TransportParts& parts, TransportUser& user) {
  LARDER_ASSERT(fd >= 0);
  // Without a default, so that the compiler reports a kind that is missing here.
  switch (terms.transport) {
    case TransportKind::kPlain:
      break;
    case TransportKind::kTls: {
      Certificates* const certificates = parts.tls.shared().certificates;
      LARDER_ASSERT(certificates != nullptr);
      return std::make_unique<TlsTransport>(fd, certificates->Current()->of(terms.certificates),
                                            parts.tls, parts.base, user);
    }
  }
  return std::make_unique<PlainTransport>(fd, parts.base, user);
}

}  // namespace larder::server
