// RestartTest: a cache on a file that tests stop and start again.
#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "slab/cache.h"
#include "tests/slab/cache_fixture.h"
#include "tests/temporary_folder.h"

namespace larder::slab {

// A cache on a file, and its life over restarts.
class RestartTest {
 protected:
  RestartTest() {
    options_.memory_bytes = std::uint64_t{8} << 20;
    options_.memory_file = folder_ / "items";
    options_.now_s = CacheFixture::kStartS;
    options_.report = [this](const std::string& line) { told_ += line + "\n"; };
    Start();
  }

  CacheFixture& cache() { return *cache_; }
  Cache::Options& options() { return options_; }
  const std::string& path() const { return options_.memory_file; }

  void Start() {
    told_.clear();
    ++options_.hash_seed;  // As every process draws its own.
    cache_.emplace(options_);
    cache_->lane().now_s = options_.now_s;
    cache_->cache().CheckInvariants();
  }
  std::uint64_t Stop() {
    const auto saved = cache_->cache().Save({.now_s = cache_->lane().now_s});
    REQUIRE(saved);
    cache_.reset();
    return *saved;
  }
  void Restart() {
    Stop();
    Start();
  }
  void Kill() { cache_.reset(); }

  // Why the last start was empty.
  std::string Complaint() const {
    const std::string mark = "starts empty: ";
    const std::size_t at = told_.find(mark);
    if (at == told_.npos) return "";
    const std::size_t from = at + mark.size();
    return told_.substr(from, told_.find('\n', from) - from);
  }
  bool IsEmpty() const { return cache_->items() == 0 && !Complaint().empty(); }
  const std::string& told() const { return told_; }

 private:
  TemporaryFolder folder_;
  Cache::Options options_;
  std::string told_;
  std::optional<CacheFixture> cache_;
};

}  // namespace larder::slab
