#include "slab/cache.h"

#include <chrono>
#include <system_error>
#include <utility>

#include "slab/check.h"

namespace larder::slab {

Result<std::unique_ptr<Cache>, std::string> Cache::Create(const Options& options) {
  return options.memory_file.empty() ? Build(options, nullptr) : CreateOnFile(options);
}

Result<std::unique_ptr<Cache>, std::string> Cache::Build(const Options& options,
                                                         std::unique_ptr<MemoryFile> memory_file) {
  auto foundation = Foundation::Make(options, std::move(memory_file));
  if (!foundation) return Failure{foundation.error()};
  std::unique_ptr<Cache> cache;
  try {
    cache.reset(new Cache(options, std::move(*foundation)));
  } catch (const std::system_error& error) {
    return Failure{std::string("cannot start a thread for memory: ") + error.what()};
  }
  if (!cache->engine_.is_whole()) {
    return Failure{std::string("cannot reserve memory for removal records and drops")};
  }
  return cache;
}

StoreOutcome Cache::StoreSampled(StoreMode mode, const ItemSpec& spec, std::string_view value,
                                 std::uint64_t cas_unique, Lane& lane) {
  const StoreOutcome outcome = engine_.storer.Store(mode, spec, value, cas_unique, lane);
  engine_.miss_ratios.NoteStore({.mode = mode,
                                 .hash = spec.key.hash,
                                 .item_bytes = ItemBytes(spec),
                                 .value_bytes = spec.value_bytes,
                                 .expiry = spec.expiry},
                                outcome, lane);
  return outcome;
}

StoreOutcome Cache::Publish(ReservedItem item, const PublishTerms& terms, Lane& lane) {
  const std::uint64_t hash = item.key().hash;
  if (!engine_.miss_ratios.IsSampled(hash)) return engine_.storer.Publish(item, terms, lane);
  // Read before the item is published: afterwards it no longer belongs to this thread.
  const MissRatios::Stored stored = {.mode = terms.mode,
                                     .hash = hash,
                                     .item_bytes = item.item_bytes(),
                                     .value_bytes = item.value_bytes(),
                                     .expiry = item.expiry()};
  const StoreOutcome outcome = engine_.storer.Publish(item, terms, lane);
  engine_.miss_ratios.NoteStore(stored, outcome, lane);
  return outcome;
}

void Cache::Maintain(Lane& lane) {
  engine_.page_mover.EnforceLimit(lane);
  // This lane may never store, and a store is what reports usually.
  engine_.unlinker.ReportCount(lane);
}

void Cache::Tick(std::uint32_t now_s) noexcept {
  engine_.versions.Tick(now_s);
  engine_.removal_records.ForgetOld(now_s);
}

void Cache::BalancePages(Lane& lane) {
  engine_.usage.NoteTurn(engine_.lanes);
  engine_.miss_review.Review();
  engine_.drop_purge.Step(lane);
  engine_.miss_ratios.Simulate(lane);
  engine_.page_mover.Balance(lane);
  // This lane may never store, and a store is what reports usually.
  engine_.unlinker.ReportCount(lane);
}

Result<std::unique_ptr<Cache>, std::string> Cache::CreateOnFile(const Options& options) {
  // Reports a line about the file, if the caller has asked for reports.
  const auto report = [&](const std::string& text) {
    if (options.report) options.report("memory file " + options.memory_file + ": " + text);
  };
  const auto started_at = std::chrono::steady_clock::now();
  auto opened = MemoryFile::Open(options.memory_file);
  if (!opened) return Failure{opened.error()};
  std::unique_ptr<MemoryFile> file = std::move(*opened);
  // The state is read before anything is done to the file.
  auto state = file->ReadState();
  const std::uint64_t pages = options.memory_bytes >> kPageShift;
  std::string wrong =
      file->Prepare(pages << kPageShift, CacheSnapshot::BytesMax(static_cast<PageIndex>(pages)),
                    options.is_cancelled);
  if (!wrong.empty()) return Failure{std::move(wrong)};

  // There is a saved state: build a cache on the file and try to restore it. If the state turns out
  // to be unusable, that cache is destroyed, and an empty one is built on the same file.
  if (state) {
    auto built = Build(options, std::move(file));
    if (!built) return built;
    Cache& cache = **built;
    const auto moment = CacheSnapshot::Restore(cache.engine_, *state, options, report);
    if (moment) {
      cache.engine_.restored_flush_due = moment->flush_due;
      const std::uint64_t items = cache.Alive().items;
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - started_at);
      report("restored " + std::to_string(items) + " items in " + std::to_string(took.count()) +
             " ms");
      return built;
    }
    // The restart was cancelled. The file keeps its state for the next process, because BeginUse
    // was not called.
    if (options.is_cancelled && options.is_cancelled()) {
      return Failure{"memory file " + options.memory_file +
                     ": stopped while its items were read: it stays as it was"};
    }
    // The file is used again for an empty cache.
    state = Failure{moment.error()};
    file = std::move(cache.engine_.memory_file);
  }
  report("starts empty: " + state.error());
  return Build(options, std::move(file));
}

std::string Cache::BeginUse() {
  if (engine_.memory_file == nullptr) return "";
  std::string wrong = engine_.memory_file->BeginUse();
  if (!wrong.empty()) return wrong;
  // These items have expired, although the present clock does not show it. Only now may the arena
  // be changed.
  for (const ItemRef ref : std::exchange(engine_.restored_expired, {})) {
    // Succeeds, because the item had an expiry.
    LARDER_CHECK(engine_.arena->At(ref).SetExpiry(Expiry::LongPast()));
  }
  return "";
}

Result<std::uint64_t, std::string> Cache::Save(const SavedMoment& moment) {
  LARDER_CHECK(engine_.memory_file != nullptr);
  // The file knows no drops: what they have killed is removed now, then they are forgotten.
  if (live_drops() != 0) {
    Lane& lane = AddLane();
    lane.SetNow({.now_s = moment.now_s, .wall_ahead_s = moment.wall_ahead_s});
    while (live_drops() != 0) engine_.drop_purge.Step(lane);
  }
  // First the arena, then the state, then the mark in the header: see MemoryFile.
  const auto state = CacheSnapshot::Take(engine_, moment);
  if (!state) return Failure{state.error()};
  if (std::string wrong = engine_.memory_file->WriteState(*state, engine_.arena->PageAt(0));
      !wrong.empty()) {
    return Failure{std::move(wrong)};
  }
  return Alive().items;
}

}  // namespace larder::slab
