// A cache that tests speak to in strings.
#pragma once

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slab/cache.h"
#include "slab/check.h"

CATCH_REGISTER_ENUM(larder::slab::StoreStatus, larder::slab::StoreStatus::kStored,
                    larder::slab::StoreStatus::kNotStored, larder::slab::StoreStatus::kExists,
                    larder::slab::StoreStatus::kNotFound, larder::slab::StoreStatus::kTooLarge,
                    larder::slab::StoreStatus::kNoMemory, larder::slab::StoreStatus::kForbidden)
CATCH_REGISTER_ENUM(larder::slab::Presence, larder::slab::Presence::kHit,
                    larder::slab::Presence::kMiss, larder::slab::Presence::kExpired,
                    larder::slab::Presence::kFlushed, larder::slab::Presence::kNoRoom)
CATCH_REGISTER_ENUM(larder::slab::RoomStatus, larder::slab::RoomStatus::kMade,
                    larder::slab::RoomStatus::kMiss, larder::slab::RoomStatus::kNoMemory)

namespace larder::slab {

// Seconds as tests write them: 0 is never.
inline Expiry ExpiryAt(std::uint32_t second) { return second == 0 ? Expiry() : Expiry::At(second); }
inline std::uint32_t SecondOf(Expiry expiry, const Lane& lane) {
  if (!expiry.is_set()) return 0;
  return static_cast<std::uint32_t>(lane.now_s + expiry.SecondsLeft(lane));
}

// What a reader sees of an item.
struct SeenItem {
  std::string value;
  std::uint32_t client_flags = 0;
  std::uint32_t expires_at_s = 0;
  std::uint64_t cas = 0;
  ClassId class_id = 0;

  bool operator==(const SeenItem&) const = default;
};

struct StoreArgs {
  StoreMode mode = StoreMode::kSet;
  std::string_view key{};
  std::string_view value{};
  std::uint32_t flags = 0;
  std::uint32_t expires_at_s = 0;
  std::uint64_t cas = 0;
};

// The keys of a class from the newest item on, `count` at most; 0: all.
inline std::vector<std::string> KeysOf(Cache& cache, Lane& lane, ClassId id,
                                       std::size_t count = 0) {
  std::vector<std::string> keys;
  QueueWalk walk{.class_id = id};
  std::array<ItemSnapshot, kWalkChunksMax> items;
  while (!walk.is_at_end && (count == 0 || keys.size() < count)) {
    std::span<ItemSnapshot> wanted(items);
    if (count != 0) wanted = wanted.first(std::min(wanted.size(), count - keys.size()));
    const std::size_t taken = cache.walker().SnapshotQueue(walk, lane, wanted);
    for (const ItemSnapshot& item : wanted.first(taken)) keys.emplace_back(item.key());
  }
  return keys;
}

inline std::string ReadAll(ValueCursor from) {
  std::string bytes;
  for (auto piece = from.piece(); !piece.empty(); piece = from.piece()) {
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    from.Advance(piece.size());
  }
  return bytes;
}

inline void WriteAll(std::string_view bytes, ValueCursor to) {
  while (!bytes.empty()) {
    const auto piece = to.piece();
    const std::size_t n = std::min(piece.size(), bytes.size());
    REQUIRE(n > 0);
    std::memcpy(piece.data(), bytes.data(), n);
    to.Advance(n);
    bytes.remove_prefix(n);
  }
}

// Bytes in which no stretch is like another.
inline std::string Noise(std::size_t bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string noise(bytes + sizeof(std::uint64_t), '\0');
  for (std::size_t at = 0; at < bytes; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(noise.data() + at, &word, sizeof word);
  }
  noise.resize(bytes);
  return noise;
}

// A CAS that a client may choose; the cache's own are shorter.
inline constexpr std::uint64_t kWideCas = 0xfedc'ba98'7654'3210;

// One cache and one lane, whose clock starts at kStartS.
class CacheFixture {
 public:
  static constexpr std::uint32_t kStartS = 1'000'000;

  CacheFixture() : CacheFixture(Cache::Options{}) {}
  explicit CacheFixture(const Cache::Options& options)
      : cache_(std::move(*Cache::Create(options))), lane_(&NewLane()) {
    REQUIRE(cache_->BeginUse() == "");
  }

  Cache& cache() { return *cache_; }
  Lane& lane() { return *lane_; }
  Lane& NewLane() {
    Lane& lane = cache_->AddLane();
    lane.now_s = kStartS;
    return lane;
  }
  // As if the commands that follow came over another worker's connection.
  void Use(Lane& lane) { lane_ = &lane; }

  HashedKey Key(std::string_view key) const { return {key, cache_->Hash(key)}; }
  ItemSpec Spec(std::string_view key, std::size_t value_bytes) const {
    return {.key = Key(key), .value_bytes = static_cast<std::uint32_t>(value_bytes)};
  }

  StoreOutcome StoreWithClass(const StoreArgs& args) {
    ItemSpec spec = Spec(args.key, args.value.size());
    spec.client_flags = args.flags;
    spec.expiry = ExpiryAt(args.expires_at_s);
    return cache_->Store(args.mode, spec, args.value, args.cas, *lane_);
  }
  StoreStatus Store(const StoreArgs& args) { return StoreWithClass(args).status; }
  StoreStatus Set(std::string_view key, std::string_view value) {
    return Store({.key = key, .value = value});
  }
  StoreStatus Add(std::string_view key, std::string_view value) {
    return Store({.mode = StoreMode::kAdd, .key = key, .value = value});
  }
  StoreStatus Replace(std::string_view key, std::string_view value) {
    return Store({.mode = StoreMode::kReplace, .key = key, .value = value});
  }
  StoreStatus Append(std::string_view key, std::string_view value) {
    return Store({.mode = StoreMode::kAppend, .key = key, .value = value});
  }
  StoreStatus Prepend(std::string_view key, std::string_view value) {
    return Store({.mode = StoreMode::kPrepend, .key = key, .value = value});
  }
  StoreStatus Cas(std::string_view key, std::string_view value, std::uint64_t cas) {
    return Store({.mode = StoreMode::kCas, .key = key, .value = value, .cas = cas});
  }
  // The same as Store in two steps, as for a value that comes in pieces.
  StoreStatus ReserveAndPublish(const StoreArgs& args) {
    ItemSpec spec = Spec(args.key, args.value.size());
    spec.client_flags = args.flags;
    spec.expiry = ExpiryAt(args.expires_at_s);
    auto reserved = cache_->Reserve(spec, *lane_);
    if (!reserved) return reserved.error();
    WriteAll(args.value, reserved->value());
    return cache_
        ->Publish(std::move(*reserved), {.mode = args.mode, .cas_unique = args.cas}, *lane_)
        .status;
  }

  // What the meta commands ask for.
  StoreOutcome PublishChosen(std::string_view key, std::string_view value,
                             const PublishTerms& terms, std::optional<std::uint64_t> chosen_cas) {
    ItemSpec spec = Spec(key, value.size());
    spec.has_expiry_room = terms.is_stale_allowed;
    auto reserved = cache_->Reserve(spec, *lane_, chosen_cas);
    if (!reserved) return {.status = reserved.error()};
    WriteAll(value, reserved->value());
    return cache_->Publish(std::move(*reserved), terms, *lane_);
  }

  template <class Fn>
  Presence Visit(std::string_view key, Fn&& fn) {
    return cache_->Visit(Key(key), *lane_, fn);
  }
  Presence Look(std::string_view key) {
    return Visit(key, [](Item&) {});
  }
  Presence Touch(std::string_view key, std::uint32_t expires_at_s) {
    const Expiry expiry = ExpiryAt(expires_at_s);
    return cache_->VisitToExpire(Key(key), expiry, *lane_,
                                 [&](Item& item) { LARDER_CHECK(item.SetExpiry(expiry)); });
  }
  std::optional<SeenItem> See(std::string_view key) {
    SeenItem seen;
    const Presence presence = Visit(key, [&](Item& item) {
      seen = {.value = ReadAll(cache_->Value(item)),
              .client_flags = item.client_flags(),
              .expires_at_s = SecondOf(item.expiry(), *lane_),
              .cas = item.cas(),
              .class_id = cache_->ClassOf(item)};
    });
    if (presence != Presence::kHit) return std::nullopt;
    return seen;
  }
  std::optional<std::string> Get(std::string_view key) {
    auto seen = See(key);
    if (!seen) return std::nullopt;
    return std::move(seen->value);
  }
  // As a client's get: the item counts as used.
  bool Hit(std::string_view key) {
    return Visit(key, [&](Item& item) {
             cache_->MarkAccess(item, cache_->ClassOf(item), *lane_);
           }) == Presence::kHit;
  }
  bool Delete(std::string_view key) { return cache_->Delete(Key(key), *lane_).has_value(); }

  DeleteOutcome DeleteIfUnchanged(std::string_view key, std::uint64_t cas) {
    return cache_->DeleteIfUnchanged(Key(key), cas, *lane_);
  }

  // A pin and what it protects.
  struct Pinned {
    ItemHandle handle;
    ValueCursor value;
  };
  Pinned Pin(std::string_view key) {
    Pinned pinned;
    Visit(key, [&](Item& item) { pinned = {cache_->Pin(item), cache_->Value(item)}; });
    return pinned;
  }

  ClassSnapshot Class(ClassId id) {
    const auto snapshots = cache_->census().CleanAndDescribeClasses(*lane_);
    return snapshots.at(std::size_t{id} - 1);
  }
  std::uint64_t used_chunks() {
    std::uint64_t used = 0;
    for (const ClassSnapshot& snapshot : cache_->census().CleanAndDescribeClasses(*lane_))
      used += snapshot.used_chunks;
    return used;
  }
  std::uint64_t evicted() {
    std::uint64_t evicted = 0;
    for (const ClassSnapshot& snapshot : cache_->census().CleanAndDescribeClasses(*lane_))
      evicted += snapshot.stats.evicted;
    return evicted;
  }
  AliveCount alive() const { return cache_->Alive(); }
  // Gauges summed over all lanes: the dead count too.
  std::uint64_t items() const {
    std::uint64_t items = 0;
    cache_->ForEachLane([&](const Lane& lane) { items += lane.items.value(); });
    return items;
  }
  std::uint64_t bytes() const {
    std::uint64_t bytes = 0;
    cache_->ForEachLane([&](const Lane& lane) { bytes += lane.bytes.value(); });
    return bytes;
  }
  // Fills all memory with items of this size, and on until `turnovers` times as many were stored.
  // Keys are "fill<number>".
  int Fill(std::size_t value_bytes, int turnovers = 2) {
    const std::string value = Noise(value_bytes, 1);
    const std::uint64_t item_bytes = value_bytes + sizeof(Item) + 8;
    const int count = turnovers * static_cast<int>(cache_->memory_limit_bytes() / item_bytes + 1);
    for (int i = 0; i < count; ++i) (void)Set("fill" + std::to_string(i), value);
    return count;
  }

 private:
  std::unique_ptr<Cache> cache_;
  Lane* lane_;
};

// A time that is yet to come when a CacheFixture starts.
inline constexpr std::uint32_t kSoonS = CacheFixture::kStartS + 10;

}  // namespace larder::slab
