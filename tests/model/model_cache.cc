#include "tests/model/model_cache.h"

#include <array>
#include <cstring>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "tests/model/checker.h"

namespace larder::model {
namespace {

using slab::Cache;
using slab::Item;
using slab::ItemHandle;
using slab::Lane;

std::unique_ptr<Cache> MakeCache(std::uint32_t pages) {
  Cache::Options options;
  options.memory_bytes = std::uint64_t{pages} * slab::kPageBytes;
  // Then there is no thread that touches memory ahead of need.
  options.prefault = true;
  auto cache = Cache::Create(options);
  Require(static_cast<bool>(cache), "no cache");
  return std::move(*cache);
}

// The letter that all bytes are.
Letter LetterOf(std::string_view value) {
  Require(!value.empty(), "an empty value");
  Require(value.substr(1) == value.substr(0, value.size() - 1), "a torn value");
  return value.front();
}

}  // namespace

ModelCache::ModelCache(std::uint32_t pages) : cache_(MakeCache(pages)) {}

Lane& ModelCache::NewLane() {
  Lane& lane = cache_->AddLane();
  lane.now_s = kStartS;
  // The lane's range of numbers: or the first store of each thread would lock a mutex for it.
  (void)cache_->NextCas(lane);
  return lane;
}

slab::ItemSpec ModelCache::Spec(std::string_view key, Size size) const {
  return {.key = Key(key), .value_bytes = static_cast<std::uint32_t>(size.value_bytes)};
}

void ModelCache::Set(std::string_view key, Letter letter, Size size, Lane& lane,
                     std::uint32_t expires_at_s) {
  const std::string value(size.value_bytes, letter);
  slab::ItemSpec spec = Spec(key, size);
  if (expires_at_s != 0) spec.expiry = slab::Expiry::At(expires_at_s);
  const auto outcome = cache_->Store(slab::StoreMode::kSet, spec, value, 0, lane);
  Require(outcome.status == slab::StoreStatus::kStored, "a store was refused");
}

std::optional<Letter> ModelCache::Get(std::string_view key, Lane& lane) {
  std::optional<Letter> letter;
  cache_->Visit(Key(key), lane, [&](Item& item) {
    const std::size_t bytes = item.value_bytes();
    letter = LetterOf({reinterpret_cast<const char*>(item.value()), bytes});
  });
  return letter;
}

bool ModelCache::Delete(std::string_view key, Lane& lane) {
  return cache_->Delete(Key(key), lane).has_value();
}

bool ModelCache::Replace(std::string_view key, Letter letter, Size size, Lane& lane) {
  const std::string value(size.value_bytes, letter);
  return cache_->Store(slab::StoreMode::kReplace, Spec(key, size), value, 0, lane).status ==
         slab::StoreStatus::kStored;
}

bool ModelCache::Change(std::string_view key, Letter letter, Lane& lane) {
  return cache_->Visit(Key(key), lane, [&](Item& item) {
    Require(item.is_rewritable(), "a value that cannot be changed");
    std::memset(item.value(), letter, item.value_bytes());
    cache_->Renumber(item, lane);
  }) == slab::Presence::kHit;
}

void ModelCache::Drop(std::string_view prefix) {
  Require(cache_->Drop(prefix), "a drop was refused");
}

ItemHandle ModelCache::Pin(std::string_view key, Lane& lane) {
  ItemHandle handle;
  cache_->Visit(Key(key), lane, [&](Item& item) { handle = cache_->Pin(item); });
  Require(static_cast<bool>(handle), "nothing to pin");
  return handle;
}

std::optional<Letter> ModelCache::GetPinned(std::string_view key, Lane& lane) {
  ItemHandle handle;
  std::string_view value;
  cache_->Visit(Key(key), lane, [&](Item& item) {
    handle = cache_->Pin(item);
    value = {reinterpret_cast<const char*>(item.value()), item.value_bytes()};
  });
  if (!handle) return std::nullopt;
  const Letter letter = LetterOf(value.substr(0, value.size() / 2));
  Pass();
  Require(LetterOf(value) == letter, "a pinned value was changed");
  return letter;
}

slab::SlabClass& ModelCache::ClassOf(Size size) {
  const slab::SlabClasses& classes = cache_->engine().classes;
  const auto class_for = [&](std::string_view key) {
    return classes.ladder().ClassFor(sizeof(Item) + key.size() + size.value_bytes);
  };
  Require(class_for("k") == class_for("old1000"), "the length of the key matters");
  return classes.ById(class_for("k"));
}

// Reserved items are not made by the magazine.
void ModelCache::Fill(Size size, Lane& lane, std::uint32_t pages) {
  slab::SlabClass& c = ClassOf(size);
  const auto is_full = [&] {
    const MutexLock lock(c.mutex());
    return c.page_count() == pages && !c.has_free_chunk();
  };
  for (int number = 100; !is_full(); ++number) {
    const std::string key = "old" + std::to_string(number);
    auto reserved = cache_->Reserve(Spec(key, size), lane);
    Require(static_cast<bool>(reserved), "no memory");
    reserved->value().Write(std::string(size.value_bytes, 'o'));
    (void)cache_->Publish(std::move(*reserved), {.mode = slab::StoreMode::kSet}, lane);
  }
}

void ModelCache::AskForPage(Size size) {
  const auto status = cache_->page_mover().Reassign(ClassOf(size).id(), 0);
  Require(status == slab::ReassignStatus::kStarted, "no page can move");
}

void ModelCache::EmptyMagazines(Size size) {
  slab::SlabClass& c = ClassOf(size);
  const MutexLock lock(c.mutex());
  cache_->engine().magazines.EmptyAll(c);
}

void ModelCache::Sweep(slab::PageWalk walk, Lane& lane) {
  (void)cache_->walker().Sweep(walk, lane);
}

void ModelCache::Dump(slab::PageWalk walk, Lane& lane) {
  slab::ClassSet all;
  all.set();
  std::array<slab::ItemSnapshot, slab::kWalkChunksMax> items;
  const std::size_t count = cache_->walker().Snapshot(walk, all, lane, items);
  std::set<std::string> keys;
  for (const slab::ItemSnapshot& item : std::span(items).first(count)) {
    Require(keys.emplace(item.key()).second, "a dump shows a key twice");
  }
}

}  // namespace larder::model
