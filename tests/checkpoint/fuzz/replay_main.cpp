// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Stands in for libFuzzer: runs a target on the files of a corpus, and on COUNT changes of each, the same
// every time.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

namespace {

void run(std::string const& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<std::uint8_t const*>(input.data()), input.size());
}

std::string changed(std::string input, std::mt19937_64& random) {
  for (std::size_t change = 0; change <= random() % 4 && !input.empty(); ++change) {
    auto const place = random() % input.size();
    switch (random() % 4) {
      case 0: input[place] = static_cast<char>(input[place] ^ (1 << random() % 8)); break;
      case 1: input[place] = static_cast<char>(random()); break;
      case 2: input.erase(place, 1 + random() % 16); break;
      default: input.insert(place, input.substr(random() % input.size(), random() % 64)); break;
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s CORPUS COUNT\n", argv[0]);
    return 64;
  }
  std::mt19937_64 random(1);
  int inputs = 0;
  for (auto const& entry : std::filesystem::directory_iterator(argv[1])) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::string const input(std::istreambuf_iterator<char>(file), {});
    run(input);
    for (int k = 0; k < std::atoi(argv[2]); ++k) run(changed(input, random));
    ++inputs;
  }
  std::printf("%d inputs and %s changes of each\n", inputs, argv[2]);
  return inputs > 0 ? 0 : 1;
}
