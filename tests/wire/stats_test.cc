#include <unistd.h>

#include <algorithm>
#include <set>

#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

// The names of a list, in order, each followed by a space.
std::string StatNames(Client& client, std::string_view what) {
  client.Send("stats " + std::string(what) + "\r\n");
  std::string names;
  for (std::string row = client.ReceiveLine(); row != "END\r\n"; row = client.ReceiveLine()) {
    names += row.substr(5, row.find(' ', 5) - 4);
  }
  return names;
}

// By how much statistics changed, those that did.
std::map<std::string, std::int64_t> Changes(std::map<std::string, std::string> before,
                                            const std::map<std::string, std::string>& after) {
  // They change by themselves, as the background thread works, or by asking.
  for (const char* name :
       {"rusage_user", "rusage_system", "uptime", "time", "bytes_read", "bytes_written", "bytes",
        "lru_crawler_running", "lru_crawler_starts", "crawler_items_checked"}) {
    before.erase(name);
  }
  std::map<std::string, std::int64_t> changes;
  for (const auto& [name, value] : before) {
    if (after.at(name) != value) {
      changes[name] = static_cast<std::int64_t>(std::stoull(after.at(name)) - std::stoull(value));
    }
  }
  return changes;
}

using Counts = std::map<std::string, std::int64_t>;

class CountingTest : protected WireTest {
 protected:
  // What these requests, each with one line of reply or END at its end, change.
  Counts ChangedBy(const std::string& requests) {
    const auto before = client.Stats();
    client.Send(requests + "mn\r\n").ReceiveUntil("MN\r\n");
    return Changes(before, client.Stats());
  }
};

// --- General -------------------------------------------------------------------------------------

TEST_CASE_METHOD(WireTest, "stats has memcached's rows in memcached's order", "[wire][stats]") {
  CHECK(StatNames(client, "") ==
        "pid uptime time version libevent pointer_size rusage_user rusage_system max_connections "
        "curr_connections total_connections rejected_connections connection_structures "
        "response_obj_oom response_obj_count response_obj_bytes read_buf_count read_buf_bytes "
        "read_buf_bytes_free read_buf_oom reserved_fds cmd_get cmd_set cmd_flush cmd_touch "
        "cmd_meta get_hits get_misses get_expired get_flushed delete_misses delete_hits "
        "incr_misses incr_hits decr_misses decr_hits cas_misses cas_hits cas_badval touch_hits "
        "touch_misses store_too_large store_no_memory auth_cmds auth_errors bytes_read "
        "bytes_written limit_maxbytes accepting_conns listen_disabled_num "
        "time_in_listen_disabled_us threads conn_yields hash_power_level hash_bytes "
        "hash_is_expanding slab_reassign_rescues slab_reassign_chunk_rescues "
        "slab_reassign_inline_reclaim slab_reassign_busy_items slab_reassign_busy_deletes "
        "slab_reassign_busy_nomem slab_reassign_last_busy_status slab_reassign_running slabs_moved "
        "lru_crawler_running lru_crawler_starts malloc_fails log_worker_dropped log_worker_written "
        "log_watcher_skipped log_watcher_sent log_watchers unexpected_napi_ids "
        "round_robin_fallback bytes curr_items total_items slab_global_page_pool "
        "expired_unfetched evicted_unfetched evicted_active evictions reclaimed crawler_reclaimed "
        "crawler_items_checked lrutail_reflocked moves_to_cold moves_to_warm moves_within_lru "
        "direct_reclaims lru_bumps_dropped get_misses_evicted get_misses_expired "
        "get_misses_deleted get_misses_flushed get_misses_dropped get_misses_too_large "
        "get_misses_no_memory get_misses_not_seen cmd_drop curr_drops upload_kicks upload_waits "
        "cmd_config_get cmd_config_set config_errors curr_config ");
}

TEST_CASE_METHOD(WireTest, "stats describes the process", "[wire][stats]") {
  const auto stats = client.Stats();
  CHECK(stats.at("pid") == std::to_string(getpid()));
  CHECK(stats.at("pointer_size") == std::to_string(8 * sizeof(void*)));
  CHECK(stats.at("version") == server::WireVersion());
  CHECK(stats.at("threads") == std::to_string(server.config().threads));
  CHECK(stats.at("max_connections") == "1024");
  CHECK(stats.at("limit_maxbytes") == std::to_string(64 << 20));
  CHECK(stats.at("accepting_conns") == "1");
  const std::string& cpu = stats.at("rusage_user");
  CHECK(cpu.size() - cpu.find('.') == 7);  // Six decimals.
}

TEST_CASE_METHOD(WireTest, "uptime and time go with the clock", "[wire][stats]") {
  const auto before = client.Stats();
  server.AdvanceClock(1000);
  const auto after = client.Stats();
  const auto passed = [&](const char* name) {
    return std::stoull(after.at(name)) - std::stoull(before.at(name));
  };
  CHECK(passed("uptime") >= 1000);
  CHECK(passed("uptime") < 1010);
  CHECK(passed("time") == passed("uptime"));
}

TEST_CASE_METHOD(CountingTest, "get counts every key as hit or miss", "[wire][stats]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  CHECK(ChangedBy("get a b a\r\ngets a\r\n") ==
        Counts{{"cmd_get", 4}, {"get_hits", 3}, {"get_misses", 1}, {"get_misses_not_seen", 1}});
}

TEST_CASE_METHOD(CountingTest, "gat counts as get and touch", "[wire][stats]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const Counts changes = ChangedBy("gat 0 a b\r\n");
  CHECK(changes.at("cmd_touch") == 2);
  CHECK(changes.at("touch_hits") == 1);
  CHECK(changes.at("touch_misses") == 1);
}

TEST_CASE_METHOD(CountingTest, "a get of an expired or flushed item tells why it missed",
                 "[wire][stats]") {
  Counts changes = ChangedBy("set a 0 -1 1\r\nx\r\nget a\r\n");
  CHECK(changes.at("get_misses") == 1);
  CHECK(changes.at("get_expired") == 1);
  CHECK(changes.count("curr_items") == 0);
  changes = ChangedBy(SetRequest("a", "x") + "flush_all\r\nget a\r\n");
  CHECK(changes.at("get_misses") == 1);
  CHECK(changes.at("get_flushed") == 1);
  CHECK(changes.count("curr_items") == 0);
}

TEST_CASE_METHOD(CountingTest, "stores count whether they store or not", "[wire][stats]") {
  CHECK(ChangedBy(SetRequest("a", "x")) ==
        Counts{{"cmd_set", 1}, {"curr_items", 1}, {"total_items", 1}});
  CHECK(ChangedBy(SetRequest("a", "y")) == Counts{{"cmd_set", 1}, {"total_items", 1}});
  CHECK(ChangedBy("add a 0 0 1\r\nx\r\nreplace z 0 0 1\r\nx\r\nappend z 0 0 1\r\nx\r\n") ==
        Counts{{"cmd_set", 3}});
  CHECK(ChangedBy("append a 0 0 1\r\nx\r\n") == Counts{{"cmd_set", 1}, {"total_items", 1}});
}

TEST_CASE_METHOD(CountingTest, "cas counts hits, misses and changed items", "[wire][stats]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const std::string cas = client.CasOf("a");
  CHECK(ChangedBy("cas z 0 0 1 1\r\nx\r\n") == Counts{{"cas_misses", 1}, {"cmd_set", 1}});
  CHECK(ChangedBy("cas a 0 0 1 99999\r\nx\r\n") == Counts{{"cas_badval", 1}, {"cmd_set", 1}});
  CHECK(ChangedBy("cas a 0 0 1 " + cas + "\r\nx\r\n") ==
        Counts{{"cas_hits", 1}, {"cmd_set", 1}, {"total_items", 1}});
}

TEST_CASE_METHOD(CountingTest, "delete, incr, decr and touch count hits and misses",
                 "[wire][stats]") {
  client.Send(SetRequest("a", "50")).Expect("STORED\r\n");
  CHECK(ChangedBy("incr a 1\r\nincr a 1\r\nincr z 1\r\n") ==
        Counts{{"incr_hits", 2}, {"incr_misses", 1}});
  CHECK(ChangedBy("decr a 1\r\ndecr z 1\r\n") == Counts{{"decr_hits", 1}, {"decr_misses", 1}});
  CHECK(ChangedBy("touch a 0\r\ntouch z 0\r\n") ==
        Counts{{"cmd_touch", 2}, {"touch_hits", 1}, {"touch_misses", 1}});
  CHECK(ChangedBy("delete a\r\ndelete a\r\n") ==
        Counts{{"curr_items", -1}, {"delete_hits", 1}, {"delete_misses", 1}});
}

TEST_CASE_METHOD(CountingTest, "flush_all counts, and stores that are too large", "[wire][stats]") {
  CHECK(ChangedBy("flush_all\r\nflush_all 100\r\n") == Counts{{"cmd_flush", 2}});
  CHECK(ChangedBy(SetRequest("a", std::string(1048576, 'x'))) == Counts{{"store_too_large", 1}});
}

TEST_CASE_METHOD(CountingTest, "bad lines count as nothing", "[wire][stats]") {
  CHECK(ChangedBy("foo\r\nget\r\nset a x 0 1\r\nx\r\nincr a x\r\ntouch a x\r\n").empty());
}

TEST_CASE_METHOD(WireTest, "bytes read and written are those of the connections", "[wire][stats]") {
  const auto before = client.Stats();
  client.Send(SetRequest("a", std::string(10000, 'x'))).Expect("STORED\r\n");
  client.Send("get a\r\n").ReceiveUntil("END\r\n");
  const auto after = client.Stats();
  const auto gone = [&](const char* name) {
    return std::stoull(after.at(name)) - std::stoull(before.at(name));
  };
  CHECK(gone("bytes_read") == 10019 + 7 + 8);  // The second "stats \r\n" is counted.
  CHECK(gone("bytes_written") > 10000);
}

TEST_CASE_METHOD(WireTest, "bytes and curr_items follow what is stored", "[wire][stats]") {
  CHECK(client.Stat("bytes") == 0);
  client.Send(SetRequest("a", std::string(1000, 'x'))).Expect("STORED\r\n");
  client.Send(SetRequest("b", std::string(500000, 'x'))).Expect("STORED\r\n");
  CHECK(client.Stat("bytes") > 501000);
  CHECK(client.Stat("bytes") < 501200);
  CHECK(client.Stat("curr_items") == 2);
  client.Send("delete a\r\ndelete b\r\n").Expect("DELETED\r\nDELETED\r\n");
  CHECK(client.Stat("bytes") == 0);
  CHECK(client.Stat("curr_items") == 0);
  CHECK(client.Stat("total_items") == 2);
}

TEST_CASE_METHOD(WireTest, "connections are counted", "[wire][stats]") {
  CHECK(client.Stat("curr_connections") == 1);
  CHECK(client.Stat("total_connections") == 2);  // The listener counts.
  Client other = server.Connect();
  other.ExpectNothing();
  CHECK(client.Stat("curr_connections") == 2);
  CHECK(client.Stat("total_connections") == 3);
  other.Send("quit\r\n").ExpectClosed();
  CHECK(client.Stat("curr_connections") == 1);
  CHECK(client.Stat("total_connections") == 3);
}

TEST_CASE_METHOD(WireTest, "counters are summed over workers", "[wire][stats]") {
  Client other = server.Connect();
  client.Send(SetRequest("a", "x") + "get a\r\n").ReceiveUntil("END\r\n");
  other.Send(SetRequest("b", "x") + "get b\r\nget c\r\n").ReceiveUntil("END\r\nEND\r\n");
  CHECK(client.Stat("cmd_set") == 2);
  CHECK(other.Stat("get_hits") == 2);
  CHECK(client.Stat("get_misses") == 1);
}

// --- reset ---------------------------------------------------------------------------------------

TEST_CASE_METHOD(WireTest, "stats reset zeroes counters and keeps gauges", "[wire][stats]") {
  client.Send(SetRequest("a", "1") + "get a b\r\nincr a 1\r\ntouch a 0\r\nflush_all 100\r\n");
  client.ReceiveUntil("OK\r\n");
  client.Send("stats reset\r\n").Expect("RESET\r\n").ExpectNothing();
  const auto stats = client.Stats();
  for (const char* name : {"cmd_get", "cmd_set", "cmd_touch", "cmd_flush", "get_hits", "get_misses",
                           "incr_hits", "touch_hits", "total_items"}) {
    CAPTURE(name);
    CHECK(stats.at(name) == "0");
  }
  CHECK(stats.at("curr_items") == "1");
  CHECK(stats.at("curr_connections") == "1");
  CHECK(stats.at("total_connections") == "0");
  CHECK(std::stoull(stats.at("bytes")) > 0);
  CHECK(client.Stats("slabs").at("1:cmd_set") == "0");
  CHECK(client.Stats("items").at("items:1:number") == "1");
  client.Send("get a\r\n").Expect(ValueReply("a", "2") + "END\r\n");
  CHECK(client.Stat("get_hits") == 1);
}

// --- Words ---------------------------------------------------------------------------------------

TEST_CASE_METHOD(WireTest, "words of stats may be cut short, and the first that fits is meant",
                 "[wire][stats]") {
  client.Send("stats r\r\nstats rese\r\n").Expect("RESET\r\nRESET\r\n");
  CHECK(client.Stats("s").count("maxbytes") == 1);
  CHECK(client.Stats("setting").count("maxbytes") == 1);
  CHECK(client.Stats("co").size() > 3);
  client.Send("stats e\r\n").Expect("END\r\n");
  client.Send("stats c\r\n").Expect("CLIENT_ERROR bad command line\r\n");
  client.Send("stats d\r\n").Expect("CLIENT_ERROR usage: stats detail on|off|dump\r\n");
  client.ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "items, slabs and sizes need the whole word", "[wire][stats]") {
  for (const char* word : {"it", "item", "sl", "slab", "si", "sizesx", "settingsx", "foo", "malloc",
                           "maps", "proxy", "sizes_enable", "sizes_disable", "noreply"}) {
    CAPTURE(word);
    client.Send(std::string("stats ") + word + "\r\n").Expect("ERROR\r\n").ExpectNothing();
  }
}

// --- settings ------------------------------------------------------------------------------------

TEST_CASE("stats settings shows how the server was started", "[wire][stats]") {
  TestServer server([](Config& config) {
    config.memory_bytes = 100U << 20;
    config.connections_max = 77;
    config.evict = false;
    config.use_cas = false;
    config.flush_enabled = false;
    config.track_sizes = true;
    config.requests_per_turn_max = 33;
    config.idle_timeout_s = 10;
    config.shutdown_command = true;
  });
  Client client = server.Connect();
  const auto settings = client.Stats("settings");
  CHECK(settings.at("maxbytes") == std::to_string(100 << 20));
  CHECK(settings.at("maxconns") == "77");
  CHECK(settings.at("evictions") == "off");
  CHECK(settings.at("cas_enabled") == "no");
  CHECK(settings.at("flush_enabled") == "no");
  CHECK(settings.at("track_sizes") == "yes");
  CHECK(settings.at("reqs_per_event") == "33");
  CHECK(settings.at("idle_timeout") == "10");
  CHECK(settings.at("shutdown_command") == "yes");
  CHECK(settings.at("num_threads") == "2");
  CHECK(settings.at("item_size_max") == "1048576");
}

TEST_CASE_METHOD(WireTest, "stats settings shows when the last flush was", "[wire][stats]") {
  CHECK(client.Stats("settings").at("oldest") == "0");
  server.AdvanceClock(500);
  client.Send("flush_all\r\n").Expect("OK\r\n");
  CHECK(std::stoull(client.Stats("settings").at("oldest")) >= 500);
}

// --- items and slabs -----------------------------------------------------------------------------

TEST_CASE_METHOD(WireTest, "stats items lists classes that hold items", "[wire][stats]") {
  client.Send("stats items\r\n").Expect("END\r\n");
  client.Send(SetRequest("a", "x") + SetRequest("b", "y")).Expect("STORED\r\nSTORED\r\n");
  server.AdvanceClock(30);
  client.Send(SetRequest("c", std::string(1000, 'z'))).Expect("STORED\r\n");
  const auto items = client.Stats("items");
  CHECK(items.at("items:1:number") == "2");
  CHECK(std::stoull(items.at("items:1:age")) >= 30);
  CHECK(items.at("items:1:evicted") == "0");
  CHECK(items.at("items:1:outofmemory") == "0");
  std::set<std::string> classes;
  for (const auto& row : items) classes.insert(row.first.substr(0, row.first.rfind(':')));
  CHECK(classes.size() == 2);
  client.Send("delete a\r\ndelete b\r\ndelete c\r\nstats items\r\n")
      .Expect("DELETED\r\nDELETED\r\nDELETED\r\nEND\r\n");
}

TEST_CASE_METHOD(WireTest, "stats items has memcached's rows in memcached's order, then its own",
                 "[wire][stats]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  std::string expected;
  for (const char* name : {"number",
                           "number_hot",
                           "number_warm",
                           "number_cold",
                           "age_hot",
                           "age_warm",
                           "age",
                           "mem_requested",
                           "evicted",
                           "evicted_nonzero",
                           "evicted_time",
                           "outofmemory",
                           "tailrepairs",
                           "reclaimed",
                           "expired_unfetched",
                           "evicted_unfetched",
                           "evicted_active",
                           "crawler_reclaimed",
                           "crawler_items_checked",
                           "lrutail_reflocked",
                           "moves_to_cold",
                           "moves_to_warm",
                           "moves_within_lru",
                           "direct_reclaims",
                           "evicted_hot",
                           "evicted_cold",
                           "evicted_for_page",
                           "ghosts_hot",
                           "ghosts_cold",
                           "ghost_bytes",
                           "target_hot"}) {
    expected += std::string("items:1:") + name + " ";
  }
  CHECK(StatNames(client, "items") == expected);
}

TEST_CASE("stats items counts evictions by class", "[wire][stats]") {
  TestServer server([](Config& config) { config.memory_bytes = 8U << 20; });
  Client client = server.Connect();
  const std::string value(20000, 'x');
  std::string requests;
  for (int i = 0; i < 1000; ++i) {
    requests += StorageRequest(
        {.key = "k" + std::to_string(i), .value = value, .exptime = 1000, .rest = "noreply"});
  }
  client.Send(requests).ExpectNothing();
  const auto items = client.Stats("items");
  REQUIRE(!items.empty());
  const std::string name = items.begin()->first;
  const std::string prefix = name.substr(0, name.rfind(':') + 1);
  const std::uint64_t number = std::stoull(items.at(prefix + "number"));
  const std::uint64_t evicted = std::stoull(items.at(prefix + "evicted"));
  CHECK(number + evicted == 1000);
  CHECK(std::stoull(items.at(prefix + "evicted_nonzero")) == evicted);
  CHECK(std::stoull(items.at(prefix + "evicted_unfetched")) == evicted);
  CHECK(client.Stat("evictions") == evicted);
  CHECK(client.Stat("evicted_unfetched") == evicted);
  CHECK(client.Stat("curr_items") == number);
}

TEST_CASE_METHOD(WireTest, "stats slabs has memcached's rows, and sums at its end",
                 "[wire][stats]") {
  client.Send("stats slabs\r\n").Expect("STAT active_slabs 0\r\nSTAT total_malloced 0\r\nEND\r\n");
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  std::string expected;
  for (const char* name :
       {"chunk_size", "chunks_per_page", "total_pages", "total_chunks", "used_chunks",
        "free_chunks", "free_chunks_end", "get_hits", "cmd_set", "delete_hits", "incr_hits",
        "decr_hits", "cas_hits", "cas_badval", "touch_hits"}) {
    expected += std::string("1:") + name + " ";
  }
  CHECK(StatNames(client, "slabs") == expected + "active_slabs total_malloced ");
}

TEST_CASE_METHOD(WireTest, "stats slabs counts chunks, and commands by class", "[wire][stats]") {
  client.Send(SetRequest("a", "1") + SetRequest("b", "2")).Expect("STORED\r\nSTORED\r\n");
  client.Send("get a b\r\nincr a 1\r\ndecr a 1\r\ntouch a 0\r\ndelete b\r\n");
  client.ReceiveUntil("DELETED\r\n");
  const auto slabs = client.Stats("slabs");
  CHECK(slabs.at("1:total_pages") == "1");
  CHECK(slabs.at("1:used_chunks") == "1");
  CHECK(std::stoull(slabs.at("1:free_chunks")) == std::stoull(slabs.at("1:total_chunks")) - 1);
  CHECK(slabs.at("1:get_hits") == "2");
  CHECK(slabs.at("1:cmd_set") == "2");
  CHECK(slabs.at("1:incr_hits") == "1");
  CHECK(slabs.at("1:decr_hits") == "1");
  CHECK(slabs.at("1:touch_hits") == "1");
  CHECK(slabs.at("1:delete_hits") == "1");
  CHECK(slabs.at("active_slabs") == "1");
  CHECK(slabs.at("total_malloced") == std::to_string(slab::kPageBytes));
}

// --- sizes ---------------------------------------------------------------------------------------

TEST_CASE_METHOD(WireTest, "stats sizes is off unless asked for", "[wire][stats]") {
  client.Send("stats sizes\r\n").Expect("STAT sizes_status disabled\r\nEND\r\n");
}

TEST_CASE("with track_sizes stats sizes counts items by steps of 32 bytes", "[wire][stats]") {
  TestServer server([](Config& config) { config.track_sizes = true; });
  Client client = server.Connect();
  client.Send("stats sizes\r\n").Expect("END\r\n");
  client.Send(SetRequest("a", "x") + SetRequest("b", "x")).Expect("STORED\r\nSTORED\r\n");
  client.Send(SetRequest("c", std::string(1000, 'x'))).Expect("STORED\r\n");
  const auto sizes = client.Stats("sizes");
  REQUIRE(sizes.size() == 2);
  CHECK(sizes.at("32") == "2");
  CHECK(sizes.at("1056") == "1");
  client.Send("delete a\r\ndelete b\r\ndelete c\r\nstats sizes\r\n")
      .Expect("DELETED\r\nDELETED\r\nDELETED\r\nEND\r\n");
}

// --- conns ---------------------------------------------------------------------------------------

TEST_CASE("stats conns shows what every connection does", "[wire][stats]") {
  TestServer server([](Config& config) { config.threads = 1; });
  Client client = server.Connect();
  Client waiting = server.Connect();
  Client storing = server.Connect();
  Client wasting = server.Connect();
  Client slow = server.ConnectSlow();
  storing.Send("set a 0 0 10\r\nabc").ExpectSilence();
  wasting.Send("set a 0 0 2000000\r\nabc").Expect(kTooLarge);
  client.Send(SetRequest("big", PatternBytes(1000000, 1))).Expect("STORED\r\n");
  slow.SendWithoutReading("get big big big big big big big big big big big big big big big\r\n");
  waiting.ExpectNothing();
  server.Settle();

  std::map<std::string, int> states;
  const std::string address = "tcp:127.0.0.1:" + std::to_string(server.server().port());
  int listening_here = 0;
  for (const auto& [name, value] : client.Stats("conns")) {
    if (name.ends_with(":state")) ++states[value];
    if (name.ends_with(":listen_addr")) CHECK(value == address);
    if (name.ends_with(":addr") && value == address) ++listening_here;
    if (name.ends_with(":secs_since_last_cmd")) CHECK(std::stoull(value) < 100);
  }
  CHECK(listening_here == 1);
  CHECK(states["conn_listening"] == 1);
  CHECK(states["conn_parse_cmd"] == 1);  // The one that asks.
  CHECK(states["conn_nread"] == 1);
  CHECK(states["conn_swallow"] == 1);
  CHECK(states["conn_mwrite"] == 1);
  CHECK(states["conn_waiting"] == 2);  // And the one that Settle keeps.
}

TEST_CASE_METHOD(WireTest, "stats conns tells how long a client has been silent", "[wire][stats]") {
  Client silent = server.Connect();
  silent.ExpectNothing();
  server.AdvanceClock(50);
  bool is_found = false;
  for (const auto& [name, value] : client.Stats("conns")) {
    is_found = is_found || (name.ends_with(":secs_since_last_cmd") && std::stoull(value) >= 50);
  }
  CHECK(is_found);
}

// --- detail --------------------------------------------------------------------------------------

TEST_CASE_METHOD(WireTest, "stats detail counts by prefix while it is on", "[wire][stats_detail]") {
  client.Send("get a:x\r\nstats detail dump\r\n").Expect("END\r\nEND\r\n");
  client.Send("stats detail on\r\n").Expect("OK\r\n");
  client.Send(SetRequest("a:x", "1") + "add a:x 0 0 1\r\ny\r\ncas a:z 0 0 1 1\r\ny\r\n");
  client.Expect("STORED\r\nNOT_STORED\r\nNOT_FOUND\r\n");
  client.Send(
      "get a:x a:y\r\ngat 0 a:x\r\ndelete a:y\r\nincr a:x 1\r\ntouch a:x 0\r\nget plain\r\n");
  client.ReceiveUntil("TOUCHED\r\nEND\r\n");
  client.Send("stats detail dump\r\n").Expect("PREFIX a get 3 hit 2 set 3 del 1\r\nEND\r\n");
  client.Send("stats detail off\r\n").Expect("OK\r\n");
  client.Send("get a:x\r\n").ReceiveUntil("END\r\n");
  client.Send("stats detail dump\r\n").Expect("PREFIX a get 3 hit 2 set 3 del 1\r\nEND\r\n");
  client.Send("stats reset\r\nstats detail dump\r\n").Expect("RESET\r\nEND\r\n");
}

TEST_CASE_METHOD(OneWorker, "a detail dump is made as it is read, and not kept",
                 "[wire][stats_detail]") {
  constexpr int kPrefixes = 40000;  // The list is longer than the sockets hold.
  const std::string filler(200, 'p');
  std::string gets;
  for (int i = 0; i < kPrefixes; ++i) gets += "get " + filler + std::to_string(i) + ":x\r\n";
  std::string misses;
  for (int i = 0; i < kPrefixes; ++i) misses += "END\r\n";
  client.Send("stats detail on\r\n" + gets).Expect("OK\r\n" + misses);

  Client slow = server.ConnectSlow();
  slow.Send("stats detail dump\r\nmn\r\n").ReceiveUntil(" get 1 hit 0 set 0 del 0\r\n");
  server.Settle();
  CHECK(client.Stats("memory").at("pending_output").size() < 7);  // Less than a megabyte.
  // What the client has not been sent is as it is when it reads.
  client.Send(gets).Expect(misses);
  const std::string rest = slow.ReceiveUntil("END\r\n");
  CHECK(std::ranges::count(rest, '\n') == kPrefixes);  // One is read already, and END is one.
  CHECK(rest.find(" get 2 hit 0 set 0 del 0\r\nEND\r\n") != std::string::npos);
  slow.Expect("MN\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "an empty prefix is a prefix", "[wire][stats_detail]") {
  client.Send("stats detail on\r\nget :a\r\nstats detail dump\r\n");
  client.Expect("OK\r\nEND\r\nPREFIX  get 1 hit 0 set 0 del 0\r\nEND\r\n");
}

TEST_CASE_METHOD(WireTest, "stats detail counts stores that come in pieces or do not fit",
                 "[wire][stats_detail]") {
  client.Send("stats detail on\r\n").Expect("OK\r\n");
  client.Send(SetRequest("a:x", std::string(200000, 'x'))).Expect("STORED\r\n");
  client.Send(SetRequest("a:x", std::string(1048576, 'x'))).Expect(kTooLarge);
  client.SendInPieces({"set a:y 0 0 3\r\na", "bc\r\n"}).Expect("STORED\r\n");
  client.Send("stats detail dump\r\n").Expect("PREFIX a get 0 hit 0 set 3 del 0\r\nEND\r\n");
}

TEST_CASE_METHOD(WireTest, "stats detail needs a word that it knows", "[wire][stats_detail]") {
  for (const char* request : {"stats detail\r\n", "stats detail x\r\n", "stats detail onn\r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect("CLIENT_ERROR usage: stats detail on|off|dump\r\n");
  }
}

TEST_CASE("-D sets the delimiter and -X forbids to look", "[wire][stats_detail]") {
  TestServer counting([](Config& config) {
    config.prefix_delimiter = '/';
    config.detail_enabled = true;
  });
  Client client = counting.Connect();
  client.Send("get a/b:c\r\nstats detail dump\r\n")
      .Expect("END\r\nPREFIX a get 1 hit 0 set 0 del 0\r\nEND\r\n");

  TestServer silent([](Config& config) { config.dump_enabled = false; });
  Client refused = silent.Connect();
  refused.Send("stats detail dump\r\n").Expect("CLIENT_ERROR stats detail not allowed\r\n");
  refused.Send("stats cachedump 1 0\r\n").Expect("CLIENT_ERROR stats cachedump not allowed\r\n");
}

// --- cachedump -----------------------------------------------------------------------------------

TEST_CASE_METHOD(WireTest, "stats cachedump lists a class from its newest item", "[wire][stats]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const std::uint64_t now_s = client.Stat("time");
  const std::string expiry = std::to_string(now_s + 1000000);
  client.Send("set b 0 " + expiry + " 2\r\nyy\r\n").Expect("STORED\r\n");
  client.Send("stats cachedump 1 0\r\n")
      .Expect("ITEM b [2 b; " + expiry + " s]\r\nITEM a [1 b; 0 s]\r\nEND\r\n");
  client.Send("stats cachedump 1 1\r\n").Expect("ITEM b [2 b; " + expiry + " s]\r\nEND\r\n");
  client.Send("stats cachedump 2 0\r\nstats cachedump 0 0\r\n").Expect("END\r\nEND\r\n");
}

TEST_CASE_METHOD(WireTest, "stats cachedump refuses what is no class", "[wire][stats]") {
  client.Send("stats cachedump\r\nstats cachedump 1\r\n")
      .Expect("CLIENT_ERROR bad command line\r\nCLIENT_ERROR bad command line\r\n");
  client.Send("stats cachedump x 0\r\nstats cachedump 1 x\r\n").Expect(kBadLine).Expect(kBadLine);
  client.Send("stats cachedump 999 0\r\n").Expect("CLIENT_ERROR Illegal slab id\r\n");
  client.ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "stats cachedump of many items ends at 2 MiB", "[wire][stats]") {
  const std::string padding(200, 'k');
  std::string requests;
  for (int i = 0; i < 20000; ++i) {
    requests += StorageRequest(
        {.key = padding + std::to_string(100000 + i), .value = "x", .rest = "noreply"});
  }
  client.Send(requests).ExpectNothing();
  const std::string slab_class = client.Stats("items").begin()->first.substr(6, 2);
  client.Send("stats cachedump " + slab_class + " 0\r\n");
  const std::string dump = client.ReceiveUntil("END\r\n");
  CHECK(dump.size() > 1500000);
  CHECK(dump.size() < 3000000);
  client.ExpectNothing();
}

}  // namespace
}  // namespace larder::wire
