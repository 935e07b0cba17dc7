// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "resuming.hpp"

#include <stdlib.h>

#include <array>
#include <filesystem>

#include "support/parallel.hpp"
#include "tessera/checkpoint/loader.hpp"
#include "tessera/checkpoint/saver.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/train/state.hpp"

namespace tessera::train::test {

SharedFolder::SharedFolder() {
  std::array<std::uint8_t, 256> name{};
  auto const text = (std::filesystem::temp_directory_path() / "tessera-resume-XXXXXX").string();
  std::ranges::copy(text, name.begin());
  auto* const path = reinterpret_cast<char*>(name.data());
  if (support::world().rank() == 0 && ::mkdtemp(path) == nullptr) name[0] = 0;
  comm::broadcast(support::world(), name, 0).wait_host();
  EXPECT_NE(name[0], 0) << "no temporary folder";
  path_ = path;
}

SharedFolder::~SharedFolder() {
  comm::barrier(support::world());
  if (support::world().rank() == 0) std::filesystem::remove_all(path_);
}

template <class T>
Steps train_until(TrainingRun<T>& run, std::int64_t steps_done) {
  Steps steps;
  while (run.trainer().steps_done() < steps_done) {
    auto const report = run.trainer().step();
    EXPECT_EQ(report.step, run.trainer().steps_done());
    steps.numbers.insert(steps.numbers.end(), {report.loss, report.grad_norm, report.learning_rate});
  }
  steps.weights_hash = run.trainer().weights_hash();
  return steps;
}

template <class T>
void save(comm::Communicator& group, TrainingRun<T>& run, std::string const& directory, bool synchronous) {
  checkpoint::Saver saver(group.duplicate(), {.directory = directory, .keep = 0, .synchronous = synchronous});
  saver.begin(make_snapshot(run.trainer()));
  auto const saved = saver.finish();
  ASSERT_TRUE(saved);
  EXPECT_EQ(saved->step, run.trainer().steps_done());
}

template <class T>
void load(comm::Communicator& group, TrainingRun<T>& run, std::string const& directory) {
  auto& trainer = run.trainer();
  auto const loader = checkpoint::Loader::open(group, directory);
  auto const wanted = saved_tensors(trainer.plan().specs, dtype_of<Wide<T>>);
  EXPECT_EQ(loader.differences(wanted), std::vector<std::string>());
  auto const now =
      saved_config(trainer.config(), trainer.plan().layout, trainer.dataset().training_samples());
  EXPECT_EQ(differences(loader.manifest().config, now).impossible, std::vector<std::string>());
  restore(trainer, loader);
  EXPECT_EQ(trainer.steps_done(), loader.manifest().step);
}

RunConfig cut_run(TokenFile const& tokens) {
  auto config = small_run(tokens);
  config.model.hidden_dropout = config.model.attention_dropout = 0.1;
  config.batch = {16, 2, 16};
  config.training.steps = 4;
  config.training.on_nonfinite = "skip";
  return config;
}

#define TESSERA_INSTANTIATE(T)                                                        \
  template Steps train_until(TrainingRun<T>&, std::int64_t);                          \
  template void save(comm::Communicator&, TrainingRun<T>&, std::string const&, bool); \
  template void load(comm::Communicator&, TrainingRun<T>&, std::string const&);
TESSERA_FOR_COMPUTE_TYPES(TESSERA_INSTANTIATE)
#undef TESSERA_INSTANTIATE

}  // namespace tessera::train::test
