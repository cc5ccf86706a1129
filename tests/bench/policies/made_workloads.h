// Requests that are made: kinds of traffic that the policies were not fitted to.
#pragma once

#include <vector>

#include "tests/bench/policies/workload.h"

namespace larder::bench {

// All are cache-aside and seeded: each call gives the same requests.

// Zipf, with other keys in favour after each fifth of the requests.
std::vector<CacheRequest> MakeZipfShifts80();
std::vector<CacheRequest> MakeZipfShifts99();
// Zipf, and scans of keys that never come again.
std::vector<CacheRequest> MakeScans();
// Zipf, and a loop over more keys than a small cache holds.
std::vector<CacheRequest> MakeLoops();
// Zipf, and as many keys that never come again.
std::vector<CacheRequest> MakeOneHits();
// Zipf, and keys that are written once and read once, some thousand requests later.
std::vector<CacheRequest> MakeSessions();
// Zipf with values from 100 B to 30 kB, and a third of requests for keys that never come again.
std::vector<CacheRequest> MakeSizes();
// Zipf with values of 100 B, then of 800 B, 5 kB, and 100 B again.
std::vector<CacheRequest> MakeSizeShift();

}  // namespace larder::bench
