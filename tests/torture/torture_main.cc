// larder_torture: many clients and an operator who mistreat a server, and check every answer.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cxxopts.hpp>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "tests/torture/disturber.h"
#include "tests/torture/tormentor.h"

namespace larder::torture {
namespace {

constexpr std::uint64_t kPatternSeed = 1;

struct Options {
  bench::Address address;
  std::uint32_t clients = 0;
  std::chrono::seconds time{0};
  std::uint64_t seed = 0;
  Disturber::Limits limits;
};

int Run(const Options& options) {
  const bench::ValuePattern values(kPatternSeed, kValueBytesMax);
  Flushes flushes;
  const Tormentor::Shared shared{
      .address = options.address, .values = values, .flushes = flushes, .clients = options.clients};
  std::deque<Tormentor> tormentors;
  for (std::uint32_t i = 0; i < options.clients; ++i) {
    tormentors.emplace_back(shared, i, options.seed * options.clients + i);
  }
  Disturber disturber(options.address, flushes, options.limits, options.seed);

  const auto deadline = std::chrono::steady_clock::now() + options.time;
  std::vector<std::thread> threads;
  for (Tormentor& tormentor : tormentors) {
    threads.emplace_back([&tormentor, deadline] { tormentor.Run(deadline); });
  }
  threads.emplace_back([&disturber, deadline] { disturber.Run(deadline); });
  for (std::thread& thread : threads) thread.join();

  Tally sum;
  for (const Tormentor& tormentor : tormentors) {
    const Tally& tally = tormentor.tally();
    sum.requests += tally.requests;
    sum.hits += tally.hits;
    sum.misses += tally.misses;
    sum.stores += tally.stores;
    sum.too_large += tally.too_large;
    sum.no_memory += tally.no_memory;
    sum.vanished += tally.vanished;
    sum.faults += tally.faults;
    if (!tally.first_fault.empty()) fmt::print("FAULT {}\n", tally.first_fault);
  }
  if (!disturber.fault().empty()) {
    ++sum.faults;
    fmt::print("FAULT {}\n", disturber.fault());
  }
  fmt::print(
      "{} requests, {} hits, {} misses, {} stores, {} too large, {} without memory, {} vanished; "
      "{} commands of the operator, {} flushes, {} lines dumped; {} faults\n",
      sum.requests, sum.hits, sum.misses, sum.stores, sum.too_large, sum.no_memory, sum.vanished,
      disturber.commands(), flushes.done.load(), disturber.dumped_lines(), sum.faults);
  const bool did_something = sum.hits != 0 && sum.stores != 0 && disturber.commands() != 0;
  return sum.faults == 0 && did_something ? 0 : 1;
}

int Main(int argc, char** argv) {
  cxxopts::Options description("larder_torture",
                               "Mistreats a server of this machine, and checks every answer.\n");
  // clang-format off
  description.add_options()
      ("port", "Of the server, on 127.0.0.1", cxxopts::value<int>())
      ("clients", "Connections", cxxopts::value<std::uint32_t>()->default_value("32"))
      ("seconds", "How long", cxxopts::value<int>()->default_value("10"))
      ("seed", "The same requests again, in another order",
       cxxopts::value<std::uint64_t>()->default_value("1"))
      ("memory-min", "The least that cache_memlimit is set to, in MB",
       cxxopts::value<std::uint32_t>()->default_value("16"))
      ("memory-max", "The most", cxxopts::value<std::uint32_t>()->default_value("32"))
      ("h,help", "Show this");
  // clang-format on
  try {
    const cxxopts::ParseResult parsed = description.parse(argc, argv);
    if (parsed.count("help") != 0) {
      fmt::print("{}", description.help());
      return 0;
    }
    auto address = bench::LoopbackAddress("127.0.0.1", parsed["port"].as<int>());
    if (!address) {
      fmt::print(stderr, "larder_torture: {}\n", address.error());
      return 2;
    }
    return Run({.address = *address,
                .clients = std::max(1U, parsed["clients"].as<std::uint32_t>()),
                .time = std::chrono::seconds(parsed["seconds"].as<int>()),
                .seed = parsed["seed"].as<std::uint64_t>(),
                .limits = {.megabytes_min = parsed["memory-min"].as<std::uint32_t>(),
                           .megabytes_max = parsed["memory-max"].as<std::uint32_t>()}});
  } catch (const cxxopts::exceptions::exception& error) {
    fmt::print(stderr, "larder_torture: {} (try --help)\n", error.what());
    return 2;
  } catch (const Fault& fault) {
    fmt::print("FAULT {}\n", fault.what);
    return 1;
  }
}

}  // namespace
}  // namespace larder::torture

int main(int argc, char** argv) { return larder::torture::Main(argc, argv); }
