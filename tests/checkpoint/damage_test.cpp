// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// No damage of a checkpoint's files goes unnoticed. TESSERA_SOAK=1 in the environment asks for the full
// counts.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <random>

#include "sample.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/verify.hpp"

namespace tessera::checkpoint {

namespace {

using test::read_bytes;
using test::sample_tensors;
using test::TemporaryFolder;
using test::write_bytes;
using test::write_sample;

int rounds(int usually, int soak) { return std::getenv("TESSERA_SOAK") == nullptr ? usually : soak; }

std::string problems_of(std::string const& directory) {
  std::string text;
  for (auto const& problem : verify_checkpoint(directory)) text += to_string(problem) + "\n";
  return text;
}

}  // namespace

TEST(Damage, EveryFlippedBitIsNoticedAndItsFileNamed) {
  TemporaryFolder const folder;
  write_sample(folder.path("c"), sample_tensors(), 3, 4, 1);
  auto const names = list_directory(folder.path("c"));
  ASSERT_EQ(names.size(), 5U);
  std::mt19937_64 random(1);
  for (int round = 0; round < rounds(600, 10'000); ++round) {
    auto const& name = names[random() % names.size()];
    auto const path = folder.path("c/" + name);
    auto const whole_file = read_bytes(path);
    auto damaged = whole_file;
    // The files hold long holes; half of the flips go to the bytes that are something.
    auto place = random() % damaged.size();
    for (int tries = 0; round % 2 == 0 && damaged[place] == 0 && tries < 1000; ++tries) {
      place = random() % damaged.size();
    }
    damaged[place] = static_cast<char>(damaged[place] ^ (1 << random() % 8));
    write_bytes(path, damaged);
    auto const problems = problems_of(folder.path("c"));
    EXPECT_EQ(problems.find(name + ": "), 0U) << name << " byte " << place << ": " << problems;
    write_bytes(path, whole_file);
  }
  EXPECT_EQ(problems_of(folder.path("c")), "");
}

TEST(Damage, EveryCutOrExtensionIsNoticed) {
  TemporaryFolder const folder;
  write_sample(folder.path("c"), sample_tensors(), 2, 4, 1);
  auto const names = list_directory(folder.path("c"));
  std::mt19937_64 random(2);
  for (int round = 0; round < rounds(100, 1000); ++round) {
    auto const& name = names[random() % names.size()];
    auto const path = folder.path("c/" + name);
    auto const whole_file = read_bytes(path);
    write_bytes(path, whole_file.substr(0, random() % whole_file.size()));
    EXPECT_EQ(problems_of(folder.path("c")).find(name + ": "), 0U) << name;
    write_bytes(path, whole_file + std::string(1 + random() % 10, '\0'));
    EXPECT_EQ(problems_of(folder.path("c")).find(name + ": "), 0U) << name;
    write_bytes(path, whole_file);
  }
  EXPECT_EQ(problems_of(folder.path("c")), "");
}

TEST(Damage, MissingFilesAreNamed) {
  TemporaryFolder const folder;
  write_sample(folder.path("c"), sample_tensors(), 2, 4, 1);
  for (auto const& name : list_directory(folder.path("c"))) {
    std::filesystem::rename(folder.path("c/" + name), folder.path("kept"));
    auto const problems = problems_of(folder.path("c"));
    EXPECT_EQ(problems.find(name + ": "), 0U) << problems;
    EXPECT_NE(problems.find("No such file or directory"), std::string::npos) << problems;
    std::filesystem::rename(folder.path("kept"), folder.path("c/" + name));
  }
}

TEST(Damage, FilesSwappedBetweenRanksAreNoticed) {
  TemporaryFolder const folder;
  write_sample(folder.path("c"), sample_tensors(), 2, 4, 1);
  std::filesystem::rename(folder.path("c/rank_00000.h5"), folder.path("kept"));
  std::filesystem::rename(folder.path("c/rank_00001.h5"), folder.path("c/rank_00000.h5"));
  std::filesystem::rename(folder.path("kept"), folder.path("c/rank_00001.h5"));
  auto const problems = problems_of(folder.path("c"));
  EXPECT_NE(problems.find("rank_00000.h5: "), std::string::npos) << problems;
  EXPECT_NE(problems.find("rank_00001.h5: "), std::string::npos) << problems;
}

TEST(Damage, FilesOfAnotherStepAreNoticedEvenWhenTheTensorsAreEqual) {
  TemporaryFolder const folder;
  write_sample(folder.path("step_00000100"), sample_tensors(), 2, 4, 1, 100);
  write_sample(folder.path("step_00000200"), sample_tensors(), 2, 4, 1, 200);
  auto const swap = [&](std::string const& name) {
    std::filesystem::rename(folder.path("step_00000100/" + name), folder.path("kept"));
    std::filesystem::rename(folder.path("step_00000200/" + name), folder.path("step_00000100/" + name));
    std::filesystem::rename(folder.path("kept"), folder.path("step_00000200/" + name));
  };
  for (auto const& name : list_directory(folder.path("step_00000100"))) {
    swap(name);
    EXPECT_NE(problems_of(folder.path("step_00000100")), "") << name;
    EXPECT_NE(problems_of(folder.path("step_00000200")), "") << name;
    swap(name);
  }
  EXPECT_EQ(problems_of(folder.path("step_00000100")) + problems_of(folder.path("step_00000200")), "");
  std::filesystem::rename(folder.path("step_00000100"), folder.path("step_00000300"));
  EXPECT_EQ(problems_of(folder.path("step_00000300/")), problems_of(folder.path("step_00000300")));
  EXPECT_NE(problems_of(folder.path("step_00000300")).find("this is step 100"), std::string::npos);
}

}  // namespace tessera::checkpoint
