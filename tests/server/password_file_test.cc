#include "server/password_file.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/temporary_folder.h"

namespace larder::server {
namespace {

Passwords ParsePasswords(std::string_view text) {
  auto passwords = Passwords::Parse(text, Passwords::BadLines::kRefused);
  if (!passwords) FAIL("this was refused: " << text);
  return *passwords;
}

bool IsRefused(std::string_view text) {
  return !Passwords::Parse(text, Passwords::BadLines::kRefused);
}

TEST_CASE("a user comes in with its own password only", "[password_file]") {
  const Passwords passwords = ParsePasswords("alice:secret\nbob:hidden\n");
  CHECK(passwords.Admit("alice", "secret"));
  CHECK(passwords.Admit("bob", "hidden"));
  CHECK_FALSE(passwords.Admit("alice", "hidden"));
  CHECK_FALSE(passwords.Admit("bob", "secret"));
  CHECK_FALSE(passwords.Admit("carol", "secret"));
}

TEST_CASE("what is nearly right is wrong", "[password_file]") {
  const Passwords passwords = ParsePasswords("alice:secret");
  for (const auto& [user, password] :
       {std::pair{"alice", "secre"}, std::pair{"alice", "secret "}, std::pair{"alice", "Secret"},
        std::pair{"alic", "esecret"}, std::pair{"alices", "ecret"}, std::pair{"Alice", "secret"},
        std::pair{"alice", ""}, std::pair{"", "secret"}, std::pair{"", ""}}) {
    CAPTURE(user, password);
    CHECK_FALSE(passwords.Admit(user, password));
  }
  CHECK_FALSE(passwords.Admit({"alice\0", 6}, "secret"));
  CHECK_FALSE(passwords.Admit("alice", {"secret\0", 7}));
}

TEST_CASE("user and password part at the first colon", "[password_file]") {
  const Passwords passwords = ParsePasswords("alice:a:b c: \n");
  CHECK(passwords.Admit("alice", "a:b c: "));
  CHECK_FALSE(passwords.Admit("alice:a", "b c: "));
  CHECK_FALSE(passwords.Admit("alice", "a"));
}

TEST_CASE("user and password may be empty", "[password_file]") {
  CHECK(ParsePasswords("alice:\n").Admit("alice", ""));
  CHECK(ParsePasswords(":secret\n").Admit("", "secret"));
  CHECK(ParsePasswords(":\n").Admit("", ""));
  CHECK_FALSE(ParsePasswords(":\n").Admit("", "x"));
}

TEST_CASE("lines may end in CRLF, the last one in nothing", "[password_file]") {
  const Passwords passwords = ParsePasswords("alice:secret\r\nbob:hidden");
  CHECK(passwords.Admit("alice", "secret"));
  CHECK(passwords.Admit("bob", "hidden"));
}

TEST_CASE("a line without a colon makes all of it bad", "[password_file]") {
  for (const char* text : {"", "\n", "alice\n", "alice:secret\n\nbob:hidden\n",
                           "alice:secret\n# bob\n", "alice:secret\nbob"}) {
    CAPTURE(text);
    CHECK(IsRefused(text));
  }
}

TEST_CASE("bad lines are skipped where that was asked for", "[password_file]") {
  const auto passwords =
      Passwords::Parse("\n# users\nalice:secret\nbob\n" + std::string(256, ':') + "\ncarol:x",
                       Passwords::BadLines::kSkipped);
  REQUIRE(passwords);
  CHECK(passwords->Admit("alice", "secret"));
  CHECK(passwords->Admit("carol", "x"));
  CHECK_FALSE(passwords->Admit("bob", ""));
  const auto nobody = Passwords::Parse("", Passwords::BadLines::kSkipped);
  REQUIRE(nobody);
  CHECK_FALSE(nobody->Admit("", ""));
}

TEST_CASE("a line may have 255 bytes", "[password_file]") {
  const std::string user(100, 'u');
  const std::string password(154, 'p');
  CHECK(ParsePasswords(user + ":" + password).Admit(user, password));
  CHECK(IsRefused(user + ":" + password + "p"));
  CHECK(ParsePasswords(std::string(254, 'u') + ":").Admit(std::string(254, 'u'), ""));
  CHECK(ParsePasswords(":" + std::string(254, 'p')).Admit("", std::string(254, 'p')));
}

TEST_CASE("longer users and passwords than any line has are wrong", "[password_file]") {
  const Passwords passwords = ParsePasswords(":\nalice:secret\n");
  for (const std::size_t bytes : {255U, 256U, 257U, 511U, 512U, 70000U}) {
    CAPTURE(bytes);
    CHECK_FALSE(passwords.Admit(std::string(bytes, '\0'), ""));
    CHECK_FALSE(passwords.Admit("", std::string(bytes, '\0')));
    CHECK_FALSE(passwords.Admit(std::string(bytes, 'a'), std::string(bytes, 'a')));
  }
}

TEST_CASE("lines of every length stand side by side", "[password_file]") {
  std::string text;
  for (std::size_t length = 0; length < 254; ++length) {
    text += std::string(length, 'u') + ":" + std::string(254 - length, 'p') + "\n";
    text += std::string(length / 2, 'v') + ":" + std::string(length - length / 2, 'q') + "\n";
  }
  const Passwords passwords = ParsePasswords(text);
  for (std::size_t length = 0; length < 254; ++length) {
    CAPTURE(length);
    CHECK(passwords.Admit(std::string(length, 'u'), std::string(254 - length, 'p')));
    CHECK(passwords.Admit(std::string(length / 2, 'v'), std::string(length - length / 2, 'q')));
    CHECK_FALSE(passwords.Admit(std::string(length, 'u'), std::string(253 - length, 'p')));
    CHECK_FALSE(passwords.Admit(std::string(length + 1, 'v'), std::string(254 - length, 'p')));
  }
}

TEST_CASE("many short lines take little more than the file", "[password_file]") {
  std::string text;
  while (text.size() < 100'000) text += "u:p\n";
  CHECK(ParsePasswords(text).held_bytes() <= 4 * text.size());
}

TEST_CASE("an attempt compares few lines, however many there are", "[password_file]") {
  std::string text;
  for (int i = 0; i < 50'000; ++i) {
    text +=
        "user" + std::to_string(i) + ":password\nsame:line\nsame:user" + std::to_string(i) + "\n";
  }
  const Passwords passwords = ParsePasswords(text);
  CHECK(passwords.compared_max() >= 1);
  CHECK(passwords.compared_max() <= 8);
  CHECK(passwords.Admit("same", "line"));
  CHECK(passwords.Admit("same", "user49999"));
  CHECK_FALSE(passwords.Admit("same", "user50000"));
  CHECK_FALSE(passwords.Admit("user1", "line"));
}

TEST_CASE("a file may have a hundred lines", "[password_file]") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "u" + std::to_string(i) + ":p" + std::to_string(i) + "\n";
  const Passwords passwords = ParsePasswords(text);
  for (int i = 0; i < 100; ++i) {
    CHECK(passwords.Admit("u" + std::to_string(i), "p" + std::to_string(i)));
    CHECK_FALSE(passwords.Admit("u" + std::to_string(i), "p" + std::to_string(i + 1)));
  }
}

TEST_CASE("a file that cannot be read is named with the reason", "[password_file]") {
  const auto loaded = PasswordFile::Load("/no/such/file");
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error() ==
        "Could not open authfile [/no/such/file] for reading, error No such file or directory: "
        "No such file or directory");
  CHECK_FALSE(PasswordFile::Load("/"));
}

TEST_CASE("a file with a bad line is named", "[password_file]") {
  const TemporaryFolder folder;
  const std::string path = folder / "users";
  WriteFile(path, "alice\n");
  const auto loaded = PasswordFile::Load(path);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error() ==
        "Authfile [" + path + "] has a malformed entry. Should be 'user:password'");
}

TEST_CASE("a reloaded file counts as a whole", "[password_file]") {
  const TemporaryFolder folder;
  const std::string path = folder / "users";
  WriteFile(path, "alice:secret\nbob:hidden\n");
  const auto file = PasswordFile::Load(path);
  REQUIRE(file);
  WriteFile(path, "alice:changed\n");
  CHECK((*file)->Admit("alice", "secret"));
  CHECK((*file)->Reload());
  CHECK((*file)->Admit("alice", "changed"));
  CHECK_FALSE((*file)->Admit("alice", "secret"));
  CHECK_FALSE((*file)->Admit("bob", "hidden"));
}

TEST_CASE("a file that has become bad changes nothing", "[password_file]") {
  const TemporaryFolder folder;
  const std::string path = folder / "users";
  WriteFile(path, "alice:secret\n");
  const auto file = PasswordFile::Load(path);
  REQUIRE(file);
  WriteFile(path, "bob:hidden\n\n");
  CHECK_FALSE((*file)->Reload());
  std::filesystem::remove(path);
  CHECK_FALSE((*file)->Reload());
  CHECK((*file)->Admit("alice", "secret"));
  CHECK_FALSE((*file)->Admit("bob", "hidden"));
}

TEST_CASE("a file may be read again while users come in", "[password_file][concurrency]") {
  constexpr int kReloads = 200;
  const TemporaryFolder folder;
  const std::string path = folder / "users";
  WriteFile(path, "alice:secret\nbob:hidden\n");
  const auto file = PasswordFile::Load(path);
  REQUIRE(file);
  std::atomic<bool> is_done{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (const char* user : {"alice", "carol"}) {
    threads.emplace_back([&, user] {
      const bool is_known = user == std::string_view("alice");
      while (!is_done) wrong += (*file)->Admit(user, "secret") != is_known;
    });
  }
  int reloaded = 0;
  for (int i = 0; i < kReloads; ++i) reloaded += static_cast<bool>((*file)->Reload());
  is_done = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(reloaded == kReloads);
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace larder::server
