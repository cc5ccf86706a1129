// The administrative commands `lru` and `lru_crawler`.
#pragma once

#include <string_view>

#include "server/command/dump.h"
#include "server/shared.h"
#include "slab/cache.h"
#include "slab/expiry_sweep.h"
#include "slab/result.h"

namespace larder::server {

// Executes `lru <arguments>` and returns the reply, a static text:
//
//   mode flat|segmented                    the eviction policy from now on
//   tune <hot> <warm> <factor> <factor>    hot: the share of each class that is on probation, in
//                                          percent, from which it adapts itself. The other numbers
//                                          are checked and have no effect
//   temp_ttl <n>                           OK if n is negative, which switches memcached's segment
//                                          for temporary items off; this server has no such segment
//
// Wrong arguments get an error. Any worker may call it.
std::string_view RunLru(std::string_view arguments, slab::Cache& cache);

// Executes `lru_crawler <arguments>` and returns the reply, a static text:
//
//   enable, disable   the sweep that removes expired items; while it is off, there is no crawl
//                     and no dump
//   sleep <us>        the least pause between two slices of the sweep, in microseconds
//   tocrawl <n>       the most chunks in a slice; 0: the sweep's own limit
//   crawl <classes>   a pass of the sweep, now; over all classes, whichever are named
//
// Wrong arguments get an error. The dumps, which are commands of this name as well, are not
// executed here. Any worker may call it.
std::string_view RunLruCrawler(std::string_view arguments, slab::ExpirySweep& sweep);

// Whether the arguments of `lru_crawler` ask for a dump, even if the rest of them is wrong.
bool AskForDump(std::string_view arguments);

// What a dump is to print, or the error to reply with if the arguments are wrong or dumps are not
// allowed. REQUIRES: AskForDump(arguments).
Result<DumpOrder, std::string_view> ReadDumpOrder(std::string_view arguments, const Shared& shared);

}  // namespace larder::server
