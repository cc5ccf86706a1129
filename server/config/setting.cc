#include "server/config/setting.h"

namespace larder::server {

SettingsSample::SettingsSample(const Config& config, const RuntimeSettings& runtime)
    // A setting that no command has changed keeps its configured value.
    : Config(config), oldest_s(runtime.oldest_s) {
  memory_bytes = runtime.memory_bytes.value_or(memory_bytes);
  verbosity = runtime.verbosity.value_or(verbosity);
  detail_enabled = runtime.detail_enabled.value_or(detail_enabled);
  eviction = runtime.eviction.value_or(eviction);
  sweeps = runtime.sweeps.value_or(sweeps);
  sweep_pause_us = runtime.sweep_pause_us.value_or(sweep_pause_us);
  sweep_slice_max = runtime.sweep_slice_max.value_or(sweep_slice_max);
  page_moves = runtime.page_moves.value_or(page_moves);
}

}  // namespace larder::server
