// What a run counts.
#pragma once

#include <cstdint>
#include <string>

#include "tests/bench/histogram.h"

namespace larder::bench {

// Threads: one worker each; merged when all have ended.
struct Tally {
  std::uint64_t requests = 0;  // Command lines answered; a multiget is one.
  std::uint64_t keys = 0;      // Keys asked for or set; equals `requests` without multigets.
  std::uint64_t sets = 0;      // Of `requests`, those that were sets.
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t errors = 0;        // Requests answered by anything but what they ask for.
  std::uint64_t unsent = 0;        // Open loop: due, but the server was too slow to send them.
  std::uint64_t wrong_values = 0;  // Hits with another key or other bytes than were stored.
  std::string first_error;         // The server's words.
  Histogram latency_ns;            // Of requests.

  void Merge(const Tally& other) {
    requests += other.requests;
    keys += other.keys;
    sets += other.sets;
    hits += other.hits;
    misses += other.misses;
    errors += other.errors;
    unsent += other.unsent;
    wrong_values += other.wrong_values;
    if (first_error.empty()) first_error = other.first_error;
    latency_ns.Merge(other.latency_ns);
  }
};

}  // namespace larder::bench
