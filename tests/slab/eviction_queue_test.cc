#include "slab/eviction/eviction_queue.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <utility>
#include <vector>

#include "tests/slab/turns.h"

namespace larder::slab {
namespace {

constexpr int kNobody = -1;

// A queue, and items numbered from 0 that may stand in it. An item's number is its key.
class QueuedItems {
 public:
  static constexpr int kItems = 4000;

  explicit QueuedItems(EvictionPolicy policy = EvictionPolicy::kSegmented)
      : arena_(std::move(*Arena::Create({.limit_bytes = kPageBytes}))),
        page_(arena_->PageAt(arena_->Take().value())),
        queue_(*arena_, clock_) {
    for (int number = 0; number < kItems; ++number) {
      new (page_ + std::ptrdiff_t{number} * kChunkBytes) Item{};
    }
    queue_.set_policy(policy);
  }

  ItemRef Ref(int number) const {
    return arena_->RefOf(page_ + std::ptrdiff_t{number} * kChunkBytes);
  }
  int Number(ItemRef ref) const {
    if (ref == kNoItem) return kNobody;
    return static_cast<int>((reinterpret_cast<std::byte*>(&arena_->At(ref)) - page_) / kChunkBytes);
  }
  Item& At(int number) { return arena_->At(Ref(number)); }
  bool IsQueued(int number) { return At(number).use() == ChunkUse::kQueued; }
  Segment SegmentOf(int number) { return At(number).eviction_state().segment(); }

  // No two items have the same fingerprint, so none is taken for another.
  static std::uint64_t HashOf(int number) {
    const auto key = static_cast<std::uint64_t>(number);
    std::mt19937_64 random(key);
    return random() << 16 | (key + 1);
  }
  void Insert(int number) { queue_.Insert(Ref(number), HashOf(number)); }
  void InsertMany(int first, int count) {
    for (int number = first; number < first + count; ++number) Insert(number);
  }
  void Remove(int number) { queue_.Remove(Ref(number)); }
  // As the cache does it.
  void Hit(int number) {
    if (queue_.policy() == EvictionPolicy::kLru) return queue_.MoveToFront(Ref(number));
    const EvictionState state = At(number).eviction_state();
    if (state == EvictionState::Newcomer()) queue_.promotion_rule().CountHit();
    At(number).set_eviction_state(clock_.AfterHit(state));
  }
  int Evict() {
    EvictionQueue::Candidate candidate = queue_.Next();
    while (queue_.Spare(candidate)) candidate = queue_.Next();
    const int victim = Number(candidate.ref);
    queue_.Evict(candidate, HashOf(victim));
    return victim;
  }

  // From the newest on; fails when the links do not agree with one another.
  std::vector<int> Order(Segment segment) {
    std::vector<int> order;
    ItemRef before = kNoItem;
    for (ItemRef ref = queue_.newest(segment); ref != kNoItem; ref = arena_->At(ref).next) {
      REQUIRE(arena_->At(ref).prev == before);
      REQUIRE(arena_->At(ref).use() == ChunkUse::kQueued);
      REQUIRE(arena_->At(ref).eviction_state().segment() == segment);
      order.push_back(Number(ref));
      before = ref;
    }
    REQUIRE(queue_.oldest(segment) == before);
    REQUIRE(queue_.count(segment) == order.size());
    return order;
  }
  std::vector<int> OnProbation() { return Order(Segment::kProbation); }
  std::vector<int> InMain() { return Order(Segment::kMain); }
  void InsertIntoMain(int number) { queue_.InsertAs(Ref(number), EvictionState::Main(0)); }

  EvictionQueue& queue() { return queue_; }
  const ProbationClock& clock() const { return clock_; }

 private:
  static constexpr std::ptrdiff_t kChunkBytes = 64;

  std::unique_ptr<Arena> arena_;
  std::byte* page_;
  ProbationClock clock_;
  EvictionQueue queue_;
};

TEST_CASE("a round goes through both segments from the tails on, and begins again",
          "[slab][eviction_queue]") {
  QueuedItems items;
  CHECK(items.queue().NextOfRound().ref == kNoItem);
  items.InsertMany(0, 3);
  items.InsertIntoMain(3);
  items.InsertIntoMain(4);
  std::vector<int> seen;
  for (int i = 0; i < 7; ++i) seen.push_back(items.Number(items.queue().NextOfRound().ref));
  CHECK(seen == std::vector{3, 4, 0, 1, 2, 3, 4});
}

TEST_CASE("a round goes on where items are removed, moved and put back", "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 6);
  EvictionQueue& queue = items.queue();
  CHECK(items.Number(queue.NextOfRound().ref) == 0);
  items.Remove(1);
  CHECK(items.Number(queue.NextOfRound().ref) == 2);
  // Another chunk takes the place of the next one.
  queue.Relocate(items.Ref(3), items.Ref(7));
  CHECK(items.Number(queue.NextOfRound().ref) == 7);
  queue.PutBack({.ref = items.Ref(4), .segment = Segment::kProbation});
  CHECK(items.Number(queue.NextOfRound().ref) == 5);
  CHECK(items.Number(queue.NextOfRound().ref) == 4);
  CHECK(items.Number(queue.NextOfRound().ref) == 0);
  items.Remove(2);
  items.Remove(7);
  items.Remove(5);
  items.Remove(4);
  CHECK(items.Number(queue.NextOfRound().ref) == 0);
  CHECK(items.Number(queue.NextOfRound().ref) == 0);
  items.Remove(0);
  CHECK(queue.NextOfRound().ref == kNoItem);
}

TEST_CASE("an empty queue has no candidate", "[slab][eviction_queue]") {
  QueuedItems items;
  CHECK(items.queue().Next().ref == kNoItem);
  CHECK(items.queue().count() == 0);
  items.Insert(3);
  items.Remove(3);
  CHECK(items.queue().Next().ref == kNoItem);
  CHECK(items.OnProbation().empty());
}

TEST_CASE("items without a hit go in the order they came", "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 4);
  CHECK(items.OnProbation() == std::vector{3, 2, 1, 0});
  for (int number = 0; number < 4; ++number) CHECK(items.Evict() == number);
  CHECK(items.queue().stats().evicted_from_probation == 4);
}

TEST_CASE("use tells whether an item is queued", "[slab][eviction_queue]") {
  QueuedItems items;
  items.Insert(0);
  CHECK(items.IsQueued(0));
  items.Remove(0);
  CHECK(items.At(0).use() == ChunkUse::kOwned);
}

TEST_CASE("a hit moves nothing", "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 100);
  items.Hit(0);
  CHECK(items.OnProbation().back() == 0);
}

TEST_CASE("an item that was hit on probation goes to main instead of away",
          "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 100);
  items.Hit(0);
  CHECK(items.Evict() == 1);
  CHECK(items.InMain() == std::vector{0});
  CHECK(items.At(0).eviction_state() == EvictionState::Newcomer());
  CHECK(items.queue().stats().promoted == 1);
}

TEST_CASE("an item with two hits on probation goes to main as one that has been there",
          "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 100);
  items.Hit(0);
  items.Hit(0);
  CHECK(items.Evict() == 1);
  CHECK(items.At(0).eviction_state() == EvictionState::Main(0));
}

TEST_CASE("a hit right behind the store does not count", "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 100);
  items.Hit(99);
  CHECK(items.At(99).eviction_state().hits() == 0);
  items.InsertMany(100, 40);
  items.Hit(99);
  CHECK(items.At(99).eviction_state().hits() == 1);
}

TEST_CASE("main gives one more round for each hit, to three", "[slab][eviction_queue]") {
  QueuedItems items;
  for (const int number : {0, 1}) items.InsertIntoMain(number);
  for (int hit = 0; hit < 10; ++hit) items.Hit(0);
  CHECK(items.At(0).eviction_state() == EvictionState::Main(3));
  CHECK(items.Evict() == 1);
  CHECK(items.At(0).eviction_state() == EvictionState::Main(2));
  CHECK(items.Evict() == 0);
  CHECK(items.queue().stats().second_chances == 3);
  CHECK(items.queue().stats().evicted_from_main == 2);
}

TEST_CASE("probation loses items while it holds its share, and main below that",
          "[slab][eviction_queue]") {
  QueuedItems items;
  for (int number = 0; number < 90; ++number) items.InsertIntoMain(number);
  items.InsertMany(100, 10);
  CHECK(items.queue().probation_target() == 10);
  CHECK(items.Evict() == 100);
  CHECK(items.queue().count(Segment::kProbation) == 9);
  CHECK(items.Evict() == 0);
}

TEST_CASE("a key that comes back soon enters main, and moves the share", "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 1000);
  const std::uint64_t target = items.queue().probation_target();
  REQUIRE(target == 100);
  for (int number = 0; number < 10; ++number) {
    REQUIRE(items.Evict() == number);
    items.Insert(number);
    CHECK(items.SegmentOf(number) == Segment::kMain);
  }
  CHECK(items.queue().probation_target() == target + 10);
  CHECK(items.queue().stats().ghosts_of_probation == 10);
  // Evicted from main, it says that main was too short.
  for (int number = 10; number < 810; ++number) items.Remove(number);
  REQUIRE(items.queue().count() == 200);
  for (int number = 810; number < 990; ++number) items.Remove(number);
  REQUIRE(items.queue().count(Segment::kProbation) == 10);
  items.InsertMany(1000, 20);
  items.queue().SetProbationShare(EvictionQueue::kShareMax);
  const std::uint64_t before = items.queue().probation_target();
  REQUIRE(items.Evict() == 0);
  items.Insert(0);
  CHECK(items.SegmentOf(0) == Segment::kMain);
  CHECK(items.queue().stats().ghosts_of_main == 1);
  CHECK(items.queue().probation_target() < before);
}

TEST_CASE("the share stays within its bounds", "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 1000);
  items.queue().SetProbationShare(0);
  CHECK(items.queue().probation_target() == 20);
  items.queue().SetProbationShare(1);
  CHECK(items.queue().probation_target() == 980);
}

TEST_CASE("where nothing comes, the newest items do not stay young", "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 320);
  items.Hit(319);
  CHECK(items.At(319).eviction_state().hits() == 0);
  for (std::uint32_t turn = 0; turn < EvictionQueue::kIdleTurns; ++turn) items.queue().NoteTurn();
  items.Hit(319);
  CHECK(items.At(319).eviction_state().hits() == 0);
  for (int turn = 0; turn < 20; ++turn) items.queue().NoteTurn();
  items.Hit(319);
  CHECK(items.At(319).eviction_state().hits() == 1);
  // The clock stands then: it would come round, and all would seem young again.
  const std::uint32_t tick = items.clock().tick();
  for (int turn = 0; turn < 1000; ++turn) items.queue().NoteTurn();
  CHECK(items.clock().tick() == tick);
  // Until something has come.
  items.Insert(400);
  for (int turn = 0; turn < 100; ++turn) items.queue().NoteTurn();
  CHECK(items.clock().tick() != tick);
}

TEST_CASE("a missed key that does not come back moves the share, and more slowly back",
          "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 1000);
  CHECK_FALSE(items.queue().GhostOf(QueuedItems::HashOf(0)));
  for (int number = 0; number < 100; ++number) {
    REQUIRE(items.Evict() == number);
    items.Insert(1000 + number);
  }
  const auto ghost = items.queue().GhostOf(QueuedItems::HashOf(0));
  REQUIRE(ghost);
  CHECK(ghost->segment == Segment::kProbation);
  // It is still there.
  CHECK(items.queue().GhostOf(QueuedItems::HashOf(0)));
  const double before = items.queue().state().probation_share;
  items.queue().NoteMissed(*ghost, 1);
  const double share = items.queue().state().probation_share;
  CHECK(share == Approx(before + 0.001));
  // One miss counts for a few items at most.
  items.queue().NoteMissed(*ghost, 1'000'000);
  CHECK(items.queue().state().probation_share <= share + 0.0015);
  items.queue().NoteMissed({.segment = Segment::kMain, .age = 1}, 1);
  CHECK(items.queue().state().probation_share == Approx(share));
}

TEST_CASE("a ghost of probation says something for as many evictions as there are items",
          "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 100);
  for (int number = 0; number < 100; ++number) {
    REQUIRE(items.Evict() == number);
    items.Insert(1000 + number);
  }
  // Half of them are too old for keys that come back.
  items.Insert(20);
  CHECK(items.SegmentOf(20) == Segment::kProbation);
  items.Remove(20);
  CHECK(items.queue().GhostOf(QueuedItems::HashOf(21)));
  for (int number = 0; number < 50; ++number) {
    REQUIRE(items.Evict() == 1000 + number);
    items.Insert(2000 + number);
  }
  CHECK_FALSE(items.queue().GhostOf(QueuedItems::HashOf(21)));
}

TEST_CASE("who is put back is considered last and keeps its eviction state",
          "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 50);
  items.Hit(0);
  items.queue().PutBack(items.queue().Next());
  CHECK(items.OnProbation().front() == 0);
  CHECK(items.OnProbation().back() == 1);
  CHECK(items.At(0).eviction_state().hits() == 1);
}

TEST_CASE("the alternative is at the other tail, if there is one", "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertIntoMain(0);
  items.InsertMany(1, 30);
  const auto next = items.queue().Next();
  CHECK(items.Number(next.ref) == 1);
  const auto other = items.queue().Alternative(next);
  CHECK(items.Number(other.ref) == 0);
  CHECK(other.segment == Segment::kMain);
  items.Remove(0);
  CHECK(items.queue().Alternative(next).ref == next.ref);
}

TEST_CASE("a replaced item gives its place and eviction state to the new one",
          "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 5);
  const int old = GENERATE(0, 2, 4);
  items.At(old).set_eviction_state(EvictionState::HitOnProbation());
  items.queue().Replace(items.Ref(old), items.Ref(9));
  std::vector expected{4, 3, 2, 1, 0};
  std::ranges::replace(expected, old, 9);
  CHECK(items.OnProbation() == expected);
  CHECK(items.At(9).eviction_state() == EvictionState::HitOnProbation());
  CHECK(items.At(old).use() == ChunkUse::kOwned);
}

TEST_CASE("an item that changes its class keeps its segment and hits", "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 100);
  items.queue().InsertAs(items.Ref(200), EvictionState::Main(2));
  items.queue().InsertAs(items.Ref(201), EvictionState::HitOnProbation());
  items.queue().InsertAs(items.Ref(202), EvictionState::Born(EvictionState::kTicks - 1));
  CHECK(items.InMain() == std::vector{200});
  CHECK(items.At(200).eviction_state() == EvictionState::Main(2));
  CHECK(items.At(201).eviction_state() == EvictionState::HitOnProbation());
  CHECK(items.At(202).eviction_state() == EvictionState::Born(items.clock().tick()));
}

// --- The order of last use -----------------------------------------------------------------------

TEST_CASE("under lru the item whose last use is longest ago goes", "[slab][eviction_queue]") {
  QueuedItems items(EvictionPolicy::kLru);
  std::mt19937 random(1);
  std::list<int> model;  // The latest used first.
  for (int turn = 0; turn < Turns(20'000); ++turn) {
    const int number = static_cast<int>(random() % 300);
    if (items.IsQueued(number)) {
      items.Hit(number);
      model.remove(number);
    } else {
      if (items.queue().count() == 100) {
        REQUIRE(items.Evict() == model.back());
        model.pop_back();
      }
      items.Insert(number);
    }
    model.push_front(number);
  }
  CHECK(items.InMain() == std::vector(model.begin(), model.end()));
  CHECK(items.OnProbation().empty());
  CHECK(items.queue().ghost_bytes() == 0);
}

TEST_CASE("a policy may be changed with items there", "[slab][eviction_queue]") {
  QueuedItems items;
  items.InsertMany(0, 100);
  items.InsertIntoMain(200);
  items.Hit(200);
  items.queue().set_policy(EvictionPolicy::kLru);
  items.Hit(5);
  items.Insert(300);
  for (int number = 0; number < 100; ++number) {
    if (number != 5) REQUIRE(items.Evict() == number);
  }
  CHECK(items.Evict() == 5);  // 200 has a hit of before to use up.
  CHECK(items.Evict() == 300);
  CHECK(items.Evict() == 200);
  items.queue().set_policy(EvictionPolicy::kSegmented);
  items.Insert(400);
  CHECK(items.SegmentOf(400) == Segment::kProbation);
}

// --- Against a model -----------------------------------------------------------------------------

// The policy as one would write it down, with numbers that never wrap and all ghosts kept.
class PolicyModel {
 public:
  struct State {
    bool is_main = false;
    bool is_newcomer = false;
    int hits = 0;
    int born_tick = 0;
  };

  void Hit(int key) {
    State& state = items_.at(key);
    hit_newcomers_ += state.is_newcomer ? 1 : 0;
    if (state.is_main) {
      state.hits = std::min(state.hits + 1, 3);
    } else if (state.hits > 0) {
      state.hits = 2;
    } else if (tick_ - state.born_tick >= young_ticks_) {
      state.hits = 1;
    }
    state.is_newcomer = false;
  }
  // Whether its ghost would have it in main.
  bool HasNews(int key) const {
    const auto ghost = ghosts_.find(key);
    if (ghost == ghosts_.end()) return false;
    const auto [was_main, at] = ghost->second;
    const auto passed = static_cast<double>(evictions_[was_main] - at);
    return passed <= (was_main ? 1.0 : 0.5) * static_cast<double>(items_.size());
  }
  void Insert(int key, bool follows_ghost) {
    State state;
    if (follows_ghost) {
      state.is_main = true;
      const double step = ghosts_.at(key).first ? -1.0 : 1.0;
      const auto size = static_cast<double>(std::max<std::size_t>(items_.size(), 1));
      share_ = std::clamp(share_ + step / size, 0.02, 0.98);
    } else {
      if (--arrivals_left_ == 0) {
        const int count = static_cast<int>(probation_.size()) + 1;
        arrivals_left_ = std::max(1, count / 32);
        ++tick_;
        young_ticks_ = static_cast<int>(std::floor(0.25 * count / arrivals_left_ + 0.5));
      }
      state.born_tick = tick_;
    }
    ghosts_.erase(key);
    items_[key] = state;
    (state.is_main ? main_ : probation_).push_front(key);
  }
  void Remove(int key) {
    (items_.at(key).is_main ? main_ : probation_).remove(key);
    items_.erase(key);
  }
  // `is_probe(key)`: see PromotionRule.
  template <class IsProbe>
  int Evict(IsProbe&& is_probe) {
    for (;;) {
      const bool is_main = !main_.empty() && probation_.size() < std::max<std::size_t>(1, target());
      std::list<int>& list = is_main ? main_ : probation_;
      const int key = list.back();
      State& state = items_.at(key);
      list.pop_back();
      const bool is_newcomer = !is_main && state.hits == 1;
      if (state.hits > 0 && !(is_newcomer && needs_two_hits_ && !is_probe(key))) {
        state.hits = is_main ? state.hits - 1 : 0;
        state.is_main = true;
        state.is_newcomer = is_newcomer;
        main_.push_front(key);
        continue;
      }
      const bool is_wasted = state.is_newcomer;
      items_.erase(key);
      ghosts_[key] = {is_main, ++evictions_[is_main]};
      if (is_wasted) CountWasted();
      return key;
    }
  }

  bool Has(int key) const { return items_.contains(key); }
  std::size_t size() const { return items_.size(); }
  std::size_t target() const {
    return static_cast<std::size_t>(std::floor(share_ * static_cast<double>(items_.size()) + 0.5));
  }
  std::vector<int> probation() const { return {probation_.begin(), probation_.end()}; }
  std::vector<int> main() const { return {main_.begin(), main_.end()}; }
  bool needs_two_hits() const { return needs_two_hits_; }

 private:
  void CountWasted() {
    // The queue counts the item that goes.
    const int size = static_cast<int>(items_.size()) + 1;
    const int watched = ++wasted_ + hit_newcomers_;
    if (watched < (needs_two_hits_ ? std::max(64, size / 128) : std::max(256, size / 8))) return;
    const double wasted = static_cast<double>(wasted_) / watched;
    if (wasted >= 0.9) needs_two_hits_ = true;
    if (wasted < 0.8) needs_two_hits_ = false;
    hit_newcomers_ = 0;
    wasted_ = 0;
  }

  std::map<int, State> items_;
  std::list<int> probation_;  // From the newest on.
  std::list<int> main_;
  std::map<int, std::pair<bool, std::int64_t>> ghosts_;
  std::int64_t evictions_[2] = {0, 0};
  bool needs_two_hits_ = false;
  int hit_newcomers_ = 0;
  int wasted_ = 0;
  double share_ = 0.1;
  int tick_ = 0;
  int young_ticks_ = 0;
  int arrivals_left_ = 1;
};

TEST_CASE("a queue agrees with the policy written down simply",
          "[slab][eviction_queue][property]") {
  const unsigned seed = GENERATE(1U, 2U, 3U, 4U, 5U, 6U);
  const std::size_t items_max = seed % 2 == 0 ? 50 : 400;
  CAPTURE(seed, items_max);
  std::mt19937 random(seed);
  QueuedItems items;
  PolicyModel model;
  int news = 0;
  int lost = 0;
  int strict_turns = 0;
  std::size_t mains = 0;
  // With some seeds most keys are stored once and read once, so that two hits come to be needed.
  const bool has_sessions = seed > 4;
  constexpr int kFirstSession = 2000;
  int sessions = 0;
  int read_sessions = 0;
  const auto next_key = [&] {
    if (has_sessions && random() % 8 != 0) {
      const bool is_due = read_sessions < sessions - static_cast<int>(items_max) / 3;
      const int session = is_due ? read_sessions++ : sessions++;
      return kFirstSession + session % (QueuedItems::kItems - kFirstSession);
    }
    // Some keys are frequent, and some come back after long.
    const double fraction = static_cast<double>(random() % 10'000) / 10'000;
    return static_cast<int>(static_cast<double>(4 * items_max) * fraction * fraction);
  };
  for (int turn = 0; turn < Turns(40'000); ++turn) {
    const int key = next_key();
    if (model.Has(key)) {
      if (random() % 50 == 0) {
        items.Remove(key);
        model.Remove(key);
      } else {
        items.Hit(key);
        model.Hit(key);
      }
    } else {
      if (model.size() == items_max) {
        const int victim = model.Evict([&](int k) { return PromotionRule::IsProbe(items.Ref(k)); });
        REQUIRE(items.Evict() == victim);
      }
      const bool has_news = model.HasNews(key);
      items.Insert(key);
      const bool is_main = items.SegmentOf(key) == Segment::kMain;
      // A ghost may lose its place in a full set, but none comes from nowhere.
      if (is_main) REQUIRE(has_news);
      news += has_news;
      lost += has_news && !is_main;
      model.Insert(key, is_main);
    }
    REQUIRE(items.queue().probation_target() == std::max<std::size_t>(1, model.target()));
    REQUIRE(items.queue().promotion_rule().needs_two_hits() == model.needs_two_hits());
    strict_turns += model.needs_two_hits();
    if (turn % 100 == 0) {
      REQUIRE(items.OnProbation() == model.probation());
      REQUIRE(items.InMain() == model.main());
      mains = std::max(mains, model.main().size());
    }
  }
  if (has_sessions) {
    CHECK(strict_turns > Turns(1000));
    return;
  }
  CHECK(news > Turns(500));
  CHECK(lost * 5 < news);  // Of the oldest there are more than there is room for.
  CHECK(mains > items_max / 4);
}

}  // namespace
}  // namespace larder::slab
