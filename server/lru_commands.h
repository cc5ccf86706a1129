// The admin commands `lru` and `lru_crawler`.
#pragma once

#include <string_view>

#include "slab/cache.h"

namespace larder::server {

// What `lru <arguments>` answers, having done it:
//
//   mode flat|segmented                    the eviction policy from now on
//   tune <hot> <warm> <factor> <factor>    probation's share of each class, in percent, from where
//                                          it adapts; the others must be right and do nothing
//   temp_ttl <n>                           OK if it is off (negative); there is no such segment
std::string_view RunLru(std::string_view arguments, slab::Cache& cache);

// What `lru_crawler <arguments>` answers. As memcached with its crawler off: settings are checked,
// but nothing crawls.
std::string_view AnswerLruCrawler(std::string_view arguments);

}  // namespace larder::server
