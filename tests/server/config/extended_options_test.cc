#include "server/config/extended_options.h"

#include <catch2/catch.hpp>
#include <string>

#include "tests/server/config/command_line.h"

namespace larder::server {
namespace {

using Accepted = std::vector<std::pair<std::string, std::string>>;

TEST_CASE("idle_timeout, maxconns_fast and track_sizes are applied", "[extended_options]") {
  const Config config = ParseGood({"-o", "idle_timeout=60,no_maxconns_fast,track_sizes"});
  CHECK(config.idle_timeout_s == 60);
  CHECK_FALSE(config.maxconns_fast);
  CHECK(config.track_sizes);
  CHECK(config.accepted_options.empty());
}

TEST_CASE("several -o add up, in order", "[extended_options]") {
  CHECK(ParseGood({"-o", "no_maxconns_fast", "-o", "maxconns_fast"}).maxconns_fast);
  CHECK(ParseGood({"-o", "modern", "-o", "hashpower=20"}).accepted_options ==
        Accepted{{"modern", ""}, {"hashpower", "20"}});
}

TEST_CASE("an accepted name is kept once, where it was given last", "[extended_options]") {
  CHECK(ParseGood({"-o", "lru_maintainer,no_lru_maintainer,lru_maintainer"}).accepted_options ==
        Accepted{{"no_lru_maintainer", ""}, {"lru_maintainer", ""}});
}

TEST_CASE("the crawler's options are applied, the last one counts", "[extended_options]") {
  CHECK(ParseGood({}).sweeps);
  CHECK(Config{}.estimate_miss_ratios);
  CHECK_FALSE(ParseGood({"-o", "no_mrc"}).estimate_miss_ratios);
  CHECK(ParseGood({"-o", "no_mrc,mrc"}).estimate_miss_ratios);
  CHECK_FALSE(Config{}.count_prefixes);
  CHECK(ParseGood({"-o", "prefix_stats"}).count_prefixes);
  CHECK_FALSE(ParseGood({"-o", "prefix_stats,no_prefix_stats"}).count_prefixes);
  CHECK_FALSE(ParseGood({"-o", "no_lru_crawler"}).sweeps);
  CHECK(ParseGood({"-o", "no_lru_crawler,lru_crawler"}).sweeps);
  CHECK_FALSE(ParseGood({"-o", "no_modern"}).sweeps);
  CHECK(ParseGood({"-o", "no_modern,lru_crawler"}).sweeps);
  CHECK(ParseGood({"-o", "lru_crawler_sleep=1000000"}).sweep_pause_us == 1'000'000);
  CHECK(ParseGood({"-o", "lru_crawler_tocrawl=7"}).sweep_slice_max == 7);
}

TEST_CASE("what unfinished uploads may hold, and for how long, can be chosen",
          "[extended_options]") {
  CHECK(ParseGood({}).upload_memory_percent == 3);
  CHECK(ParseGood({}).upload_timeout_s == 120);
  CHECK(ParseGood({"-o", "upload_memory=50"}).upload_memory_percent == 50);
  CHECK(ParseGood({"-o", "upload_timeout=0,upload_memory=1"}).upload_timeout_s == 0);
  CHECK(ParseGood({}).upload_staging_megabytes == 16);
  CHECK(ParseGood({"-o", "upload_staging=0"}).upload_staging_megabytes == 0);
  CHECK(ParseBad({"-o", "upload_staging"}).message == "Missing upload_staging argument");
  CHECK(ParseBad({"-o", "upload_staging=-1"}).message == "upload_staging must be >= 0");
  for (const char* bad : {"upload_memory=0", "upload_memory=51", "upload_memory=x"}) {
    CHECK(ParseBad({"-o", bad}).exit_code == 1);
  }
  CHECK(ParseBad({"-o", "upload_memory"}).message == "Missing upload_memory argument");
  CHECK(ParseBad({"-o", "upload_timeout=-1"}).message == "upload_timeout must be >= 0");
  CHECK(ParseGood({}).upload_rate_kilobytes == 64);
  CHECK(ParseGood({"-o", "upload_rate=0"}).upload_rate_kilobytes == 0);
  CHECK(ParseGood({"-o", "upload_rate=100000"}).upload_rate_kilobytes == 100'000);
  CHECK(ParseBad({"-o", "upload_rate=-1"}).message == "upload_rate must be >= 0");
  CHECK(ParseBad({"-o", "upload_rate"}).exit_code == 1);
}

TEST_CASE("a value given to a flag is ignored", "[extended_options]") {
  CHECK(ParseGood({"-o", "modern=yes"}).accepted_options == Accepted{{"modern", ""}});
}

TEST_CASE("an empty list is fine", "[extended_options]") {
  CHECK(ParseGood({"-o", ""}).accepted_options.empty());
}

TEST_CASE("no_modern takes fast refusals back too", "[extended_options]") {
  const Config config = ParseGood({"-o", "no_modern"});
  CHECK_FALSE(config.maxconns_fast);
  CHECK(config.accepted_options == Accepted{{"no_modern", ""}});
}

TEST_CASE("an unknown name is quoted as it was given", "[extended_options]") {
  const ConfigExit exit = ParseBad({"-o", "modern,bogus=1,hashpower=20"});
  CHECK(exit.exit_code == 1);
  CHECK(exit.message == "Illegal suboption \"bogus=1\"");
}

TEST_CASE("names of features that are not there are refused", "[extended_options]") {
  for (const char* list : {"ext_path=/d:5G", "proxy_config=/c", "slab_automove_freeratio=0.01"}) {
    const ConfigExit exit = ParseBad({"-o", list});
    CHECK(exit.exit_code == 64);
    CHECK_THAT(exit.message, Catch::StartsWith("This server is not built with "));
    CHECK_THAT(exit.message, Catch::EndsWith(list));
  }
}

TEST_CASE("every other name of memcached is accepted", "[extended_options]") {
  for (const char* item : {"hashpower=12",
                           "hashpower=32",
                           "no_hashexpand",
                           "slab_reassign",
                           "no_slab_reassign",
                           "slab_automove",
                           "slab_automove=2",
                           "no_slab_automove",
                           "slab_automove_ratio=1",
                           "slab_automove_window=1800",
                           "tail_repair_time=10",
                           "hash_algorithm=murmur3",
                           "hash_algorithm=xxh3",
                           "lru_maintainer",
                           "no_lru_maintainer",
                           "hot_lru_pct=1",
                           "warm_lru_pct=60",
                           "hot_max_factor=0.1",
                           "warm_max_factor=3",
                           "temporary_ttl=61",
                           "slab_sizes=64-128-256",
                           "slab_chunk_max=512",
                           "no_chunked_items",
                           "read_buf_mem_limit=16",
                           "resp_obj_mem_limit=1",
                           "inline_ascii_resp",
                           "no_inline_ascii_resp",
                           "modern",
                           "no_modern",
                           "drop_privileges",
                           "no_drop_privileges",
                           "sock_cookie_id=1"}) {
    CAPTURE(item);
    CHECK(ParseGood({"-o", item}).accepted_options.size() == 1);
  }
}

TEST_CASE("the bounds of watch are set", "[extended_options]") {
  const Config config =
      ParseGood({"-o", "watchers_max=3,watcher_logbuf_size=8,worker_logbuf_size=16"});
  CHECK(config.watchers_max == 3);
  CHECK(config.watcher_log_kilobytes == 8);
  CHECK(config.worker_log_kilobytes == 16);
  CHECK(config.watch_enabled);
  CHECK_FALSE(ParseGood({"-W"}).watch_enabled);
}

TEST_CASE("a value outside memcached's range is refused in its words", "[extended_options]") {
  struct Row {
    const char* item;
    const char* complaint;
  };
  for (const Row& row :
       {Row{"slab_automove=3", "slab_automove must be between 0 and 2"},
        Row{"slab_automove_ratio=0", "slab_automove_ratio must be > 0 and < 1"},
        Row{"slab_automove_ratio=1.1", "slab_automove_ratio must be > 0 and < 1"},
        Row{"slab_automove_window=2", "slab_automove_window must be > 2 and < 1800"},
        Row{"tail_repair_time=9", "Cannot set tail_repair_time to less than 10 seconds"},
        Row{"hash_algorithm=md5", "Unknown hash_algorithm option (jenkins, murmur3, xxh3)"},
        Row{"lru_crawler_sleep=1000001", "LRU crawler sleep must be between 0 and 1 second"},
        Row{"lru_crawler_tocrawl=-1", "lru_crawler_tocrawl takes a numeric 32bit value"},
        Row{"hot_lru_pct=80", "hot_lru_pct must be > 1 and < 80"},
        Row{"warm_lru_pct=0", "warm_lru_pct must be > 1 and < 80"},
        Row{"hot_max_factor=0", "hot_max_factor must be > 0"},
        Row{"slab_chunk_max=1025", "slab_chunk_max must be specified in kilobytes."}}) {
    const ConfigExit exit = ParseBad({"-o", row.item});
    CHECK(exit.exit_code == 1);
    CHECK(exit.message == row.complaint);
  }
}

TEST_CASE("a missing value is an error, a bare slab_sizes too", "[extended_options]") {
  CHECK(ParseBad({"-o", "hashpower"}).message == "Missing numeric argument for hashpower");
  CHECK(ParseBad({"-o", "idle_timeout="}).message == "Missing numeric argument for idle_timeout");
  CHECK(ParseBad({"-o", "lru_crawler_sleep"}).message == "Missing lru_crawler_sleep value");
  CHECK(ParseBad({"-o", "slab_sizes"}).exit_code == 1);
}

TEST_CASE("text where a number belongs is an error", "[extended_options]") {
  const ConfigExit exit = ParseBad({"-o", "idle_timeout=10s"});
  CHECK(exit.exit_code == 1);
  CHECK(exit.message == "could not parse argument to idle_timeout");
  CHECK(ParseBad({"-o", "hot_max_factor=nan"}).exit_code == 1);
}

TEST_CASE("chunk sizes must ascend by 8 at least", "[extended_options]") {
  struct Row {
    const char* list;
    const char* complaint;
  };
  for (const Row& row :
       {Row{"slab_sizes=64-x", "slab size x is out of valid range"},
        Row{"slab_sizes=100-90",
            "slab size 90 cannot be lower than or equal to a previous class "
            "size"},
        Row{"slab_sizes=100-104",
            "slab size 104 must be at least 8 bytes larger than previous class"}}) {
    const ConfigExit exit = ParseBad({"-o", row.list});
    CHECK(exit.exit_code == 64);
    CHECK(exit.message == row.complaint);
  }
}

TEST_CASE("hot and warm together take 80 percent at most", "[extended_options]") {
  const ConfigExit exit = ParseBad({"-o", "hot_lru_pct=41"});
  CHECK(exit.exit_code == 64);
  CHECK(exit.message == "hot_lru_pct + warm_lru_pct cannot be more than 80% combined");
  CHECK(ParseGood({"-o", "hot_lru_pct=41,warm_lru_pct=39"}).accepted_options.size() == 2);
}

TEST_CASE("temporary_ttl needs the maintainer", "[extended_options]") {
  const ConfigExit exit = ParseBad({"-o", "temporary_ttl=5,no_lru_maintainer"});
  CHECK(exit.exit_code == 64);
  CHECK(exit.message == "temporary_ttl requires lru_maintainer to be enabled");
}

TEST_CASE("eviction names a policy", "[extended_options]") {
  CHECK(ParseGood({}).eviction == slab::EvictionPolicy::kSegmented);
  CHECK(ParseGood({"-o", "eviction=lru"}).eviction == slab::EvictionPolicy::kLru);
  CHECK(ParseGood({"-o", "eviction=lru,eviction=segmented"}).eviction ==
        slab::EvictionPolicy::kSegmented);
  CHECK(ParseBad({"-o", "eviction"}).message == "Missing eviction argument");
  CHECK(ParseBad({"-o", "eviction=fifo"}).message == "Unknown eviction option (segmented, lru)");
}

TEST_CASE("what would be believed to protect is warned about", "[extended_options]") {
  CHECK(ParseGood({"-o", "drop_privileges"}).warnings.size() == 1);
  CHECK(ParseGood({"-o", "no_drop_privileges"}).warnings.empty());
}

}  // namespace
}  // namespace larder::server
