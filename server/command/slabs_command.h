// The admin command `slabs`.
#pragma once

#include <string_view>

#include "server/config/config.h"
#include "slab/cache.h"

namespace larder::server {

// What `slabs <arguments>` answers, having done it:
//
//   reassign <from> <to>      a page of one class goes to another, as soon as nobody uses its
//   items;
//                             from -1: of the class that misses it least; to 0: to none
//   automove 0|1|2            whether pages move to where they bring more hits; 2: on less evidence
//   automove window|ratio|freeratio <n>
//                             must be right and do nothing: moves follow ghosts, not ages
std::string_view RunSlabs(std::string_view arguments, const Config& config, slab::Cache& cache);

}  // namespace larder::server
