// What a worker needs around it, for tests that run its turns without a server.
#pragma once

#include "server/authenticator.h"
#include "server/clock.h"
#include "server/cluster.h"
#include "server/config/config.h"
#include "server/input/upload.h"
#include "server/prefix_stats.h"
#include "server/reporter.h"
#include "server/shared.h"
#include "server/socket/connection_table.h"
#include "server/stats.h"
#include "server/watch/watch_hub.h"
#include "slab/cache.h"
#include "slab/expiry_sweep.h"

namespace larder::server {

// WorkerParts has no threads: the sweep never comes to a slice, and, until the reporter is started,
// reports are made at once.
//
// Owns: everything but what its constructor takes, which must outlive it.
struct WorkerParts {
  WorkerParts(const Config& config, slab::Cache& cache, Clock& clock, Authenticator& authenticator,
              Certificates* certificates = nullptr)
      : prefixes(config.prefix_delimiter),
        cluster(config.cluster_state),
        sweep(cache),
        uploads(cache, config.upload_memory_percent, config.upload_staging_bytes()),
        watch(config, stats.AddWorker()),
        shared{.config = config,
               .cache = cache,
               .clock = clock,
               .prefixes = prefixes,
               .authenticator = authenticator,
               .cluster = cluster,
               .connections = connections,
               .stats = stats,
               .reporter = reporter,
               .sweep = sweep,
               .uploads = uploads,
               .watch = watch,
               .certificates = certificates,
               .request_stop = [] {},
               .detail_enabled = config.detail_enabled},
        reporter(shared) {}
  WorkerParts(const WorkerParts&) = delete;
  WorkerParts& operator=(const WorkerParts&) = delete;

  PrefixStats prefixes;
  Cluster cluster;
  ConnectionTable connections;
  Stats stats{shared};
  slab::ExpirySweep sweep;
  UploadMemory uploads;
  WatchHub watch;
  Shared shared;
  Reporter reporter;
};

}  // namespace larder::server
