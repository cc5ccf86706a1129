// Which items may be stored at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "slab/item/hash.h"
#include "slab/item/item.h"
#include "slab/store.h"

namespace larder::slab {

// Header, key, flags, expiry and value of an item of this spec.
inline std::size_t ItemBytes(const ItemSpec& spec) noexcept {
  return Item::OverheadBytes(spec.key.bytes.size(), spec.client_flags != 0, spec.can_expire()) +
         spec.value_bytes;
}

// Admission knows the item limit, and the one key that is never stored.
//
// Threads: immutable.
class Admission {
 public:
  // An empty forbidden_key: none is. It is a constant, and outlives this.
  Admission(std::uint32_t item_bytes_max, std::string_view forbidden_key, KeyHasher hash)
      : item_bytes_max_(item_bytes_max),
        forbidden_key_(forbidden_key),
        forbidden_hash_(hash(forbidden_key)) {}

  std::uint32_t item_bytes_max() const { return item_bytes_max_; }

  // Room for an expiry that is still to come does not count.
  bool Fits(const ItemSpec& spec) const noexcept {
    return Item::OverheadBytes(spec.key.bytes.size(), spec.client_flags != 0,
                               spec.expiry.is_set()) +
               spec.value_bytes <=
           item_bytes_max_;
  }
  // Asked only where an item is made, so a store over an old one does not pay for it. No key is
  // empty.
  bool IsForbidden(const HashedKey& key) const {
    return key.hash == forbidden_hash_ && IsForbiddenText(key.bytes);
  }
  // Why no such item can be stored, whatever memory there is: kTooLarge, kForbidden, or nothing.
  std::optional<StoreStatus> Refusal(const ItemSpec& spec) const noexcept {
    if (!Fits(spec)) return StoreStatus::kTooLarge;
    return IsForbidden(spec.key) ? std::optional(StoreStatus::kForbidden) : std::nullopt;
  }

 private:
  // Apart: the compiler would have every store save registers for it.
  [[gnu::noinline]] bool IsForbiddenText(std::string_view text) const {
    return text == forbidden_key_;
  }

  const std::uint32_t item_bytes_max_;
  const std::string_view forbidden_key_;
  const std::uint64_t forbidden_hash_;
};

}  // namespace larder::slab
