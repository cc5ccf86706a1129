#include "slab/engine/drops.h"

#include <cstddef>
#include <iterator>

#include "slab/check.h"

namespace larder::slab {
namespace {

// What a map takes for an entry, without the bytes of a long prefix.
constexpr std::uint64_t kListEntryBytes = 96;

}  // namespace

bool Drops::Drop(std::string_view prefix) {
  LARDER_ASSERT(!prefix.empty() && prefix.size() <= kKeyBytesMax);
  const MutexLock lock(mutex_);
  auto at = list_.lower_bound(prefix);
  const bool is_new = at == list_.end() || at->first != prefix;
  if (is_new) {
    // One that is covered makes room.
    const bool covers = at != list_.end() && at->first.starts_with(prefix);
    if (list_.size() >= drops_max_ && !covers) return false;
    at = list_.emplace_hint(at, prefix, 0);
    prefix_bytes_ += prefix.size();
  }
  // What takes long comes before the cutoff is drawn, because writes may wait for that.
  if (!table_.HasRoomFor(prefix)) BuildTable();
  versions_.DrawCutoff([&](std::uint64_t cutoff) noexcept {
    at->second = cutoff;
    table_.Add(prefix, cutoff);
  });
  newest_cutoff_ = at->second;
  // Only now: until then they are what kills their items.
  RemoveCovered(prefix);
  NoteCount();
  return true;
}

Drops::List::iterator Drops::Erase(List::iterator at) {
  prefix_bytes_ -= at->first.size();
  return list_.erase(at);
}

// All that begin with the prefix follow it in the order of bytes; the prefix itself stays.
void Drops::RemoveCovered(std::string_view prefix) {
  for (auto at = list_.upper_bound(prefix);
       at != list_.end() && std::string_view(at->first).starts_with(prefix);) {
    at = Erase(at);
  }
}

void Drops::NoteCount() {
  count_.store(static_cast<std::uint32_t>(list_.size()), std::memory_order_relaxed);
}

std::uint64_t Drops::bytes() const noexcept {
  const MutexLock lock(mutex_);
  return table_.resident_bytes() + list_.size() * kListEntryBytes + prefix_bytes_;
}

std::uint64_t Drops::newest_cutoff() const noexcept {
  const MutexLock lock(mutex_);
  return newest_cutoff_;
}

void Drops::Forget(std::uint64_t cutoff) {
  const MutexLock lock(mutex_);
  const std::size_t before = list_.size();
  for (auto at = list_.begin(); at != list_.end();) {
    at = at->second > cutoff ? std::next(at) : Erase(at);
  }
  if (list_.size() == before) return;
  NoteCount();
  BuildTable();
  if (list_.empty()) versions_.EndDrops();
}

void Drops::BuildTable() {
  std::vector<DroppedPrefix> drops;
  drops.reserve(list_.size());
  for (const auto& [prefix, cutoff] : list_) drops.push_back({.prefix = prefix, .cutoff = cutoff});
  table_.Build(drops);
}

}  // namespace larder::slab
