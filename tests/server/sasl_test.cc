#include "server/sasl.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/sasl_folder.h"

namespace larder::server {
namespace {

std::unique_ptr<Sasl> Create(Sasl::Options options = {}) {
  auto sasl = Sasl::Create(std::move(options));
  if (!sasl) FAIL(sasl.error());
  return std::move(*sasl);
}

SaslStatus StatusOf(const Sasl& sasl, std::string_view message,
                    const std::string& mechanism = "PLAIN") {
  const auto session = sasl.NewSession();
  REQUIRE(session != nullptr);
  return session->Start(mechanism, message).status;
}

bool Admits(const Sasl& sasl, std::string_view user, std::string_view password) {
  return StatusOf(sasl, PlainMessage(user, password)) == SaslStatus::kAdmitted;
}

std::string HostName() {
  std::array<char, 256> name{};
  REQUIRE(gethostname(name.data(), name.size() - 1) == 0);
  return name.data();
}

// --- libsasl2 -----------------------------------------------------------------------------------

TEST_CASE("libsasl2 admits whom its configuration names", "[sasl]") {
  const SaslFolder folder;
  const auto sasl = Create();
  SaslFolder::AddUser("alice", "secret");
  CHECK(Admits(*sasl, "alice", "secret"));
  CHECK(Admits(*sasl, "alice@" + HostName(), "secret"));
  CHECK_FALSE(Admits(*sasl, "alice", "wrong"));
  CHECK_FALSE(Admits(*sasl, "alice", ""));
  CHECK_FALSE(Admits(*sasl, "bob", "secret"));
  CHECK_FALSE(Admits(*sasl, "alice@elsewhere", "secret"));
}

TEST_CASE("libsasl2 offers the mechanisms of its configuration", "[sasl]") {
  const SaslFolder folder("PLAIN CRAM-MD5");
  const auto sasl = Create();
  const auto mechanisms = sasl->Mechanisms();
  REQUIRE(mechanisms);
  CHECK((*mechanisms == "PLAIN CRAM-MD5" || *mechanisms == "CRAM-MD5 PLAIN"));
  CHECK(StatusOf(*sasl, "x", "LOGIN") == SaslStatus::kFailed);
}

TEST_CASE("nobody comes in without a name, whatever the configuration offers", "[sasl]") {
  const SaslFolder folder("PLAIN ANONYMOUS");
  const auto sasl = Create();
  CHECK(sasl->Mechanisms() == "PLAIN");
  CHECK(StatusOf(*sasl, "guest", "ANONYMOUS") == SaslStatus::kFailed);
}

TEST_CASE("the name of a mechanism has no case", "[sasl]") {
  const SaslFolder folder;
  const auto sasl = Create();
  SaslFolder::AddUser("alice", "secret");
  CHECK(StatusOf(*sasl, PlainMessage("alice", "secret"), "plain") == SaslStatus::kAdmitted);
}

TEST_CASE("a mechanism may take several steps", "[sasl]") {
  const SaslFolder folder("PLAIN CRAM-MD5");
  const auto sasl = Create();
  SaslFolder::AddUser("alice", "secret");
  const auto plain = sasl->NewSession();
  const SaslReply first = plain->Start("PLAIN", "");
  CHECK(first.status == SaslStatus::kContinue);
  CHECK(first.data.empty());
  CHECK(plain->Step(PlainMessage("alice", "secret")).status == SaslStatus::kAdmitted);
  const auto challenged = sasl->NewSession();
  const SaslReply challenge = challenged->Start("CRAM-MD5", "");
  CHECK(challenge.status == SaslStatus::kContinue);
  CHECK(challenge.data.starts_with("<"));
  CHECK(challenged->Step("alice 00000000000000000000000000000000").status == SaslStatus::kFailed);
}

// --- The password file --------------------------------------------------------------------------

TEST_CASE("a password file needs no configuration", "[sasl]") {
  const TemporaryFolder folder;
  const std::string path = folder / "passwords";
  WriteFile(path, "alice:secret\nbob@" + HostName() + ":hidden\r\n");
  const auto sasl = Create({.password_file = path});
  CHECK(sasl->Mechanisms() == "PLAIN");
  CHECK(Admits(*sasl, "alice", "secret"));
  CHECK(Admits(*sasl, "bob", "hidden"));
  CHECK(Admits(*sasl, "bob@" + HostName(), "hidden"));
  CHECK_FALSE(Admits(*sasl, "alice", "hidden"));
  CHECK_FALSE(Admits(*sasl, "bob@elsewhere", "hidden"));
  CHECK_FALSE(Admits(*sasl, "carol", "secret"));
  CHECK_FALSE(Admits(*sasl, "", ""));
}

TEST_CASE("a password file counts as it was when it was looked at", "[sasl]") {
  const TemporaryFolder folder;
  const std::string path = folder / "passwords";
  const auto sasl = Create({.password_file = path});
  CHECK_FALSE(Admits(*sasl, "alice", "secret"));
  WriteFile(path, "alice:secret\n");
  CHECK_FALSE(Admits(*sasl, "alice", "secret"));  // An attempt reads no file.
  sasl->LookAtPasswords();
  CHECK(Admits(*sasl, "alice", "secret"));
  WriteFile(path, "# nobody\n\n");
  CHECK(Admits(*sasl, "alice", "secret"));
  sasl->LookAtPasswords();
  CHECK_FALSE(Admits(*sasl, "alice", "secret"));
  // Of one length, and perhaps within a tick of the file system's clock.
  for (const char* password : {"one", "two", "six"}) {
    WriteFile(path, std::string("alice:") + password + "\n");
    sasl->LookAtPasswords();
    CHECK(Admits(*sasl, "alice", password));
  }
  std::filesystem::remove(path);
  sasl->LookAtPasswords();
  CHECK_FALSE(Admits(*sasl, "alice", "six"));
  WriteFile(path, "alice:back\n");
  sasl->ReadPasswordsAgain();
  CHECK(Admits(*sasl, "alice", "back"));
  std::filesystem::resize_file(path, kPasswordFileBytesMax + 1);
  sasl->LookAtPasswords();
  CHECK_FALSE(Admits(*sasl, "alice", "back"));
}

TEST_CASE("whom the password file lacks, libsasl2 may know", "[sasl]") {
  SaslFolder folder;
  folder.WritePasswordFile("bob:hidden\n");
  const auto sasl = Create({.password_file = folder.password_file()});
  SaslFolder::AddUser("alice", "secret");
  CHECK(Admits(*sasl, "alice", "secret"));
  CHECK(Admits(*sasl, "bob", "hidden"));
  CHECK_FALSE(Admits(*sasl, "alice", "hidden"));
}

TEST_CASE("only a whole PLAIN message of the user's own is admitted", "[sasl]") {
  SaslFolder folder;
  folder.WritePasswordFile("alice:secret\nbob:hidden\n:empty\n");
  const auto sasl = Create({.password_file = folder.password_file()});
  const auto status = [&](std::string_view message) { return StatusOf(*sasl, message); };
  CHECK(status(PlainMessage("alice", "secret", "alice")) == SaslStatus::kAdmitted);
  CHECK(status(PlainMessage("alice", "secret", "bob")) == SaslStatus::kFailed);
  CHECK(status(PlainMessage("alice", std::string("secret\0", 7))) == SaslStatus::kFailed);
  CHECK(status(PlainMessage("alice", std::string("secret\0x", 8))) == SaslStatus::kFailed);
  CHECK(status(PlainMessage("", "empty")) == SaslStatus::kFailed);
  CHECK(status("alice secret") == SaslStatus::kFailed);
  CHECK(status({"alice\0secret", 12}) == SaslStatus::kFailed);
  CHECK(status({"\0", 1}) == SaslStatus::kFailed);
  CHECK(status({"\0\0", 2}) == SaslStatus::kFailed);
  CHECK(status({"\0\0\0\0\0\0", 6}) == SaslStatus::kFailed);
}

TEST_CASE("PLAIN may begin with nothing, once", "[sasl]") {
  SaslFolder folder;
  folder.WritePasswordFile("alice:secret\n");
  const auto sasl = Create({.password_file = folder.password_file()});
  const auto session = sasl->NewSession();
  CHECK(session->Start("PLAIN", "").status == SaslStatus::kContinue);
  CHECK(session->Step(PlainMessage("alice", "secret")).status == SaslStatus::kAdmitted);
  const auto silent = sasl->NewSession();
  CHECK(silent->Start("PLAIN", "").status == SaslStatus::kContinue);
  CHECK(silent->Step("").status == SaslStatus::kFailed);
}

TEST_CASE("no name is so long that libsasl2 loses it", "[sasl]") {  // Address sanitizer tells.
  const SaslFolder folder("PLAIN CRAM-MD5");
  const auto sasl = Create();
  for (const std::size_t bytes :
       {100U, 700U, 760U, 768U, 769U, 1000U, 1023U, 1024U, 1025U, 16000U}) {
    CAPTURE(bytes);
    const std::string name(bytes, 'u');
    CHECK_FALSE(Admits(*sasl, name, "secret"));
    CHECK(StatusOf(*sasl, PlainMessage("alice", "secret", name)) == SaslStatus::kFailed);
    CHECK(StatusOf(*sasl, name) == SaslStatus::kFailed);
    const auto stepping = sasl->NewSession();
    REQUIRE(stepping->Start("PLAIN", "").status == SaslStatus::kContinue);
    CHECK(stepping->Step(PlainMessage(name, "secret")).status == SaslStatus::kFailed);
    const auto challenged = sasl->NewSession();
    REQUIRE(challenged->Start("CRAM-MD5", "").status == SaslStatus::kContinue);
    CHECK(challenged->Step(name + " " + std::string(32, '0')).status == SaslStatus::kFailed);
  }
}

TEST_CASE("a password may be long", "[sasl]") {
  const SaslFolder folder;
  const auto sasl = Create();
  const std::string password(4000, 'p');
  SaslFolder::AddUser("alice", password);
  CHECK(Admits(*sasl, "alice", password));
  CHECK_FALSE(Admits(*sasl, "alice", password + "p"));
}

// --- Threads ------------------------------------------------------------------------------------

TEST_CASE("attempts on many threads do not mix", "[sasl][concurrency]") {
  constexpr int kThreads = 4;
  constexpr int kAttempts = 50;
  SaslFolder folder;
  folder.WritePasswordFile("bob:hidden\n");
  const auto sasl = Create({.password_file = folder.password_file()});
  SaslFolder::AddUser("alice", "secret");
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const bool is_right = i % 2 == 0;
      for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const bool is_alice = attempt % 2 == 0;
        const std::string message = PlainMessage(is_alice ? "alice" : "bob", !is_right  ? "wrong"
                                                                             : is_alice ? "secret"
                                                                                        : "hidden");
        const SaslStatus status = sasl->NewSession()->Start("PLAIN", message).status;
        if ((status == SaslStatus::kAdmitted) != is_right) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace larder::server
