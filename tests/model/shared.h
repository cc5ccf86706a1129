// Shared: what all processes of one exploration have in common.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tests/model/steps.h"

namespace larder::model {

// Threads of a scenario.
inline constexpr std::size_t kThreadsMax = 8;

// Place is what the exploration knows of an address that threads have accessed.
//
// Threads:    one process at a time.
struct Place {
  const void* address;
  // A bit for each thread that reads or writes there, and for each that writes.
  std::uint8_t users;
  std::uint8_t writers;

  // An access matters only if the order of two threads can make a difference.
  bool matters() const { return writers != 0 && (users & (users - 1)) != 0; }
};

// Shared is memory that all processes of an exploration map. One of them runs at a time, the others
// wait for it.
//
// Threads:    one process at a time.
struct Shared {
  static constexpr std::size_t kPlaces = 1 << 12;
  static constexpr std::size_t kReportBytes = 1 << 16;

  std::uint64_t executions;
  std::uint64_t steps_max;
  // Places that have begun to matter in this round.
  std::uint64_t new_places;
  bool is_given_up;
  bool has_failed;
  std::array<char, kReportBytes> report;
  // By address, open addressing.
  std::array<Place, kPlaces> places;

  // Notes an access of a thread. Returns true if accesses to the place matter.
  bool Note(const void* address, Access access, unsigned thread);
};

// Makes the memory. Ends the program if the system refuses.
Shared& MapShared();
void UnmapShared(Shared& shared);

}  // namespace larder::model
