// The admin commands `lru` and `lru_crawler`.
#pragma once

#include <string_view>

#include "server/command/dump.h"
#include "server/shared.h"
#include "slab/cache.h"
#include "slab/expiry_sweep.h"
#include "slab/result.h"

namespace larder::server {

// What `lru <arguments>` answers, having done it:
//
//   mode flat|segmented                    the eviction policy from now on
//   tune <hot> <warm> <factor> <factor>    probation's share of each class, in percent, from where
//                                          it adapts; the others must be right and do nothing
//   temp_ttl <n>                           OK if it is off (negative); there is no such segment
std::string_view RunLru(std::string_view arguments, slab::Cache& cache);

// What `lru_crawler <arguments>` answers, having done it:
//
//   enable, disable   the sweep for dead items; without it there are no crawls and no dumps
//   sleep <us>        the least pause between two slices of the sweep
//   tocrawl <n>       the most chunks of a slice; 0: its own bound
//   crawl <classes>   a pass of the sweep, now; over all classes, whichever are named
std::string_view RunLruCrawler(std::string_view arguments, slab::ExpirySweep& sweep);

// `arguments` ask for a dump, if perhaps a wrong one.
bool AskForDump(std::string_view arguments);

// What to dump, or what to answer instead. REQUIRES: AskForDump(arguments).
Result<DumpOrder, std::string_view> ReadDumpOrder(std::string_view arguments, const Shared& shared);

}  // namespace larder::server
