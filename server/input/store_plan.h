// All that is known about a store operation before its value has arrived.
#pragma once

#include <cstdint>
#include <optional>

#include "slab/item/item.h"
#include "slab/store.h"

namespace larder::server {

// What happens to the present item when a store is refused because there is no room for the new
// one. The client holds a newer value than the cache, so for a plain set the old value must not be
// served any longer: it is removed.
enum class OldItem : std::uint8_t { kStays, kIsRemoved };

// StorePlan describes a store with every option that Cache offers.
//
// Threads: a value.
struct StorePlan {
  // The key, client flags, expiry and length of the item. The key is a view that its owner keeps
  // alive.
  slab::ItemSpec spec;
  // The condition under which the store takes place: mode, compared CAS, treatment of stale items.
  slab::PublishTerms terms = {};
  OldItem if_refused = OldItem::kStays;
  // The CAS that the client chose for the new item; without one the cache assigns a number.
  std::optional<std::uint64_t> chosen_cas = std::nullopt;
  // A mark that the new item carries from the beginning.
  slab::ItemMark mark = slab::ItemMark::kNone;

  // Whether Cache::Store, the fast call for values that are complete, covers all that is asked for.
  // Otherwise the item has to be reserved, filled and published.
  bool is_plain() const {
    return !chosen_cas && mark == slab::ItemMark::kNone && !terms.is_stale_allowed &&
           !terms.creates && terms.mode != slab::StoreMode::kUnchanged;
  }
};

}  // namespace larder::server
