#include "server/config/cluster_nodes.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

namespace larder::server {
namespace {

constexpr std::size_t kNodesMax = 8;

// The node list of a file that must be good.
std::string Nodes(std::string_view text) {
  const auto list = ParseClusterFile(text, kNodesMax);
  return list ? FormatNodes(list->nodes) : "refused: " + list.error();
}

std::string Refusal(std::string_view text) {
  const auto list = ParseClusterFile(text, kNodesMax);
  return list ? "taken: " + FormatNodes(list->nodes) : list.error();
}

TEST_CASE("a cluster file has a node a line", "[cluster_nodes]") {
  CHECK(Nodes("a.example:11211\nb.example:11212\n") == "a.example||11211 b.example||11212");
  CHECK(Nodes("a:1") == "a||1");
  CHECK(Nodes("a:1 b:2\r\n\tc_-x.y:65535  \r\n\n") == "a||1 b||2 c_-x.y||65535");
}

TEST_CASE("an address that stands for the host is the ip as well", "[cluster_nodes]") {
  CHECK(Nodes("10.0.0.1:11211") == "10.0.0.1|10.0.0.1|11211");
  CHECK(Nodes("[2001:db8::1]:11211") == "2001:db8::1|2001:db8::1|11211");
}

TEST_CASE("a node may be written as clients read it", "[cluster_nodes]") {
  CHECK(Nodes("a|10.0.0.1|11211 b||11212 c|::1|1") == "a|10.0.0.1|11211 b||11212 c|::1|1");
}

TEST_CASE("comments and empty lines say nothing", "[cluster_nodes]") {
  CHECK(Nodes("# nodes\n\na:1 # the first\n#b:2\n") == "a||1");
}

TEST_CASE("a cluster file may bring its version", "[cluster_nodes]") {
  const auto list = ParseClusterFile("version 42 # counted by hand\na:1\n", kNodesMax);
  REQUIRE(list);
  CHECK(list->version == 42);
  CHECK(FormatNodes(list->nodes) == "a||1");
  const auto without = ParseClusterFile("a:1\n", kNodesMax);
  REQUIRE(without);
  CHECK(without->version == 0);
}

TEST_CASE("a bad cluster file is refused with its line", "[cluster_nodes]") {
  CHECK(Refusal("") == "names no node");
  CHECK(Refusal("# a:1\nversion 3\n") == "names no node");
  CHECK(Refusal("a:1\nb\n") == "line 2: \"b\" is no host:port and no host|address|port");
  CHECK(Refusal("a:1\na:2\na:1\n") == "line 3: \"a:1\" is given twice");
  CHECK(Refusal("a:1 a|10.0.0.1|1") == "line 1: \"a|10.0.0.1|1\" is given twice");
  CHECK(Refusal("a:1 b:1 c:1\nd:1 e:1 f:1\ng:1 h:1 i:1") == "line 3: more than 8 nodes");
  CHECK(Refusal("\x1b[31m") == "line 1: \"?[31m\" is no host:port and no host|address|port");
  for (const char* version : {"version", "version 0", "version x", "version -1", "version 1 2",
                              "version 9007199254740992", "version 18446744073709551616"}) {
    CAPTURE(version);
    CHECK(Refusal(std::string(version) + "\na:1") ==
          "line 1: a version is a number from 1 to 9007199254740991");
  }
  CHECK(Refusal("version 1\nversion 2\na:1") == "line 2: the version is given twice");
}

TEST_CASE("a bad node is refused", "[cluster_nodes]") {
  const std::string long_host(254, 'a');
  for (const std::string& node : {std::string("a"),           std::string(":1"),
                                  std::string("a:"),          std::string("a:0"),
                                  std::string("a:65536"),     std::string("a:-1"),
                                  std::string("a:1x"),        std::string("a|1"),
                                  std::string("a|b|1"),       std::string("a|10.0.0.256|1"),
                                  std::string("|10.0.0.1|1"), std::string("a|b|c|1"),
                                  std::string("::1:1"),       std::string("[a]:1"),
                                  std::string("[::1]"),       std::string("a/b:1"),
                                  std::string("a\0b:1", 5),   std::string("a|\0|1", 5),
                                  std::string("a\xc3\xa4:1"), long_host + ":1",
                                  long_host + "||1"}) {
    CAPTURE(node);
    CHECK_THAT(Refusal(node), Catch::StartsWith("line 1: \"") && Catch::Contains("is no host"));
  }
}

TEST_CASE("a cluster value has a version and a line of nodes", "[cluster_nodes]") {
  for (const char* text : {"12\na|10.0.0.1|1 b||2\n", "12\na|10.0.0.1|1 b||2"}) {
    const auto list = ParseClusterValue(text, kNodesMax);
    REQUIRE(list);
    CHECK(FormatClusterValue(list->version, FormatNodes(list->nodes)) == "12\na|10.0.0.1|1 b||2\n");
  }
}

TEST_CASE("a bad cluster value is refused", "[cluster_nodes]") {
  for (const char* text : {"", "\n", "a:1\n", "x\na:1\n", "0\na:1\n", "1", "1\n", "1\n\n",
                           "1\na:1\nb:2\n", "1\na:1 a:1\n", "1\na\n", " 1\na:1\n"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseClusterValue(text, kNodesMax));
  }
  CHECK(ParseClusterValue("1\n\n", kNodesMax, EmptyList::kAllowed));
  CHECK_FALSE(ParseClusterValue("1\na:1 b:1\n", 1));
}

// What a parser accepts must come back the same from what it was written as.
void CheckStable(const ClusterList& list) {
  CHECK(list.nodes.size() <= kNodesMax);
  CHECK(list.version <= kClusterVersionMax);
  const std::string nodes = FormatNodes(list.nodes);
  CHECK(nodes.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                ".-_:| ") == std::string::npos);
  const auto from_file = ParseClusterFile(nodes, kNodesMax);
  REQUIRE(from_file);
  CHECK(from_file->nodes == list.nodes);
  const auto from_value = ParseClusterValue(FormatClusterValue(7, nodes), kNodesMax);
  REQUIRE(from_value);
  CHECK(from_value->nodes == list.nodes);
}

TEST_CASE("whatever is in a cluster file, what is taken of it is sound",
          "[cluster_nodes][property]") {
  const auto seed = GENERATE(take(20, random(0U, 1'000'000U)));
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const std::vector<std::string> pieces = {"a",        "b.c",        ":",
                                           "|",        "||",         "1",
                                           "11211",    " ",          "\n",
                                           "\r\n",     "#",          "10.0.0.1",
                                           "::1",      "[",          "]",
                                           "0",        "65536",      "\t",
                                           "_",        "version ",   "42",
                                           "a:1",      "b:2",        "[",
                                           "a||3 b:4", "|10.1.2.3|", std::string(1, '\0'),
                                           "\xff"};
  int taken = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::size_t left = below(7); left > 0; --left) text += pieces[below(pieces.size())];
    if (below(4) == 0 && !text.empty()) text[below(text.size())] = static_cast<char>(below(256));
    const auto list = ParseClusterFile(text, kNodesMax);
    (void)ParseClusterValue(text, kNodesMax);
    if (!list) continue;
    ++taken;
    CAPTURE(text);
    CheckStable(*list);
  }
  CHECK(taken > 20);  // Else the texts say little.
}

}  // namespace
}  // namespace larder::server
