#include "tests/model/shared.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

namespace larder::model {

Shared& MapShared() {
  void* const memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    std::exit(1);
  }
  // Zeros are a valid state.
  return *static_cast<Shared*>(memory);
}

void UnmapShared(Shared& shared) { munmap(&shared, sizeof shared); }

bool Shared::Note(const void* address, Access access, unsigned thread) {
  // Multiplicative hashing.
  const std::uint64_t hash =
      reinterpret_cast<std::uintptr_t>(address) * std::uint64_t{0x9e3779b97f4a7c15};
  std::size_t at = hash >> 52;
  static_assert(kPlaces == std::size_t{1} << 12);
  for (std::size_t tries = 0; places[at].address != address; at = (at + 1) % kPlaces) {
    if (places[at].address == nullptr) {
      places[at].address = address;
      break;
    }
    if (++tries == kPlaces) {
      std::fprintf(stderr, "model: too many places\n");
      std::abort();
    }
  }
  Place& place = places[at];
  const bool mattered = place.matters();
  const auto bit = static_cast<std::uint8_t>(1U << thread);
  place.users |= bit;
  if (access == Access::kWrite) place.writers |= bit;
  if (!mattered && place.matters()) ++new_places;
  return place.matters();
}

}  // namespace larder::model
