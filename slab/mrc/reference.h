// Reference: what the estimate of miss ratios is told about one request.
#pragma once

#include <algorithm>
#include <cstdint>

#include "slab/check.h"
#include "slab/item/expiry.h"

namespace larder::slab {

// What a request did to a key.
enum class ReferenceKind : std::uint8_t {
  // A client read the item, or changed its expiry.
  kRead,
  // A client asked for the key, and there was no item.
  kMiss,
  // A value was stored.
  kStore,
  // A value was stored by a command that counts as a use of the item before.
  kUpdate,
  // The item was removed, because a client wanted that or because a newer value was refused.
  kDelete,
};

// Reference is one request for a key of the sample, in 16 bytes.
//
// Threads:    immutable value.
class Reference {
 public:
  // Larger items count as having so many bytes.
  static constexpr std::uint32_t kBytesMax = (1U << 29) - 1;

  Reference() = default;
  // `bytes`: of the item; for the simulations, what it takes of the memory for items, see
  // Reserver::BytesFor. 0 if there is none, and for a read whose item was not looked at.
  Reference(ReferenceKind kind, std::uint64_t hash, std::uint64_t bytes = 0, Expiry expiry = {})
      : hash_(hash),
        bytes_(static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, kBytesMax)) & kBytesMax),
        kind_(static_cast<std::uint32_t>(kind) & 7U),
        expiry_(expiry) {
    const bool has_item = kind == ReferenceKind::kStore || kind == ReferenceKind::kUpdate;
    LARDER_ASSERT(bytes != 0 || !has_item);
    LARDER_ASSERT(bytes == 0 || has_item || kind == ReferenceKind::kRead);
  }

  // A read whose item was not looked at: neither its bytes nor its expiry are known.
  bool is_incomplete() const { return kind() == ReferenceKind::kRead && bytes_ == 0; }
  ReferenceKind kind() const { return static_cast<ReferenceKind>(kind_); }
  std::uint64_t hash() const { return hash_; }
  std::uint32_t bytes() const { return bytes_; }
  Expiry expiry() const { return expiry_; }

 private:
  std::uint64_t hash_ = 0;
  std::uint32_t bytes_ : 29 = 0;
  std::uint32_t kind_ : 3 = 0;
  Expiry expiry_;
};
static_assert(sizeof(Reference) == 16);

}  // namespace larder::slab
