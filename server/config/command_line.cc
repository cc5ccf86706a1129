#include "server/config/command_line.h"

// cxxopts has a tokenizer without <regex>: with <regex> this file takes 190 KB of code, without it
// 80.
#define CXXOPTS_NO_REGEX
#include <fmt/format.h>

#include <algorithm>
#include <cxxopts.hpp>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "server/config/extended_list.h"
#include "server/config/listen_address.h"
#include "server/config/option_readers.h"
#include "server/config/options.h"
#include "server/config/prefix_share.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// The lower limit of -I, in bytes.
constexpr std::uint64_t kItemBytesFloor = 1024;
static_assert(kItemBytesFloor < kItemBytesCeiling);

// Completes an abbreviated long option ("--thr=2"), because cxxopts does not know abbreviations.
// Names that match no option, or several, are returned unchanged: cxxopts refuses them.
std::string SpellOut(std::string_view argument) {
  if (!argument.starts_with("--")) return std::string(argument);
  // The name ends at the '=' before a value.
  const std::size_t end = std::min(argument.find('='), argument.size());
  const std::string_view name = argument.substr(2, end - 2);
  const Option* found = nullptr;
  for (const Option& option : Options()) {
    if (name.empty() || !option.name.starts_with(name)) continue;
    // A name that is complete is never an abbreviation of a longer one.
    if (option.name == name) return std::string(argument);
    // Ambiguous.
    if (found != nullptr) return std::string(argument);
    found = &option;
  }
  if (found == nullptr) return std::string(argument);
  return fmt::format("--{}{}", found->name, argument.substr(end));
}

// Returns the key under which cxxopts reports an option: its long name if it has one.
std::string KeyOf(const Option& option) {
  return option.name.empty() ? std::string(1, option.letter) : std::string(option.name);
}

// Splits the command line into options and values, in their order. Throws the exceptions of cxxopts
// if an option is unknown or lacks its value.
std::vector<cxxopts::KeyValue> Tokenize(int argc, const char* const* argv) {
  cxxopts::Options options("larder");
  for (const Option& option : Options()) {
    // Every value is a text for cxxopts: the rows of the table parse them.
    auto value = cxxopts::value<std::string>();
    // cxxopts treats an option with an implicit value as a switch.
    if (option.value_name.empty()) value->implicit_value("");
    // cxxopts wants both names as one text: "p,port".
    std::string names(option.name);
    if (option.letter != 0) {
      names = names.empty() ? std::string(1, option.letter)
                            : fmt::format("{},{}", option.letter, option.name);
    }
    options.add_option("", cxxopts::Option(names, "", std::move(value)));
  }

  std::vector<std::string> words;
  std::vector<const char*> pointers;
  // Reserved in advance, so that the pointers into `words` stay valid.
  words.reserve(static_cast<std::size_t>(argc));
  for (int i = 0; i < argc; ++i) pointers.push_back(words.emplace_back(SpellOut(argv[i])).c_str());
  return options.parse(argc, pointers.data()).arguments();
}

// Applies one option that was given to `config`.
StepResult ApplyOption(const cxxopts::KeyValue& given, Config& config) {
  // cxxopts only reports options that Tokenize() has given it, so there is always a row.
  const auto option = std::ranges::find(Options(), given.key(), KeyOf);
  LARDER_ASSERT(option != Options().end());
  std::string_view value = given.value();
  // cxxopts accepts --name=value for a switch; getopt_long does not.
  // getopt_long's message for this mistake.
  if (option->value_name.empty() && !value.empty()) {
    return ConfigExit::BadValue(
        fmt::format("larder: option '--{}' doesn't allow an argument\n"
                    "Illegal argument \"?\"",
                    option->name));
  }
  // The value begins with spaces if the option and its value are one argument, as in "-m 64".
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  return option->apply(config, value);
}

// Checks the limits of -I, which depend on -m and -n.
StepResult CheckItemBytesMax(const Config& config) {
  if (config.item_bytes_max < kItemBytesFloor) {
    return ConfigExit::Refused("Item max size cannot be less than 1024 bytes.");
  }
  // memcached's limits, with its messages.
  if (config.item_bytes_max > config.memory_bytes / 2) {
    return ConfigExit::Refused("Cannot set item size limit higher than 1/2 of memory max.");
  }
  if (config.item_bytes_max > kItemBytesCeiling) {
    return ConfigExit::Refused("Cannot set item size limit higher than a gigabyte.");
  }
  if (config.chunk_bytes_min > config.item_bytes_max) {
    return ConfigExit::Refused(
        fmt::format("-n (smallest chunk: {}) cannot be larger than -I (largest item: {})",
                    config.chunk_bytes_min, config.item_bytes_max));
  }
  return Done{};
}

// Determines which protocol is served when authentication is on. A protocol whose clients could not
// authenticate is not served: SASL (-S) belongs to the binary protocol, the password file (-Y) to
// the text protocol.
StepResult ChooseProtocol(Config& config) {
  const bool has_file = !config.auth_file.empty();
  // Without authentication every protocol may be served.
  if (!config.sasl && !has_file) return Done{};
  // The protocol whose clients can authenticate; both, if both kinds of authentication are on.
  const BindingProtocol safe = !has_file      ? BindingProtocol::kBinary
                               : !config.sasl ? BindingProtocol::kAscii
                                              : BindingProtocol::kNegotiate;
  // A protocol that was requested and cannot be served safely is an error; without -B the safe one
  // is used.
  if (config.protocol_given && config.protocol != safe) {
    return ConfigExit::Refused(
        config.sasl && config.protocol != BindingProtocol::kBinary
            ? "ERROR: You cannot allow the ASCII protocol while using SASL."
            : "ERROR: You cannot allow the BINARY protocol while using ascii authentication "
              "tokens.");
  }
  config.protocol = safe;
  return Done{};
}

// Whether any listener has a TCP port.
bool HasTcpPort(const Config& config) {
  return config.port != 0 || std::ranges::any_of(config.listen, [](const ListenAddress& address) {
           return address.port >= 0;
         });
}

// Checks what -Z needs, and warns of what it allows.
StepResult CheckTls(Config& config) {
  if (!config.tls) return Done{};
  if (!HasTcpPort(config)) {
    return ConfigExit::Refused("ERROR: You cannot enable SSL without a TCP port.");
  }
  // Without it no certificate would be accepted.
  if (config.tls_ca_file.empty() && config.tls_verify_mode != 0) {
    return ConfigExit::Refused("ssl_verify_mode needs ssl_ca_cert");
  }
  const auto requires_certificates = [](const ListenAddress& address) {
    return address.tls == ListenTls::kCertificates;
  };
  if (config.tls_ca_file.empty() && std::ranges::any_of(config.listen, requires_certificates)) {
    return ConfigExit::Refused("mtls: needs ssl_ca_cert");
  }
  if (config.tls_min_version < 2) {
    config.warnings.push_back(
        fmt::format("warning: ssl_min_version={} allows TLS 1.{}, which is broken",
                    config.tls_min_version, config.tls_min_version));
  }
  return Done{};
}

}  // namespace

Result<Config, ConfigExit> ParseConfig(int argc, const char* const* argv) {
  LARDER_ASSERT(argc > 0);
  // cxxopts reports unknown options and missing values by exceptions.
  try {
    Config config;
    // First every option by itself, from left to right; then what depends on several options.
    for (const cxxopts::KeyValue& given : Tokenize(argc, argv)) {
      if (auto applied = ApplyOption(given, config); !applied) return Failure{applied.error()};
    }
    if (auto checked = CheckItemBytesMax(config); !checked) return Failure{checked.error()};
    if (auto checked = CheckExtendedOptions(config); !checked) return Failure{checked.error()};
    if (auto checked = CheckPrefixShares(config); !checked) return Failure{checked.error()};
    if (auto chosen = ChooseProtocol(config); !chosen) return Failure{chosen.error()};
    if (!config.cluster_file.empty() && !config.cluster_dns_host.empty()) {
      return ConfigExit::Refused("--cluster-file and --cluster-dns: only one can name the nodes");
    }
    // Every part of the list was checked by AddListen(), so this cannot fail.
    if (!config.listen_text.empty()) config.listen = *ParseListenList(config.listen_text);
    if (auto checked = CheckTls(config); !checked) return Failure{checked.error()};
    LARDER_ASSERT(config.threads > 0 && config.threads <= kThreadsMax);
    LARDER_ASSERT(config.connections_max > 0 && config.requests_per_turn_max > 0);
    LARDER_ASSERT(config.upload_memory_percent >= 1 && config.upload_memory_percent <= 50);
    return config;
  } catch (const std::exception& error) {
    return ConfigExit::BadValue(fmt::format("larder: {}\nIllegal argument \"?\"", error.what()));
  }
}

}  // namespace larder::server
