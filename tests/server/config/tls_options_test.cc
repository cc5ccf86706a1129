#include <filesystem>

#include "server/config/setting.h"
#include "server/config/settings.h"
#include "tests/server/config/command_line.h"

namespace larder::server {
namespace {

std::string SettingOf(const Config& config, std::string_view name) {
  for (const Setting& row : SettingsMetrics()) {
    if (row.name == name) return row.get(SettingsSample(config, {}));
  }
  FAIL("there is no setting " << name);
  return "";
}

TEST_CASE("-Z switches TLS on, and names of ssl_ say how", "[tls][config]") {
  const Config config = ParseGood(
      {"-Z", "-o", "ssl_chain_cert=/c,ssl_key=/k,ssl_keyformat=2,ssl_verify_mode=3,ssl_ca_cert=/a",
       "-o", "ssl_ciphers=A:B,ssl_ciphersuites=C,ssl_wbuf_size=64,ssl_session_cache,ssl_kernel_tls",
       "-o", "ssl_min_version=3,ssl_handshake_timeout=5,ssl_reload_interval=0"});
  CHECK(SettingOf(config, "ssl_enabled") == "yes");
  CHECK(SettingOf(config, "ssl_chain_cert") == "/c");
  CHECK(SettingOf(config, "ssl_key") == "/k");
  CHECK(SettingOf(config, "ssl_keyformat") == "2");
  CHECK(SettingOf(config, "ssl_verify_mode") == "7");
  CHECK(SettingOf(config, "ssl_ca_cert") == "/a");
  CHECK(SettingOf(config, "ssl_ciphers") == "A:B");
  CHECK(SettingOf(config, "ssl_ciphersuites") == "C");
  CHECK(SettingOf(config, "ssl_wbuf_size") == "65536");
  CHECK(SettingOf(config, "ssl_session_cache") == "yes");
  CHECK(SettingOf(config, "ssl_kernel_tls") == "yes");
  CHECK(SettingOf(config, "ssl_min_version") == "tlsv1.3");
  CHECK(config.tls_handshake_timeout_s == 5);
  CHECK(config.tls_reload_interval_s == 0);
}

TEST_CASE("without -Z the names of ssl_ are taken and unused", "[tls][config]") {
  const Config config = ParseGood({"-o", "ssl_chain_cert=/c,ssl_verify_mode=2"});
  CHECK(SettingOf(config, "ssl_enabled") == "no");
  CHECK(SettingOf(config, "ssl_verify_mode") == "3");
  CHECK(SettingOf(config, "ssl_key") == "/c");
}

TEST_CASE("the settings of TLS as they are without options", "[tls][config]") {
  const Config config = ParseGood({});
  CHECK(SettingOf(config, "ssl_chain_cert") == "(null)");
  CHECK(SettingOf(config, "ssl_key") == "(null)");
  CHECK(SettingOf(config, "ssl_ciphers") == "NULL");
  CHECK(SettingOf(config, "ssl_ca_cert") == "NULL");
  CHECK(SettingOf(config, "ssl_wbuf_size") == "16384");
  CHECK(SettingOf(config, "ssl_min_version") == "tlsv1.2");
}

TEST_CASE("the format of the key has a number or a name", "[tls][config]") {
  CHECK(ParseGood({"-o", "ssl_keyformat=DER"}).tls_key_format == 2);
  CHECK(ParseGood({"-o", "ssl_keyformat=pem"}).tls_key_format == 1);
  CHECK(ParseGood({"-o", "ssl_keyformat=1"}).tls_key_format == 1);
}

TEST_CASE("files are found after the folder was left", "[tls][config]") {
  const Config config = ParseGood({"-o", "ssl_chain_cert=c.pem"});
  CHECK(config.tls_chain_file == (std::filesystem::current_path() / "c.pem").string());
}

TEST_CASE("bad values of ssl_ end the start with memcached's texts", "[tls][config]") {
  struct Case {
    const char* item;
    const char* message;
  };
  for (const Case& bad : std::initializer_list<Case>{
           {"ssl_chain_cert", "Missing ssl_chain_cert argument"},
           {"ssl_key", "Missing ssl_key argument"},
           {"ssl_ca_cert", "Missing ssl_ca_cert argument"},
           {"ssl_ciphers", "Missing ssl_ciphers argument"},
           {"ssl_keyformat", "Missing ssl_keyformat argument"},
           {"ssl_keyformat=3", "could not parse argument to ssl_keyformat"},
           {"ssl_verify_mode", "Missing ssl_verify_mode argument"},
           {"ssl_verify_mode=2x", "could not parse argument to ssl_verify_mode"},
           {"ssl_verify_mode=4", "Invalid ssl_verify_mode. Use help to see valid options."},
           {"ssl_wbuf_size", "Missing ssl_wbuf_size argument"},
           {"ssl_wbuf_size=x", "could not parse argument to ssl_wbuf_size"},
           {"ssl_min_version", "Missing ssl_min_version argument"},
           {"ssl_min_version=2x", "could not parse argument to ssl_min_version"},
           {"ssl_min_version=4", "Invalid ssl_min_version. Use help to see valid options."},
       }) {
    const ConfigExit exit = ParseBad({"-o", bad.item});
    CHECK(exit.exit_code == 1);
    CHECK(exit.message == bad.message);
  }
}

TEST_CASE("-Z needs a TCP port, and a rule about certificates needs signers", "[tls][config]") {
  CHECK(ParseBad({"-Z", "-p", "0"}).message == "ERROR: You cannot enable SSL without a TCP port.");
  CHECK(ParseBad({"-Z", "-p", "0"}).exit_code == 64);
  CHECK(ParseGood({"-Z", "-p", "0", "-l", "a:1"}).tls);
  CHECK(ParseBad({"-Z", "-o", "ssl_verify_mode=1"}).message == "ssl_verify_mode needs ssl_ca_cert");
  CHECK(ParseBad({"-Z", "-o", "ssl_verify_mode=1"}).exit_code == 64);
  CHECK(ParseBad({"-Z", "-l", "mtls:a"}).message == "mtls: needs ssl_ca_cert");
}

TEST_CASE("old versions of TLS are warned of", "[tls][config]") {
  CHECK(ParseGood({"-Z", "-o", "ssl_min_version=1"}).warnings.size() == 1);
  CHECK(ParseGood({"-Z"}).warnings.empty());
}

}  // namespace
}  // namespace larder::server
