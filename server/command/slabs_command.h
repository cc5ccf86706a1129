// The administrative command `slabs`.
#pragma once

#include <string_view>

#include "server/config/config.h"
#include "slab/cache.h"

namespace larder::server {

// Executes `slabs <arguments>` and returns the reply, a static text:
//
//   reassign <from> <to>   one page of class `from` is given to class `to`, as soon as no item in
//                          it is in use. from -1: of the class that misses the page least. to 0:
//                          the page is given back to the system
//   automove 0|1|2         whether pages move on their own to classes where they bring more hits;
//                          2: on less evidence
//   automove window|ratio|freeratio <n>
//                          checked and without effect: memcached decides by the age of items, this
//                          server by keys that were requested again after their eviction
//
// Fails with an error as reply if the arguments are wrong. `reassign` is refused, and `automove
// 0|1|2` has no effect, if the configuration does not allow page moves. Any worker may call it.
std::string_view RunSlabs(std::string_view arguments, const Config& config, slab::Cache& cache);

}  // namespace larder::server
