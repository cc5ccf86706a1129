// Item: the header of every chunk, and the layout of the item behind it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "slab/check.h"
#include "slab/ids.h"
#include "slab/item/eviction_state.h"
#include "slab/item/expiry.h"
#include "slab/sync/atomic.h"

namespace larder::slab {

// What a chunk is used for. It changes under the mutex of the chunk's class, or by the lane whose
// Magazine holds the chunk.
enum class ChunkUse : std::uint8_t {
  // In the free list of its page.
  kFree,
  // Exclusively owned: being filled, or unlinked and still pinned.
  kOwned,
  // A linked item: in the index and in the eviction queue of its class.
  kQueued,
  // A piece of a large item's value; `prev` is the item's first chunk.
  kContinuation,
  // In a lane's Magazine, to be used for the lane's next items.
  kStocked,
  // A linked item: in the index, and in a Magazine until it is queued.
  kArriving,
  // A linked item that a lane has taken out of the queue to evict it: in the index and in a
  // Magazine.
  kLeaving,
};

// The most references that the header of an item can count.
inline constexpr std::uint8_t kRefsMax = 255;

// Which of the optional parts an item has that count for its size.
struct OptionalParts {
  bool has_flags = false;
  bool can_expire = false;
};

// Item is the header of every chunk, 24 bytes, and gives access to what lies behind it in the
// chunk.
//
//   item           |Item|key|expiry 4?|flags 4?|chain 12?|value ...|cas 8?   | slack
//   continuation   |Item|value ...                                           | slack
//
// * expiry: an Expiry; present only if the item was given room for one.
// * flags: the client flags; present only if they are not 0.
// * chain: present only if the value does not fit into one chunk: {ItemRef of the first
//   continuation, bytes of the whole value, bytes of the value in this chunk}. Continuations are
//   linked by `next`.
// * cas: a CAS that a client chose. It is behind the value, so that items without one need no extra
//   test.
//
// These four are not aligned. No CRLF is stored.
//
// Threads:    each of these rules has fields of its own. `next` and `prev`: caller locks the class,
//             or owns the item exclusively. `refs` and use(): atomic. `key_bytes` and the key:
//             constant while the item is linked. All other fields: caller locks the item's bucket,
//             or owns the item exclusively; the value alone may also be read with a pin.
// Invariants: a linked item stays linked while its bucket is locked. While only its class is locked
//             it stays linked if IsSteady(use()). An item with use kLeaving may be removed, and
//             another item be made in its chunk, by a thread that holds only buckets; a thread that
//             finds the chunk in a bucket that it has locked may be sure only that the chunk has
//             some item of that bucket.
// Source:     an item with a 20 B key and a 100 B value has 144 bytes, 148 with an expiry, and lies
//             in a chunk of 144 bytes, or 152. With eight bytes of CAS, four of the time of access
//             and room for an expiry in every item, all such items had 152.
struct Item {
  // Links of the free list, the eviction queue or the chain. In a magazine both hold its slot.
  ItemRef next;
  ItemRef prev;
  // The low 32 bits of number().
  std::uint32_t number_low;
  // Value length, state bits and eviction state; see below.
  std::uint32_t size_and_state;
  // The high 16 bits of number().
  std::uint16_t number_high;
  // One for the link in the index, one for each pin or owner; see also ExtraPins.
  Atomic<std::uint8_t> refs;
  // Length of the key; 0 in a continuation.
  std::uint8_t key_bytes;
  // Time of the last access: Unix time in seconds, 24 bits.
  std::uint16_t last_access_low;
  std::uint8_t last_access_high;
  // See use(). Released by the thread that changes it, acquired by readers.
  Atomic<ChunkUse> chunk_use;

  // Adds a pin. REQUIRES: the item's bucket is locked, and the item has at least one reference and
  // fewer than kRefsMax.
  void AddReference() {
    LARDER_ASSERT(refs.load(std::memory_order_relaxed) != 0);
    LARDER_ASSERT(refs.load(std::memory_order_relaxed) < kRefsMax);
    refs.fetch_add(1, std::memory_order_relaxed);
  }
  // Gives one reference up. Returns true if it was the last one: then the caller frees the chunk.
  [[nodiscard]] bool DropReference() {
    LARDER_ASSERT(refs.load(std::memory_order_relaxed) != 0);
    // If one reference is left it is the caller's, and no other thread can add one. Then no locked
    // instruction is needed.
    return refs.load(std::memory_order_acquire) == 1 ||
           refs.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

  // Acquires what the thread that set the use has written before.
  ChunkUse use() const { return chunk_use.load(std::memory_order_acquire); }
  void set_use(ChunkUse use) { chunk_use.store(use, std::memory_order_release); }
  // The item is linked and not in a queue; magazine_slot() is valid.
  static bool IsInMagazine(ChunkUse use) {
    return use == ChunkUse::kArriving || use == ChunkUse::kLeaving;
  }
  bool is_in_magazine() const { return IsInMagazine(use()); }
  // True if the value may be overwritten in place: it is in one chunk, and no pin allows another
  // thread to read it without the bucket's lock. REQUIRES: the item's bucket is locked.
  bool is_rewritable() const { return refs.load(std::memory_order_acquire) == 1 && !is_chained(); }
  // The item is in the index.
  // Reads the use once: a linked item may go from a magazine to its queue meanwhile, and asked
  // twice it would seem to be in neither.
  bool is_linked() const {
    const ChunkUse now = use();
    return now == ChunkUse::kQueued || IsInMagazine(now);
  }
  // True for the uses of a linked item whose key can be read while only the class is locked; see
  // Invariants.
  static bool IsSteady(ChunkUse use) {
    return use == ChunkUse::kQueued || use == ChunkUse::kArriving;
  }

  // The slot of the Magazine that holds the item. It is stored in `next` and `prev`, which no list
  // uses meanwhile. REQUIRES: is_in_magazine().
  Atomic<ItemRef>* magazine_slot() const {
    LARDER_ASSERT(is_in_magazine());
    Atomic<ItemRef>* slot = nullptr;
    static_assert(sizeof slot <= sizeof next + sizeof prev);
    std::memcpy(&slot, reinterpret_cast<const std::byte*>(this), sizeof slot);
    return slot;
  }
  void set_magazine_slot(Atomic<ItemRef>* slot) {
    std::memcpy(reinterpret_cast<std::byte*>(this), &slot, sizeof slot);
  }

  // The number of the item's last write: the low 48 bits of a number from Versions. It is unique
  // among the items in the cache and follows the order of writes, so that flush_all can compare it.
  static constexpr unsigned kNumberBits = 48;
  static constexpr std::uint64_t kNumberMask = (std::uint64_t{1} << kNumberBits) - 1;
  std::uint64_t number() const { return std::uint64_t{number_high} << 32 | number_low; }
  void set_number(std::uint64_t number) {
    number_low = static_cast<std::uint32_t>(number);
    number_high = static_cast<std::uint16_t>(number >> 32);
  }

  // True if the number was drawn before `number`, of which the low 48 bits count. REQUIRES: fewer
  // than 2^47 numbers were drawn between the two.
  [[gnu::always_inline]] bool is_numbered_below(std::uint64_t number) const {
    return ((this->number() - number) & (std::uint64_t{1} << (kNumberBits - 1))) != 0;
  }

  // The CAS that clients see and compare: number(), unless a client chose a CAS of its own.
  std::uint64_t cas() const { return has_chosen_cas() ? chosen_cas() : number(); }
  // Sets number(), and drops a CAS that a client chose.
  void set_cas(std::uint64_t number) {
    set_number(number);
    size_and_state &= ~kHasChosenCas;
  }
  // Gives the item the CAS that a client chose. REQUIRES: the chunk has kChosenCasBytes bytes of
  // room behind the value.
  void SetChosenCas(std::uint64_t cas) {
    size_and_state |= kHasChosenCas;
    Store(cas_offset(), cas);
  }

  // Seconds since the last access. Exact for items that were used in the last 194 days. Returns 0
  // if `now_s` is up to a minute before the access, because threads read the clock at different
  // moments.
  std::uint32_t idle_s(std::uint32_t now_s) const {
    constexpr std::uint32_t kLagMaxS = 60;
    const std::uint32_t idle = now_s - (std::uint32_t{last_access_high} << 16 | last_access_low);
    return (idle & 0xffffff) > 0xffffff - kLagMaxS ? 0 : idle & 0xffffff;
  }
  void set_last_access(std::uint32_t now_s) {
    last_access_low = static_cast<std::uint16_t>(now_s);
    last_access_high = static_cast<std::uint8_t>(now_s >> 16);
  }

  // size_and_state: |eviction state 8|state bits 7|bytes of the value in this chunk 17|
  static constexpr std::uint32_t kValueBits = 17;
  static constexpr std::uint32_t kValueMask = (1U << kValueBits) - 1;
  // Instead of the length: the value is a chain and the length is in `chain`.
  static constexpr std::uint32_t kIsChained = kValueMask;
  // The item has client flags.
  static constexpr std::uint32_t kHasFlags = 1U << 17;
  // The item has room for an expiry, which may still be never.
  static constexpr std::uint32_t kCanExpire = 1U << 18;
  // A client has read the item since it was stored.
  static constexpr std::uint32_t kWasFetched = 1U << 19;
  // A CAS that a client chose lies behind the value.
  static constexpr std::uint32_t kHasChosenCas = 1U << 20;
  // The client gave the key in base64, and gets it back in base64.
  static constexpr std::uint32_t kHasBinaryKey = 1U << 21;
  // A client has marked the value as out of date.
  static constexpr std::uint32_t kIsStale = 1U << 22;
  // The flag W has shown one client that it is the one to fetch a new value; others get Z.
  static constexpr std::uint32_t kWinTokenSent = 1U << 23;
  static constexpr std::uint32_t kEvictionStateShift = 24;
  static constexpr std::uint32_t kEvictionStateMask = 0xffU << kEvictionStateShift;

  // What lies behind the header.
  std::byte* payload() { return reinterpret_cast<std::byte*>(this + 1); }
  const std::byte* payload() const { return reinterpret_cast<const std::byte*>(this + 1); }

  // The key. The view is valid as long as the item keeps its chunk.
  std::string_view key() const { return {reinterpret_cast<const char*>(payload()), key_bytes}; }

  bool has_flags() const { return (size_and_state & kHasFlags) != 0; }
  bool can_expire() const { return (size_and_state & kCanExpire) != 0; }
  bool is_chained() const { return (size_and_state & kValueMask) == kIsChained; }
  bool was_fetched() const { return (size_and_state & kWasFetched) != 0; }
  bool has_chosen_cas() const { return (size_and_state & kHasChosenCas) != 0; }
  bool has_binary_key() const { return (size_and_state & kHasBinaryKey) != 0; }
  bool is_stale() const { return (size_and_state & kIsStale) != 0; }
  bool is_win_token_sent() const { return (size_and_state & kWinTokenSent) != 0; }
  // The eviction state: guarded by the item's bucket.
  EvictionState eviction_state() const {
    return EvictionState::FromCode(size_and_state >> kEvictionStateShift);
  }

  // The expiry; never if the item has no room for one.
  Expiry expiry() const { return can_expire() ? Load<Expiry>(expiry_offset()) : Expiry(); }
  // Sets the expiry. Returns false, and changes nothing, if the item has no room for one and
  // `expiry` is not never: see Cache::AddRoom.
  [[nodiscard]] bool SetExpiry(Expiry expiry) {
    if (!can_expire()) return !expiry.is_set();
    Store(expiry_offset(), expiry);
    return true;
  }
  std::uint32_t client_flags() const {
    return has_flags() ? Load<std::uint32_t>(flags_offset()) : 0;
  }
  // Bytes of the whole value, in all chunks.
  std::uint32_t value_bytes() const {
    return is_chained() ? Load<std::uint32_t>(chain_offset() + 4) : size_and_state & kValueMask;
  }
  // Bytes of header, key, flags, expiry and value, as the item limit and the statistic `bytes`
  // count them.
  [[gnu::always_inline]] std::size_t item_bytes() const {
    return OverheadBytes(key_bytes, {.has_flags = has_flags(), .can_expire = can_expire()}) +
           value_bytes();
  }
  // Bytes of the value that lie in this chunk.
  std::uint32_t value_bytes_here() const {
    return is_chained() ? Load<std::uint32_t>(chain_offset() + 8) : size_and_state & kValueMask;
  }
  // The first continuation; kNoItem if the value lies in this chunk alone.
  ItemRef first_continuation() const {
    return is_chained() ? Load<std::uint32_t>(chain_offset()) : kNoItem;
  }

  // Where the value begins; for a chained item, its first piece.
  std::byte* value() { return payload() + value_offset(); }
  const std::byte* value() const { return payload() + value_offset(); }

  void set_eviction_state(EvictionState state) {
    size_and_state = (size_and_state & ~kEvictionStateMask) | state.code() << kEvictionStateShift;
  }
  void set_fetched() { size_and_state |= kWasFetched; }
  bool is_stale_or_win_token_sent() const {
    return (size_and_state & (kIsStale | kWinTokenSent)) != 0;
  }
  void set_win_token_sent() { size_and_state |= kWinTokenSent; }
  // Marks the value as out of date: the next client that reads the item is to fetch a new value.
  void MakeStale() { size_and_state = (size_and_state & ~kWinTokenSent) | kIsStale; }

  // What an item has besides its key and its value.
  struct Extras {
    std::uint32_t client_flags = 0;
    Expiry expiry = {};
    // Room for an expiry, even if `expiry` is never.
    bool can_expire = false;
  };
  // Lays out what is behind the key, for a value that lies in this chunk alone. Clears all state
  // bits but the eviction state. Returns where the value begins, because calling value() again
  // costs every set a dozen instructions. REQUIRES: the caller owns the item or has its bucket
  // locked, key_bytes is set, and the chunk has the room.
  [[gnu::always_inline]] std::byte* SetShape(const Extras& extras, std::uint32_t value_bytes) {
    LARDER_ASSERT(value_bytes < kIsChained);
    LARDER_ASSERT(extras.can_expire || !extras.expiry.is_set());
    std::uint32_t state = (size_and_state & kEvictionStateMask) | value_bytes;
    std::byte* end = payload() + key_bytes;
    if (extras.can_expire) {
      state |= kCanExpire;
      std::memcpy(end, &extras.expiry, sizeof extras.expiry);
      end += sizeof extras.expiry;
    }
    if (extras.client_flags != 0) {
      state |= kHasFlags;
      std::memcpy(end, &extras.client_flags, sizeof extras.client_flags);
      end += sizeof extras.client_flags;
    }
    size_and_state = state;
    return end;
  }
  // Makes the item a chain, after SetShape: only the first `bytes_here` bytes of the value lie in
  // this chunk. `first` is the first continuation, or kNoItem until there is one.
  void SetChain(ItemRef first, std::uint32_t value_bytes_total, std::uint32_t bytes_here) {
    LARDER_ASSERT(bytes_here <= value_bytes_total);
    size_and_state |= kIsChained;
    Store(chain_offset(), first);
    Store(chain_offset() + 4, value_bytes_total);
    Store(chain_offset() + 8, bytes_here);
  }

  // Bytes of the chunk before the value.
  std::size_t head_bytes() const { return sizeof(Item) + value_offset(); }
  // Bytes of the chunk that are in use, without a CAS that a client chose.
  std::size_t used_bytes() const { return head_bytes() + value_bytes_here(); }

  // Bytes of an item without its value, as the slab classes and the item limit count them.
  static constexpr std::size_t OverheadBytes(std::size_t key_bytes, OptionalParts parts = {});
  // Bytes of the optional parts.
  static constexpr std::size_t kExpiryBytes = 4;
  static constexpr std::size_t kChainBytes = 12;
  static constexpr std::size_t kChosenCasBytes = 8;

 private:
  // Offsets in the payload.
  std::size_t expiry_offset() const { return key_bytes; }
  std::size_t flags_offset() const { return expiry_offset() + (can_expire() ? 4 : 0); }
  std::size_t chain_offset() const { return flags_offset() + (has_flags() ? 4 : 0); }
  std::size_t value_offset() const { return chain_offset() + (is_chained() ? kChainBytes : 0); }
  std::size_t cas_offset() const { return value_offset() + value_bytes_here(); }
  // Not inlined: inlined, it costs every get 19 instructions.
  [[gnu::noinline, gnu::cold]] std::uint64_t chosen_cas() const {
    return Load<std::uint64_t>(cas_offset());
  }
  // Read and write a number at any offset of the payload: memcpy, because the payload is not
  // aligned.
  template <class Number>
  Number Load(std::size_t offset) const {
    Number number;
    std::memcpy(&number, payload() + offset, sizeof number);
    return number;
  }
  template <class Number>
  void Store(std::size_t offset, Number number) {
    std::memcpy(payload() + offset, &number, sizeof number);
  }
};
static_assert(sizeof(Item) == 24 && alignof(Item) == 4);

// Marks that an item can get when it is made.
enum class ItemMark : std::uint32_t {
  kNone = 0,
  kBinaryKey = Item::kHasBinaryKey,
  kStale = Item::kIsStale,
  kWinTokenSent = Item::kWinTokenSent,
};
static_assert(std::atomic<std::uint8_t>::is_always_lock_free);

constexpr std::size_t Item::OverheadBytes(std::size_t key_bytes, OptionalParts parts) {
  return sizeof(Item) + key_bytes + (parts.can_expire ? 4 : 0) + (parts.has_flags ? 4 : 0);
}

}  // namespace larder::slab
