// ParseConfig as a test calls it.
#pragma once

#include <catch2/catch.hpp>
#include <initializer_list>
#include <vector>

#include "server/config/command_line.h"
#include "server/config/config.h"

namespace larder::server {

// What the program would make of these words after its name.
inline Result<Config, ConfigExit> Parse(std::initializer_list<const char*> words) {
  std::vector<const char*> argv{"larder"};
  argv.insert(argv.end(), words);
  return ParseConfig(static_cast<int>(argv.size()), argv.data());
}

// The Config of words that must be good.
inline Config ParseGood(std::initializer_list<const char*> words) {
  auto config = Parse(words);
  if (!config) FAIL(config.error().message);
  return *config;
}

// The way out of words that must not start a server.
inline ConfigExit ParseBad(std::initializer_list<const char*> words) {
  const auto config = Parse(words);
  if (config) FAIL("these options were taken");
  return config.error();
}

}  // namespace larder::server
