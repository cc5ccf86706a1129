// The rows of `stats settings`.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "server/config/config.h"

namespace larder::server {

// Settings that commands change while the server runs.
struct RuntimeSettings {
  std::uint64_t memory_bytes = 0;  // cache_memlimit
  int verbosity = 0;               // verbosity
  std::uint64_t oldest_s = 0;      // When the last flush took effect, in seconds since the start.
  bool detail_enabled = false;     // stats detail on, off
  slab::EvictionPolicy eviction = slab::EvictionPolicy::kSegmented;  // lru mode
  bool sweeps = true;                                                // lru_crawler enable, disable
  std::uint32_t sweep_pause_us = 100;                                // lru_crawler sleep
  std::uint32_t sweep_slice_max = 0;                                 // lru_crawler tocrawl
  std::optional<slab::PageMoves> page_moves = std::nullopt;          // slabs automove
};

// Takes a row; the views live for the call.
using StatSink = std::function<void(std::string_view name, std::string_view value)>;

// Gives memcached's rows in memcached's order, without those of TLS and external storage,
// and behind them those of the cluster.
//
// A switch tells what this server does. Numbers of what it does not do are memcached's defaults,
// for the exporters that read them. An accepted -o option shows as given.
void AppendSettings(const Config& config, const RuntimeSettings& runtime, const StatSink& sink);

}  // namespace larder::server
