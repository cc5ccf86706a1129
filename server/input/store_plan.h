// A store, but for its value.
#pragma once

#include <cstdint>
#include <optional>

#include "slab/item/item.h"
#include "slab/store.h"

namespace larder::server {

// What to do with the item that is there when a store is refused because there is no room: what the
// client has is newer, so whoever sets a value does not want the old one to be served.
enum class OldItem : std::uint8_t { kStays, kIsRemoved };

// A store with all that Cache can do.
struct StorePlan {
  slab::ItemSpec spec;
  slab::PublishTerms terms = {};
  OldItem if_refused = OldItem::kStays;
  std::optional<std::uint64_t> chosen_cas = std::nullopt;
  slab::ItemMark mark = slab::ItemMark::kNone;

  // Cache::Store can do it.
  bool is_plain() const {
    return !chosen_cas && mark == slab::ItemMark::kNone && !terms.is_stale_allowed &&
           !terms.creates && terms.mode != slab::StoreMode::kUnchanged;
  }
};

}  // namespace larder::server
