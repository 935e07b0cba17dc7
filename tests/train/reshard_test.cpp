// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// With explicit tiles a run may be cut under one layout and go on under another: it is still the same run.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "resuming.hpp"
#include "support/parallel.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::train::test {
namespace {

constexpr std::int64_t steps = 3;

RunConfig tiled_run(TokenFile const& tokens) {
  auto config = cut_run(tokens);
  config.model.vocab_size = 61;
  config.batch = {16, 2, 32};
  return config;
}

/// Runs `body` on the first ranks of the world that `layout` needs.
template <class Body>
void on_ranks_of(LayoutCase const& layout, Body const& body) {
  auto const group = support::group_of(layout.shape.size());
  if (group && support::world().rank() < layout.shape.size()) body(*group);
  comm::barrier(support::world());
}

/// The uncut run of one rank, and the tensors of it when it is cut.
struct Truth {
  Steps whole;
  std::array<Image<float>, 3> tensors;  ///< weights and moments, on rank 0 of the world
};

Truth train_on_one_rank(RunConfig config, std::int64_t cut) {
  Truth truth;
  config.parallel.dp = 1;
  auto const alone = support::group_of(1);
  TrainingRun<float> run(alone->duplicate(), config);
  truth.whole = train_until(run, cut);
  std::array const kinds{Kind::value, Kind::first_moment, Kind::second_moment};
  if (support::world().rank() == 0) {
    for (std::size_t i = 0; i < kinds.size(); ++i) truth.tensors[i] = run.image(kinds[i]);
  }
  auto const rest = train_until(run, steps);
  truth.whole.numbers.insert(truth.whole.numbers.end(), rest.numbers.begin(), rest.numbers.end());
  truth.whole.weights_hash = rest.weights_hash;
  return truth;
}

/// Cuts under each layout and goes on under the one `ahead` places later in the list.
void compare_pairs(std::vector<LayoutCase> layouts, std::size_t ahead) {
  TokenFile const tokens(61, 20'000);
  SharedFolder const folder;
  std::erase_if(layouts, [](LayoutCase const& one) { return one.shape.size() > support::world().size(); });
  auto const config = tiled_run(tokens);
  constexpr std::int64_t cut = 1;
  auto const whole = train_on_one_rank(config, cut).whole;
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    auto const& first = layouts[i];
    auto const& second = layouts[(i + ahead) % layouts.size()];
    SCOPED_TRACE(first.name() + " then " + second.name());
    auto const directory = folder.path(std::to_string(i));
    on_ranks_of(first, [&](comm::Communicator& group) {
      TrainingRun<float> before(group.duplicate(), first.applied_to(config));
      train_until(before, cut);
      save(group, before, directory);
    });
    on_ranks_of(second, [&](comm::Communicator& group) {
      TrainingRun<float> after(group.duplicate(), second.applied_to(config));
      load(group, after, directory);
      auto const rest = train_until(after, steps);
      EXPECT_EQ(rest.numbers, std::vector(whole.numbers.begin() + 3 * cut, whole.numbers.end()));
      EXPECT_EQ(rest.weights_hash, whole.weights_hash);
    });
  }
}

TEST(Reshard, ARunGoesOnUnderAnotherLayoutWithTheSameBits) {
  auto layouts = quick_layouts(8);
  layouts.insert(layouts.begin(), LayoutCase{{1, 1, 1}});
  compare_pairs(layouts, 5);
}

#ifdef TESSERA_PYTHON_WITH_H5PY
/// Python reads model.h5, as everybody can, and finds the tensors of the run of one rank.
TEST(Reshard, TensorsReadByPythonAreTheRunsOwn) {
  TokenFile const tokens(61, 20'000);
  SharedFolder const folder;
  LayoutCase const layout{{2, 2, 1}, true, "1f1b", 0, 1, true, "tp,dp,pp", {3, 1}};
  auto const config = tiled_run(tokens);
  auto const truth = train_on_one_rank(config, 2);
  auto const directory = folder.path("save"), step = directory + "/step_00000002";
  on_ranks_of(layout, [&](comm::Communicator& group) {
    TrainingRun<float> run(group.duplicate(), layout.applied_to(config));
    train_until(run, 2);
    save(group, run, directory);
    if (group.rank() != 0) return;
    std::filesystem::create_directory(step + ".elements");
    int number = 0;
    for (auto const& tensors : truth.tensors) {
      auto const* next = tensors.data();
      for (auto const& spec : run.trainer().plan().specs) {
        std::ofstream file(fmt::format("{}.elements/{}", step, number++), std::ios::binary);
        file.write(reinterpret_cast<char const*>(next), spec.size() * std::streamsize{sizeof(float)});
        next += spec.size();
      }
    }
    auto const command =
        fmt::format("'{}' '{}/readable.py' '{}'", TESSERA_PYTHON_WITH_H5PY, TESSERA_CHECKPOINT_SCRIPTS, step);
    EXPECT_EQ(std::system(command.c_str()), 0);
  });
}
#endif

}  // namespace
}  // namespace tessera::train::test
