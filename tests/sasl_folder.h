// SASL for tests.
#pragma once

#include <sasl/sasl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/temporary_folder.h"

namespace larder {

// What `user` sends as the only message of PLAIN.
inline std::string PlainMessage(std::string_view user, std::string_view password,
                                std::string_view acts_for = "") {
  return std::string(acts_for) + '\0' + std::string(user) + '\0' + std::string(password);
}

// SaslFolder is where libsasl2 finds its configuration until the test ends.
//
// Threads: the test's own, while there is no other.
// Owns:    the folder, and the environment variables.
class SaslFolder {
 public:
  // `mechanisms` as mech_list takes them; empty: all. Users are those of a sasldb in the folder.
  explicit SaslFolder(std::string_view mechanisms = "PLAIN") {
    std::string text = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nlog_level: 7\n";
    text += "sasldb_path: " + folder_ / "sasldb2" + "\n";
    if (!mechanisms.empty()) text += "mech_list: " + std::string(mechanisms) + "\n";
    WriteFile(folder_ / "memcached.conf", text);
    setenv("SASL_CONF_PATH", folder_.path().c_str(), 1);
  }
  ~SaslFolder() {
    unsetenv("SASL_CONF_PATH");
    unsetenv("MEMCACHED_SASL_PWDB");
  }
  SaslFolder(const SaslFolder&) = delete;
  SaslFolder& operator=(const SaslFolder&) = delete;

  // Into the sasldb. REQUIRES: a Sasl exists.
  static void AddUser(const char* user, std::string_view password) {
    sasl_conn_t* connection = nullptr;
    char host[256] = {};
    REQUIRE(gethostname(host, sizeof host - 1) == 0);
    REQUIRE(sasl_server_new("memcached", nullptr, host, nullptr, nullptr, nullptr, 0,
                            &connection) == SASL_OK);
    const int result =
        sasl_setpass(connection, user, password.data(), static_cast<unsigned>(password.size()),
                     nullptr, 0, SASL_SET_CREATE);
    sasl_dispose(&connection);
    REQUIRE(result == SASL_OK);
  }

  // Names it in the environment, so it counts for servers that start from now on.
  void WritePasswordFile(std::string_view text) {
    WriteFile(password_file(), text);
    setenv("MEMCACHED_SASL_PWDB", password_file().c_str(), 1);
  }
  std::string password_file() const { return folder_ / "passwords"; }
  // A file that has nothing to do with SASL.
  std::string operator/(const char* name) const { return folder_ / name; }

 private:
  TemporaryFolder folder_;
};

}  // namespace larder
