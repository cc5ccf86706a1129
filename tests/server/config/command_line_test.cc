#include "server/config/command_line.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "server/config/version.h"
#include "tests/server/config/command_line.h"

namespace larder::server {
namespace {

using Catch::Contains;
using Catch::StartsWith;

TEST_CASE("no options give the defaults", "[config]") {
  const Config config = ParseGood({});
  CHECK(config.port == 11211);
  CHECK(config.listen.empty());
  CHECK(config.memory_bytes == 64 << 20);
  CHECK(config.item_bytes_max == 1 << 20);
  CHECK(config.connections_max == 1024);
  CHECK(config.threads == 4);
  CHECK(config.requests_per_turn_max == 1024);
  CHECK(config.backlog == 1024);
  CHECK(config.unix_mask == 0700);
  CHECK(config.prefix_delimiter == ':');
  CHECK(config.evict);
  CHECK(config.use_cas);
  CHECK(config.maxconns_fast);
  CHECK_FALSE(config.daemonize);
  CHECK_FALSE(config.growth_factor_given);
  CHECK(config.warnings.empty());
}

TEST_CASE("an option's value may be attached, separate or after an equals sign", "[config]") {
  CHECK(ParseGood({"-p11212"}).port == 11212);
  CHECK(ParseGood({"-p", "11212"}).port == 11212);
  CHECK(ParseGood({"--port=11212"}).port == 11212);
  CHECK(ParseGood({"--port", "11212"}).port == 11212);
}

TEST_CASE("a negative value is a value, not an option", "[config]") {
  CHECK(ParseGood({"-p", "-1"}).port == -1);
  CHECK(ParseGood({"-b", "-1"}).backlog == -1);
}

TEST_CASE("blanks before a value are skipped", "[config]") {
  CHECK(ParseGood({"-m", "  128"}).memory_bytes == 128 << 20);
}

TEST_CASE("letters may stand in one word, the last of them with a value", "[config]") {
  const Config config = ParseGood({"-MCvt2"});
  CHECK_FALSE(config.evict);
  CHECK_FALSE(config.use_cas);
  CHECK(config.verbosity == 1);
  CHECK(config.threads == 2);
}

TEST_CASE("a long name may be cut where it stays unique", "[config]") {
  CHECK(ParseGood({"--thr=2"}).threads == 2);
  CHECK(ParseGood({"--memory-l", "128"}).memory_bytes == 128 << 20);
  CHECK(ParseBad({"--disable"}).exit_code == 1);
}

TEST_CASE("the last of several values counts", "[config]") {
  CHECK(ParseGood({"-p", "1", "--port=2"}).port == 2);
}

TEST_CASE("verbosity adds up", "[config]") {
  CHECK(ParseGood({"-v"}).verbosity == 1);
  CHECK(ParseGood({"-vv"}).verbosity == 2);
  CHECK(ParseGood({"-v", "-vv", "--verbose"}).verbosity == 4);
}

TEST_CASE("words that are no options are ignored", "[config]") {
  CHECK(ParseGood({"spare", "-p", "1"}).port == 1);
  CHECK(ParseGood({"--", "-p", "1"}).port == 11211);
}

TEST_CASE("switches reach their settings", "[config]") {
  const Config config = ParseGood({"-M", "-C", "-F", "-X", "-A", "-k", "-r", "-d", "-L", "-W"});
  CHECK_FALSE(config.evict);
  CHECK_FALSE(config.use_cas);
  CHECK_FALSE(config.flush_enabled);
  CHECK_FALSE(config.dump_enabled);
  CHECK(config.shutdown_command);
  CHECK(config.lock_memory);
  CHECK(config.coredumps);
  CHECK(config.daemonize);
}

TEST_CASE("long names of switches reach the same settings", "[config]") {
  const Config config =
      ParseGood({"--disable-evictions", "--disable-cas", "--disable-flush-all", "--disable-dumping",
                 "--enable-shutdown", "--lock-memory", "--enable-coredumps", "--daemon",
                 "--enable-largepages", "--disable-watch"});
  CHECK_FALSE(config.evict);
  CHECK_FALSE(config.use_cas);
  CHECK_FALSE(config.flush_enabled);
  CHECK_FALSE(config.dump_enabled);
  CHECK(config.shutdown_command);
  CHECK(config.lock_memory);
  CHECK(config.coredumps);
  CHECK(config.daemonize);
}

TEST_CASE("values reach their settings", "[config]") {
  const Config config = ParseGood({"-s", "/tmp/larder.sock",
                                   "-a", "770",
                                   "-u", "nobody",
                                   "-P", "/tmp/larder.pid",
                                   "-c", "2000",
                                   "-b", "5",
                                   "-t", "2",
                                   "-R", "7",
                                   "-n", "48",
                                   "-f", "1.25",
                                   "-U", "0"});
  CHECK(config.unix_socket == "/tmp/larder.sock");
  CHECK(config.unix_mask == 0770);
  CHECK(config.user == "nobody");
  CHECK(config.pid_file == "/tmp/larder.pid");
  CHECK(config.connections_max == 2000);
  CHECK(config.backlog == 5);
  CHECK(config.threads == 2);
  CHECK(config.requests_per_turn_max == 7);
  CHECK(config.chunk_bytes_min == 48);
  CHECK(config.growth_factor == 1.25);
  CHECK(config.growth_factor_given);
}

TEST_CASE("-D sets the delimiter and switches details on", "[config]") {
  const Config config = ParseGood({"-D", "_"});
  CHECK(config.prefix_delimiter == '_');
  CHECK(config.detail_enabled);
}

TEST_CASE("several -l are joined, in memcached's words and as addresses", "[config]") {
  const Config config = ParseGood({"-l", "127.0.0.1,[::1]:11300", "-l", "*:5"});
  CHECK(config.listen_text == "127.0.0.1,[::1]:11300,*:5");
  CHECK(config.listen == std::vector<ListenAddress>{{"127.0.0.1", -1}, {"::1", 11300}, {"", 5}});
}

TEST_CASE("a bad -l has memcached's last line and exit code", "[config]") {
  const ConfigExit exit = ParseBad({"-l", "127.0.0.1:abc"});
  CHECK(exit.exit_code == 71);
  CHECK(exit.message ==
        "Invalid port number: \"abc\"\n"
        "failed to listen on one of interface(s) 127.0.0.1:abc: Invalid argument");
}

TEST_CASE("-B takes three names", "[config]") {
  CHECK(ParseGood({"-B", "auto"}).protocol == BindingProtocol::kNegotiate);
  CHECK(ParseGood({"-B", "ascii"}).protocol == BindingProtocol::kAscii);
  CHECK(ParseGood({"-B", "binary"}).protocol == BindingProtocol::kBinary);
  const ConfigExit exit = ParseBad({"-B", "foo"});
  CHECK(exit.exit_code == 64);
  CHECK(exit.message ==
        "Invalid value for binding protocol: foo\n"
        " -- should be one of auto, binary, or ascii");
}

TEST_CASE("-I takes bytes, and k or m in either case", "[config]") {
  CHECK(ParseGood({"-I", "2000"}).item_bytes_max == 2000);
  CHECK(ParseGood({"-I", "512k"}).item_bytes_max == 512 << 10);
  CHECK(ParseGood({"-I", "512K"}).item_bytes_max == 512 << 10);
  CHECK(ParseGood({"-I", "32m"}).item_bytes_max == 32 << 20);
  CHECK(ParseGood({"-I", "32M"}).item_bytes_max == 32 << 20);
}

TEST_CASE("-I is judged by the -m that follows it", "[config]") {
  CHECK(ParseGood({"-I", "1024m", "-m", "2048"}).item_bytes_max == 1 << 30);
}

TEST_CASE("-I below a kilobyte is refused", "[config]") {
  const ConfigExit exit = ParseBad({"-I", "1023"});
  CHECK(exit.exit_code == 64);
  CHECK(exit.message == "Item max size cannot be less than 1024 bytes.");
}

TEST_CASE("-I above half of the memory is refused", "[config]") {
  for (const auto words : {std::initializer_list<const char*>{"-I", "33m"}, {"-m", "1"}}) {
    const ConfigExit exit = ParseBad(words);
    CHECK(exit.exit_code == 64);
    CHECK(exit.message == "Cannot set item size limit higher than 1/2 of memory max.");
  }
}

TEST_CASE("-I above a gigabyte is refused, however far", "[config]") {
  for (const char* size : {"1073741825", "1025m", "18446744073709551615", "17592186044416m"}) {
    CAPTURE(size);
    const ConfigExit exit = ParseBad({"-m", "8192", "-I", size});
    CHECK(exit.exit_code == 64);
    CHECK(exit.message == "Cannot set item size limit higher than a gigabyte.");
  }
}

TEST_CASE("ports outside the range are refused", "[config]") {
  for (const char* port : {"65536", "-2"}) {
    const ConfigExit exit = ParseBad({"-p", port});
    CHECK(exit.exit_code == 64);
    CHECK(exit.message == "ERROR: Invalid port number " + std::string(port) + ".");
  }
}

TEST_CASE("numbers that must be positive are complained about as memcached does", "[config]") {
  struct Row {
    const char* option;
    const char* complaint;
  };
  for (const Row& row : {Row{"-c", "Maximum connections must be greater than 0"},
                         Row{"-t", "Number of threads must be greater than 0"},
                         Row{"-R", "Number of requests per event must be greater than 0"},
                         Row{"-n", "Chunk size must be greater than 0"}}) {
    for (const char* value : {"0", "-1"}) {
      const ConfigExit exit = ParseBad({row.option, value});
      CHECK(exit.exit_code == 1);
      CHECK(exit.message == row.complaint);
    }
    CHECK_THAT(ParseBad({row.option, "x"}).message, StartsWith(row.complaint));
  }
}

TEST_CASE("a growth factor must be above 1", "[config]") {
  for (const char* factor : {"1", "0.5", "-2", "x", "nan", ""}) {
    CAPTURE(factor);
    const ConfigExit exit = ParseBad({"-f", factor});
    CHECK(exit.exit_code == 1);
    CHECK(exit.message == "Factor must be greater than 1");
  }
}

TEST_CASE("a growth factor without bound is refused", "[config]") {
  CHECK(ParseBad({"-f", "inf"}).exit_code == 1);
  CHECK(ParseBad({"-f", "1e300"}).exit_code == 1);
}

TEST_CASE("numbers that do not parse as a whole are errors", "[config]") {
  for (const char* option : {"-p", "-U", "-m", "-c", "-t", "-b", "-R", "-I", "-f", "-n", "-a"}) {
    for (const char* value : {"4x", "", "0x10", "99999999999999999999999"}) {
      CAPTURE(option, value);
      CHECK(ParseBad({option, value}).exit_code == 1);
    }
  }
}

TEST_CASE("many threads start with a warning, absurdly many do not", "[config]") {
  const Config config = ParseGood({"-t", "65"});
  REQUIRE(config.warnings.size() == 1);
  CHECK_THAT(config.warnings.front(), StartsWith("WARNING: Setting a high number of worker"));
  CHECK(ParseGood({"-t", "64"}).warnings.empty());
  CHECK(ParseBad({"-t", "11211"}).exit_code == 1);
}

TEST_CASE("-Y is found after -d has left the folder", "[config]") {
  const Config config = ParseGood({"-d", "-Y", "users"});
  CHECK(config.auth_file == (std::filesystem::current_path() / "users").string());
}

TEST_CASE("-Y serves the text protocol only", "[config]") {
  const Config config = ParseGood({"-Y", "/etc/users"});
  CHECK(config.auth_file == "/etc/users");
  CHECK(config.protocol == BindingProtocol::kAscii);
  CHECK(ParseGood({"--auth-file=u", "-B", "ascii"}).protocol == BindingProtocol::kAscii);
  const ConfigExit exit = ParseBad({"-B", "auto", "-Y", "u"});
  CHECK(exit.exit_code == 64);
  CHECK(exit.message ==
        "ERROR: You cannot allow the BINARY protocol while using ascii authentication tokens.");
}

TEST_CASE("-S serves the binary protocol only, unless -Y is there too", "[config]") {
  const Config config = ParseGood({"-S"});
  CHECK(config.sasl);
  CHECK(config.protocol == BindingProtocol::kBinary);
  CHECK(ParseGood({"--enable-sasl", "-B", "binary"}).protocol == BindingProtocol::kBinary);
  for (const char* protocol : {"auto", "ascii"}) {
    const ConfigExit exit = ParseBad({"-S", "-B", protocol});
    CHECK(exit.exit_code == 64);
    CHECK(exit.message == "ERROR: You cannot allow the ASCII protocol while using SASL.");
  }
}

TEST_CASE("-S and -Y serve both protocols", "[config]") {
  CHECK(ParseGood({"-S", "-Y", "u"}).protocol == BindingProtocol::kNegotiate);
  CHECK(ParseGood({"-Y", "u", "-S", "-B", "auto"}).protocol == BindingProtocol::kNegotiate);
  CHECK_THAT(ParseBad({"-S", "-Y", "u", "-B", "ascii"}).message, Contains("allow the ASCII"));
  CHECK_THAT(ParseBad({"-S", "-Y", "u", "-B", "binary"}).message, Contains("allow the BINARY"));
}

TEST_CASE("UDP is refused unless it is off", "[config]") {
  const ConfigExit exit = ParseBad({"-U", "11211"});
  CHECK(exit.exit_code == 64);
  CHECK_THAT(exit.message, Contains("UDP is not served"));
}

TEST_CASE("features that are not there are refused by name", "[config]") {
  const ConfigExit exit = ParseBad({"-N", "1"});
  CHECK(exit.exit_code == 64);
  CHECK_THAT(exit.message, Contains("-N"));
}

TEST_CASE("the memory file is found after the folder was left", "[config]") {
  CHECK(ParseGood({}).memory_file.empty());
  CHECK(ParseGood({"-e", "/dev/shm/items"}).memory_file == "/dev/shm/items");
  CHECK(ParseGood({"--memory-file=items"}).memory_file ==
        (std::filesystem::current_path() / "items").string());
  CHECK(ParseBad({"-e", ""}).exit_code == 1);
}

TEST_CASE("the memory limit may be a share of the memory", "[config]") {
  const std::uint64_t whole = ParseGood({"-m", "100%"}).memory_bytes;
  const std::uint64_t half = ParseGood({"-m", "50%"}).memory_bytes;
  constexpr std::uint64_t kMebibyte = 1 << 20;
  CHECK(whole % kMebibyte == 0);
  CHECK(half % kMebibyte == 0);
  CHECK(half <= whole / 2);
  CHECK(half + 2 * kMebibyte > whole / 2);
  for (const char* share :
       {"0%", "101%", "%", "-1%", "1e1%", "50%%", "x%", "999999999999999999%"}) {
    CAPTURE(share);
    const ConfigExit exit = ParseBad({"-m", share});
    CHECK(exit.exit_code == 1);
    CHECK_THAT(exit.message, Contains("1% to 100%"));
  }
}

TEST_CASE("an empty delimiter is refused", "[config]") {
  const ConfigExit exit = ParseBad({"-D", ""});
  CHECK(exit.exit_code == 1);
  CHECK(exit.message == "No delimiter specified");
}

TEST_CASE("unknown options and missing values end as getopt's", "[config]") {
  for (const auto words : {std::initializer_list<const char*>{"-j"},
                           {"--bogus"},
                           {"-p"},
                           {"--port"},
                           {"-@"},
                           {"--daemon=1"}}) {
    const ConfigExit exit = ParseBad(words);
    CHECK(exit.exit_code == 1);
    CHECK_THAT(exit.message, Catch::EndsWith("Illegal argument \"?\""));
  }
}

TEST_CASE("-h shows every option", "[config]") {
  const ConfigExit exit = ParseBad({"-h"});
  CHECK(exit.exit_code == 0);
  for (const char letter : std::string("plsacbBSYUmMIfnCkLtRDAFXWoduPrvhVi")) {
    CHECK_THAT(exit.message, Contains(std::string("\n  -") + letter));
  }
}

TEST_CASE("the help text fits a terminal of 100 columns", "[config]") {
  const std::string text = ParseBad({"--help"}).message;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    CAPTURE(text.substr(begin, end - begin));
    CHECK(end - begin <= 100);
    begin = end + 1;
  }
}

TEST_CASE("-V shows name and version", "[config]") {
  for (const char* option : {"-V", "--version"}) {
    const ConfigExit exit = ParseBad({option});
    CHECK(exit.exit_code == 0);
    CHECK(exit.message == "larder " + std::string(Version()));
  }
}

TEST_CASE("-i shows the licence", "[config]") {
  const ConfigExit exit = ParseBad({"-i"});
  CHECK(exit.exit_code == 0);
  CHECK_THAT(exit.message, Contains("Apache License"));
}

TEST_CASE("the first bad value from the left decides", "[config]") {
  CHECK(ParseBad({"-c", "0", "-Z"}).exit_code == 1);
  CHECK(ParseBad({"-N", "1", "-c", "0"}).exit_code == 64);
}

}  // namespace
}  // namespace larder::server
