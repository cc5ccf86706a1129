#include "tests/bench/policies/made_workloads.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <deque>

#include "tests/bench/policies/larder_cache.h"
#include "tests/bench/random.h"
#include "tests/bench/zipf.h"

namespace larder::bench {
namespace {

constexpr std::size_t kRequests = 1'000'000;
constexpr std::uint32_t kItemBytes = LarderCache::kHeadBytes + kValueBytes;

// Keys from here on are used as the loops, scans and sessions say; below are those of Zipf.
constexpr Key kOtherKeys = 200'000;

// Requests for values of one size, among them those of Zipf.
class Mixer {
 public:
  Mixer(std::uint64_t seed, std::uint32_t keys, double theta)
      : random_(seed), zipf_(keys, theta), keys_(keys) {
    requests_.reserve(kRequests);
  }

  bool is_done() const { return requests_.size() >= kRequests; }
  std::size_t count() const { return requests_.size(); }
  Random& random() { return random_; }
  void Add(Key key) { requests_.push_back({.key = key, .item_bytes = kItemBytes}); }
  // The favour of the keys is shifted by so many.
  void AddZipf(std::uint32_t shift = 0) { Add((zipf_.Draw(random_) + shift) % keys_); }
  // One that never comes again.
  void AddNew() { Add(next_++); }
  Key next() const { return next_; }
  std::vector<CacheRequest> Take() { return std::move(requests_); }

 private:
  Random random_;
  const KeyChooser zipf_;
  const std::uint32_t keys_;
  Key next_ = kOtherKeys;
  std::vector<CacheRequest> requests_;
};

std::vector<CacheRequest> MakeZipfShifts(std::uint64_t seed, double theta) {
  constexpr std::uint32_t kKeys = 60'000;
  constexpr std::size_t kPhase = kRequests / 5;
  Mixer mixer(seed, kKeys, theta);
  while (!mixer.is_done()) {
    mixer.AddZipf(static_cast<std::uint32_t>(mixer.count() / kPhase) * (kKeys / 7));
  }
  return mixer.Take();
}

}  // namespace

std::vector<CacheRequest> MakeZipfShifts80() { return MakeZipfShifts(11, 0.80); }
std::vector<CacheRequest> MakeZipfShifts99() { return MakeZipfShifts(12, 0.99); }

std::vector<CacheRequest> MakeScans() {
  constexpr std::size_t kBetween = 40'000;
  constexpr std::size_t kScan = 12'000;
  Mixer mixer(13, 30'000, 0.9);
  while (!mixer.is_done()) {
    for (std::size_t i = 0; i < kBetween; ++i) mixer.AddZipf();
    for (std::size_t i = 0; i < kScan; ++i) mixer.AddNew();
  }
  return mixer.Take();
}

std::vector<CacheRequest> MakeLoops() {
  constexpr Key kLoop = 5'000;
  Mixer mixer(14, 30'000, 0.9);
  for (Key at = 0; !mixer.is_done(); at = (at + 1) % kLoop) {
    mixer.AddZipf();
    mixer.Add(kOtherKeys + at);
  }
  return mixer.Take();
}

std::vector<CacheRequest> MakeOneHits() {
  Mixer mixer(15, 40'000, 0.9);
  while (!mixer.is_done()) mixer.random().Below(2) == 0 ? mixer.AddZipf() : mixer.AddNew();
  return mixer.Take();
}

std::vector<CacheRequest> MakeSessions() {
  constexpr std::size_t kLater = 3'000;
  constexpr std::size_t kLaterSpread = 2'000;
  struct Due {
    Key key;
    std::size_t at;
  };
  Mixer mixer(16, 30'000, 0.9);
  std::deque<Due> due;
  while (!mixer.is_done()) {
    due.push_back(
        {.key = mixer.next(), .at = mixer.count() + kLater + mixer.random().Below(kLaterSpread)});
    mixer.AddNew();
    for (int i = 0; i < 2; ++i) mixer.AddZipf();
    for (; due.front().at <= mixer.count(); due.pop_front()) mixer.Add(due.front().key);
  }
  return mixer.Take();
}

std::vector<CacheRequest> MakeSizes() {
  // The value of a key: the same each time, and as many between 100 and 1,000 B as up to 10 kB.
  constexpr auto item_bytes = [](Key key) {
    const double unit = static_cast<double>(Mix(key + 1) >> 11) * 0x1p-53;
    return LarderCache::kHeadBytes + static_cast<std::uint32_t>(100 * std::pow(300.0, unit));
  };
  Mixer mixer(17, 40'000, 0.8);
  while (!mixer.is_done()) mixer.random().Below(3) != 0 ? mixer.AddZipf() : mixer.AddNew();
  std::vector<CacheRequest> requests = mixer.Take();
  for (CacheRequest& request : requests) request.item_bytes = item_bytes(request.key);
  return requests;
}

std::vector<CacheRequest> MakeSizeShift() {
  constexpr std::array<std::uint32_t, 4> kValues = {100, 800, 5000, 100};
  constexpr std::uint32_t kPhaseBytes = 100'000'000;
  Random random(18);
  std::vector<CacheRequest> requests;
  requests.reserve(kValues.size() * kRequests);
  Key first = 0;
  for (const std::uint32_t value_bytes : kValues) {
    const std::uint32_t item_bytes = LarderCache::kHeadBytes + value_bytes;
    const std::uint32_t keys = kPhaseBytes / item_bytes;
    const KeyChooser chooser(keys, 0.99);
    for (std::size_t i = 0; i < kRequests; ++i) {
      requests.push_back({.key = first + chooser.Draw(random), .item_bytes = item_bytes});
    }
    first += keys;
  }
  return requests;
}

}  // namespace larder::bench
