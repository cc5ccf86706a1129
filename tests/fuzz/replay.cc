// Runs a fuzz target, which it is linked with, on files, without a fuzzer: replay FILE_OR_FOLDER...
// So the seed corpus is a test under every compiler. An input that fails ends it.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "tests/fuzz/stream.h"

namespace {

void Replay(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  // Named before it runs: what aborts is the last one.
  std::printf("%s\n", path.c_str());
  std::fflush(stdout);
  // Of exactly its size, so that the address sanitizer sees who reads further.
  const auto data = std::make_unique<std::uint8_t[]>(text.size());
  std::copy(text.begin(), text.end(), data.get());
  LLVMFuzzerTestOneInput(data.get(), text.size());
}

}  // namespace

int main(int argc, char** argv) {
  int count = 0;
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) {
      Replay(argv[i]);
      ++count;
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      Replay(entry.path());
      ++count;
    }
  }
  std::printf("%d inputs passed\n", count);
  return count > 0 ? 0 : 1;
}
