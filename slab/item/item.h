// What lies in a chunk: an item, a piece of a large item's value, or nothing.
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

namespace larder::slab {

// What a chunk is used for; changes under the mutex of its class, or by a lane that has it in its
// Magazine.
enum class ChunkUse : std::uint8_t {
  kFree,
  kOwned,         // Exclusively owned: being filled, or unlinked and still pinned.
  kQueued,        // A linked item: in the index and in the eviction queue of its class.
  kContinuation,  // A piece of a large item's value; `prev` names the item.
  kStocked,       // In a lane's Magazine, to be used for its next items.
  kArriving,      // A linked item: in the index, and in a Magazine until it is queued.
  kLeaving,       // The same, taken out of the queue to be evicted.
};

// References that an item counts at most.
inline constexpr std::uint8_t kRefsMax = 255;

// The head of every chunk, 24 bytes.
//
//   item           |Item|key|expiry 4?|flags 4?|chain 12?|value ...|cas 8?   | slack
//   continuation   |Item|value ...                                           | slack
//
// expiry: Unix time, 0 for never; present in an item that was given one. flags: the client flags,
// present if not zero. chain: present in an item whose value does not fit one chunk: {ItemRef of
// the first continuation, length of the whole value, length of what is here}. Continuations are
// linked by `next`. cas: a CAS that a client chose; behind the value, so that nobody else has to
// ask for it. All four are unaligned. No CRLF is stored.
//
// Threads: `next` and `prev`: caller locks the class, or owns the item alone. `refs` and `use()`:
//          atomic. `key_bytes` and the key: constant while the item is linked. It stays linked
//          while its bucket is locked, and while its class is locked if its use IsSteady(); but one
//          that is kLeaving may go, and another begin in its chunk, with no more than buckets
//          locked. After that, whoever finds the chunk in the bucket that he has locked knows that
//          the item in it is one of that bucket. All else: caller locks the item's bucket, or owns
//          the item alone, or (value only) holds a pin. So each of these is a field of its own.
// Source:  a 20 B key with a 100 B value takes 144 bytes, 148 with an expiry. Eight bytes of CAS,
//          four of the time of access and the expiry always there made it 152.
struct Item {
  ItemRef next;
  ItemRef prev;
  std::uint32_t number_low;
  std::uint32_t size_and_state;  // See below.
  std::uint16_t number_high;
  std::atomic<std::uint8_t> refs;  // 1 for the link in the index, 1 a pin or owner; see ExtraPins.
  std::uint8_t key_bytes;
  std::uint16_t last_access_low;  // Unix time in seconds, 24 bits.
  std::uint8_t last_access_high;
  std::atomic<ChunkUse> chunk_use;

  // REQUIRES: the item's bucket is locked, and it has less than kRefsMax.
  void AddReference() {
    LARDER_ASSERT(refs.load(std::memory_order_relaxed) != 0);
    LARDER_ASSERT(refs.load(std::memory_order_relaxed) < kRefsMax);
    refs.fetch_add(1, std::memory_order_relaxed);
  }
  // True if it was the last: the caller frees.
  [[nodiscard]] bool DropReference() {
    LARDER_ASSERT(refs.load(std::memory_order_relaxed) != 0);
    // With one reference left it is ours, and nobody can add to it: no locked instruction is
    // needed.
    return refs.load(std::memory_order_acquire) == 1 ||
           refs.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

  ChunkUse use() const { return chunk_use.load(std::memory_order_acquire); }
  void set_use(ChunkUse use) { chunk_use.store(use, std::memory_order_release); }
  bool is_in_magazine() const {
    return use() == ChunkUse::kArriving || use() == ChunkUse::kLeaving;
  }
  // Its value may be overwritten in place: nobody reads it outside the bucket's lock.
  bool is_rewritable() const { return refs.load(std::memory_order_acquire) == 1 && !is_chained(); }
  bool is_linked() const { return use() == ChunkUse::kQueued || is_in_magazine(); }
  // A linked item whose key can be read while its class is locked: see "Threads".
  static bool IsSteady(ChunkUse use) {
    return use == ChunkUse::kQueued || use == ChunkUse::kArriving;
  }

  // Where the Magazine has it; lies in `next` and `prev`, which no list needs then.
  std::atomic<ItemRef>* magazine_slot() const {
    LARDER_ASSERT(is_in_magazine());
    std::atomic<ItemRef>* slot = nullptr;
    static_assert(sizeof slot <= sizeof next + sizeof prev);
    std::memcpy(&slot, reinterpret_cast<const std::byte*>(this), sizeof slot);
    return slot;
  }
  void set_magazine_slot(std::atomic<ItemRef>* slot) {
    std::memcpy(reinterpret_cast<std::byte*>(this), &slot, sizeof slot);
  }

  // The number of the write, 48 bits of it; unique among those in the cache, and in the order of
  // writing: flush_all compares it.
  static constexpr unsigned kNumberBits = 48;
  static constexpr std::uint64_t kNumberMask = (std::uint64_t{1} << kNumberBits) - 1;
  std::uint64_t number() const { return std::uint64_t{number_high} << 32 | number_low; }
  void set_number(std::uint64_t number) {
    number_low = static_cast<std::uint32_t>(number);
    number_high = static_cast<std::uint16_t>(number >> 32);
  }

  // What clients see and compare: the number, unless a client chose a CAS of its own.
  std::uint64_t cas() const { return has_chosen_cas() ? chosen_cas() : number(); }
  void set_cas(std::uint64_t number) {
    set_number(number);
    size_and_state &= ~kHasChosenCas;
  }
  // REQUIRES: the chunk has kChosenCasBytes behind the value.
  void SetChosenCas(std::uint64_t cas) {
    size_and_state |= kHasChosenCas;
    Store(cas_offset(), cas);
  }

  // Exact for items that were used in the last 194 days. 0 too when `now_s` is a little before the
  // access: threads read the clock at moments of their own.
  std::uint32_t idle_s(std::uint32_t now_s) const {
    constexpr std::uint32_t kLagMaxS = 60;
    const std::uint32_t idle = now_s - (std::uint32_t{last_access_high} << 16 | last_access_low);
    return (idle & 0xffffff) > 0xffffff - kLagMaxS ? 0 : idle & 0xffffff;
  }
  void set_last_access(std::uint32_t now_s) {
    last_access_low = static_cast<std::uint16_t>(now_s);
    last_access_high = static_cast<std::uint8_t>(now_s >> 16);
  }

  // size_and_state: |eviction state 8|state 7|bytes of value in this chunk 17|
  static constexpr std::uint32_t kValueBits = 17;
  static constexpr std::uint32_t kValueMask = (1U << kValueBits) - 1;
  static constexpr std::uint32_t kIsChained = kValueMask;  // In place of the bytes.
  static constexpr std::uint32_t kHasFlags = 1U << 17;
  static constexpr std::uint32_t kCanExpire = 1U << 18;
  static constexpr std::uint32_t kWasFetched = 1U << 19;
  static constexpr std::uint32_t kHasChosenCas = 1U << 20;
  static constexpr std::uint32_t kHasBinaryKey = 1U << 21;  // Stored under a base64 key.
  static constexpr std::uint32_t kIsStale = 1U << 22;       // Marked as out of date.
  static constexpr std::uint32_t kIsWon = 1U << 23;  // One client is to fetch its value anew.
  static constexpr std::uint32_t kEvictionStateShift = 24;
  static constexpr std::uint32_t kEvictionStateMask = 0xffU << kEvictionStateShift;

  std::byte* payload() { return reinterpret_cast<std::byte*>(this + 1); }
  const std::byte* payload() const { return reinterpret_cast<const std::byte*>(this + 1); }

  std::string_view key() const { return {reinterpret_cast<const char*>(payload()), key_bytes}; }

  bool has_flags() const { return (size_and_state & kHasFlags) != 0; }
  bool can_expire() const { return (size_and_state & kCanExpire) != 0; }
  bool is_chained() const { return (size_and_state & kValueMask) == kIsChained; }
  bool was_fetched() const { return (size_and_state & kWasFetched) != 0; }
  bool has_chosen_cas() const { return (size_and_state & kHasChosenCas) != 0; }
  bool has_binary_key() const { return (size_and_state & kHasBinaryKey) != 0; }
  bool is_stale() const { return (size_and_state & kIsStale) != 0; }
  bool is_won() const { return (size_and_state & kIsWon) != 0; }
  EvictionState eviction_state() const {
    return EvictionState::FromCode(size_and_state >> kEvictionStateShift);
  }

  Expiry expiry() const { return can_expire() ? Load<Expiry>(expiry_offset()) : Expiry(); }
  // False if there is no room for it: see Cache::AddRoom.
  [[nodiscard]] bool SetExpiry(Expiry expiry) {
    if (!can_expire()) return !expiry.is_set();
    Store(expiry_offset(), expiry);
    return true;
  }
  std::uint32_t client_flags() const {
    return has_flags() ? Load<std::uint32_t>(flags_offset()) : 0;
  }
  std::uint32_t value_bytes() const {
    return is_chained() ? Load<std::uint32_t>(chain_offset() + 4) : size_and_state & kValueMask;
  }
  // Header, key, flags and value, as the item limit and `bytes` count them.
  std::size_t item_bytes() const {
    return OverheadBytes(key_bytes, has_flags(), can_expire()) + value_bytes();
  }
  std::uint32_t value_bytes_here() const {
    return is_chained() ? Load<std::uint32_t>(chain_offset() + 8) : size_and_state & kValueMask;
  }
  ItemRef first_continuation() const {
    return is_chained() ? Load<std::uint32_t>(chain_offset()) : kNoItem;
  }

  // Where the value (of a chained item: its first piece) begins.
  std::byte* value() { return payload() + value_offset(); }
  const std::byte* value() const { return payload() + value_offset(); }

  void set_eviction_state(EvictionState state) {
    size_and_state = (size_and_state & ~kEvictionStateMask) | state.code() << kEvictionStateShift;
  }
  void set_fetched() { size_and_state |= kWasFetched; }
  bool is_stale_or_won() const { return (size_and_state & (kIsStale | kIsWon)) != 0; }
  void set_won() { size_and_state |= kIsWon; }
  // Out of date: the next client to read it is to fill it anew.
  void MakeStale() { size_and_state = (size_and_state & ~kIsWon) | kIsStale; }

  // What an item has besides its key and its value.
  struct Extras {
    std::uint32_t client_flags = 0;
    Expiry expiry = {};
    bool can_expire = false;
  };
  // Lays out what is behind the key, all of the value in this chunk. Clears the state but for the
  // eviction state. Where the value begins: to ask value() again costs every set a dozen
  // instructions.
  std::byte* SetShape(const Extras& extras, std::uint32_t value_bytes) {
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
  // After SetShape: only the first `bytes_here` of the value are.
  void SetChain(ItemRef first, std::uint32_t value_bytes_total, std::uint32_t bytes_here) {
    LARDER_ASSERT(bytes_here <= value_bytes_total);
    size_and_state |= kIsChained;
    Store(chain_offset(), first);
    Store(chain_offset() + 4, value_bytes_total);
    Store(chain_offset() + 8, bytes_here);
  }

  // Bytes before the value.
  std::size_t head_bytes() const { return sizeof(Item) + value_offset(); }
  // Bytes of the chunk that are in use, without a chosen CAS.
  std::size_t used_bytes() const { return head_bytes() + value_bytes_here(); }

  // Item bytes without the value, as stored: what slab classes and the item limit count.
  static constexpr std::size_t OverheadBytes(std::size_t key_bytes, bool has_flags = false,
                                             bool can_expire = false);
  static constexpr std::size_t kExpiryBytes = 4;
  static constexpr std::size_t kChainBytes = 12;
  static constexpr std::size_t kChosenCasBytes = 8;

 private:
  std::size_t expiry_offset() const { return key_bytes; }
  std::size_t flags_offset() const { return expiry_offset() + (can_expire() ? 4 : 0); }
  std::size_t chain_offset() const { return flags_offset() + (has_flags() ? 4 : 0); }
  std::size_t value_offset() const { return chain_offset() + (is_chained() ? kChainBytes : 0); }
  std::size_t cas_offset() const { return value_offset() + value_bytes_here(); }
  // Inlined, it costs every get 19 instructions.
  [[gnu::noinline, gnu::cold]] std::uint64_t chosen_cas() const {
    return Load<std::uint64_t>(cas_offset());
  }
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

// What an item can be marked as when it is made.
enum class ItemMark : std::uint32_t {
  kNone = 0,
  kBinaryKey = Item::kHasBinaryKey,
  kStale = Item::kIsStale,
  kWon = Item::kIsWon,
};
static_assert(std::atomic<std::uint8_t>::is_always_lock_free);

constexpr std::size_t Item::OverheadBytes(std::size_t key_bytes, bool has_flags, bool can_expire) {
  return sizeof(Item) + key_bytes + (can_expire ? 4 : 0) + (has_flags ? 4 : 0);
}

}  // namespace larder::slab
