// Admission: which items may be stored at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "slab/item/hash.h"
#include "slab/item/item.h"
#include "slab/store.h"

namespace larder::slab {

// Bytes of header, key, flags, expiry and value of an item of this spec.
inline std::size_t ItemBytes(const ItemSpec& spec) noexcept {
  return Item::OverheadBytes(spec.key.bytes.size(), {.has_flags = spec.client_flags != 0,
                                                     .can_expire = spec.can_expire()}) +
         spec.value_bytes;
}

// Admission stores the item limit and the one key that is never stored, and decides by them.
//
// Threads:    immutable.
// Owns:       nothing; forbidden_key must outlive it.
class Admission {
 public:
  // An empty forbidden_key: no key is forbidden. It is a view of a constant, which must outlive
  // this object.
  Admission(std::uint32_t item_bytes_max, std::string_view forbidden_key, KeyHasher hash)
      : item_bytes_max_(item_bytes_max),
        forbidden_key_(forbidden_key),
        forbidden_hash_(hash(forbidden_key)) {}

  // The largest item in bytes, as ItemBytes counts them.
  std::uint32_t item_bytes_max() const { return item_bytes_max_; }

  // True if the item is within the limit. Room for an expiry that is not set yet does not count.
  bool Fits(const ItemSpec& spec) const noexcept {
    return Item::OverheadBytes(spec.key.bytes.size(), {.has_flags = spec.client_flags != 0,
                                                       .can_expire = spec.expiry.is_set()}) +
               spec.value_bytes <=
           item_bytes_max_;
  }
  // True if this key is never stored. A store asks only when it makes a new item, so that
  // overwriting an old one does not pay for it. A key is never empty, so without a forbidden key
  // the result is false.
  bool IsForbidden(const HashedKey& key) const {
    return key.hash == forbidden_hash_ && IsForbiddenText(key.bytes);
  }
  // Why such an item can never be stored, whatever memory there is: kTooLarge or kForbidden;
  // nothing if it can.
  std::optional<StoreStatus> Refusal(const ItemSpec& spec) const noexcept {
    if (!Fits(spec)) return StoreStatus::kTooLarge;
    return IsForbidden(spec.key) ? std::optional(StoreStatus::kForbidden) : std::nullopt;
  }

 private:
  // Not inlined: inlined, the compiler makes every store save registers for it.
  [[gnu::noinline]] bool IsForbiddenText(std::string_view text) const {
    return text == forbidden_key_;
  }

  const std::uint32_t item_bytes_max_;
  const std::string_view forbidden_key_;
  const std::uint64_t forbidden_hash_;
};

}  // namespace larder::slab
