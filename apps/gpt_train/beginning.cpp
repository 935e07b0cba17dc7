// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "beginning.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <tuple>
#include <utility>

#include "shared_directory.hpp"
#include "tessera/base/error.hpp"
#include "tessera/checkpoint/steps.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/train/precision.hpp"
#include "tessera/train/state.hpp"

namespace gpt_train {

namespace checkpoint = tessera::checkpoint;
namespace train = tessera::train;
using tessera::ExitCode;

namespace {

bool is_directory(std::string const& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

/// The folder in which `path` is or would be made.
std::string folder_of(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  auto const parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

/// The newest step in a directory, whole or not; -1 where there is none or the directory cannot be read, of
/// which the Saver tells.
std::int64_t newest_step(std::string const& directory) {
  try {
    auto const steps = checkpoint::list_steps(directory);
    return steps.empty() ? -1 : steps.front();
  } catch (tessera::DataError const&) {
    return -1;
  }
}

/// Throws if `save` has steps that a run does not come from: all, or those above the one that it begins from,
/// `origin`; -1: the run begins from none of them. They may be another run's: pruning would remove them, and
/// the newest would be what a later --resume goes on from.
void check_steps(std::string const& save, std::int64_t newest, std::int64_t origin) {
  if (newest <= origin) return;
  throw tessera::ConfigError(
      {fmt::format("checkpoint.save = \"{}\" has checkpoints already, up to step {}: go on from there with "
                   "--resume, name another directory, or move them away",
                   save, newest)},
      ExitCode::cannot_create);
}

std::string layout_text(checkpoint::Layout const& layout) {
  return fmt::format("{} rank{}: tp {} x pp {} x dp {}, tiles {}", layout.ranks, layout.ranks == 1 ? "" : "s",
                     layout.tp, layout.pp, layout.dp,
                     layout.tiles > 0 ? std::to_string(layout.tiles) : "auto");
}

/// Throws unless the run can go on from the checkpoint; gives lines about what has changed all the same.
std::vector<std::string> compare(checkpoint::Loader const& loader, train::RunConfig const& config,
                                 train::Plan const& plan, std::int64_t training_samples) {
  auto const& manifest = loader.manifest();
  auto found = train::differences(manifest.config, train::saved_config(config, plan.layout, training_samples),
                                  config.checkpoint.allow_model_changes);
  auto code = ExitCode::config;
  if (found.impossible.empty()) {
    code = ExitCode::data;
    found.impossible = loader.differences(train::saved_tensors(plan.specs, train::wide_type(config)));
  }
  if (!found.impossible.empty()) {
    for (auto& problem : found.impossible) problem = fmt::format("{}: {}", loader.directory(), problem);
    throw tessera::ConfigError(std::move(found.impossible), code);
  }
  std::vector<std::string> notices;
  for (auto const& skipped : loader.skipped())
    notices.push_back(fmt::format("warning: skipped {}: {}", skipped.directory, skipped.reason));
  notices.push_back(fmt::format("begins from {}: step {}, saved on {}", loader.directory(), manifest.step,
                                layout_text(manifest.layout)));
  for (auto const& text : found.allowed) notices.push_back("notice: " + text);
  return notices;
}

}  // namespace

void check_load(train::RunConfig const& config) {
  auto const& load = config.checkpoint.load;
  bool const resumes = config.checkpoint.resume && newest_step(config.checkpoint.save) >= 0;
  if (!load.empty() && !resumes) std::ignore = checkpoint::candidates(load);
}

void check_save(train::RunConfig const& config) {
  auto const& c = config.checkpoint;
  if (c.save.empty()) return;
  std::error_code error;
  bool const exists = std::filesystem::exists(c.save, error);
  if (exists && !is_directory(c.save)) {
    throw tessera::IoError(fmt::format("checkpoint.save = \"{}\" is a file: name a directory", c.save),
                           ExitCode::cannot_create);
  }
  auto const folder = exists ? c.save : folder_of(c.save);
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    bool const forbidden = errno == EACCES || errno == EPERM || errno == EROFS;
    throw tessera::IoError(fmt::format("checkpoint.save = \"{}\" cannot be written: {}: {}", c.save, folder,
                                       std::strerror(errno)),
                           forbidden ? ExitCode::permission : ExitCode::cannot_create);
  }
  if (!c.resume && c.load.empty()) check_steps(c.save, newest_step(c.save), -1);
}

namespace {

/// Collective. Throws, on all ranks, where a node has a directory of that name to itself.
void check_shared(tessera::comm::Communicator& world, std::string const& save) {
  auto const problem = not_shared(world, save);
  if (problem.empty()) return;
  throw tessera::IoError(fmt::format("checkpoint.save = \"{}\": {}: name a directory on a file system that "
                                     "all nodes have in common",
                                     save, problem),
                         ExitCode::cannot_create);
}

/// Collective. The step that a run begins from where it is one of the directory `save`, as rank 0 sees it;
/// else -1.
std::int64_t origin_in(tessera::comm::Communicator& world, std::string const& save,
                       std::optional<checkpoint::Loader> const& loader) {
  bool const looks = world.rank() == 0 && loader;
  auto const own = looks ? checkpoint::step_in(save, loader->directory()) : std::nullopt;
  return tessera::comm::broadcast_value(world, own.value_or(-1), 0);
}

/// The node of each rank where the configuration says it.
std::vector<int> nodes_by_hand(train::RunConfig const& config, train::Layout const& layout) {
  std::vector<int> nodes;
  if (config.parallel.ranks_per_node == 0) return nodes;
  for (auto const& location : train::planned_locations(config, {layout.tp, layout.pp, layout.dp})) {
    nodes.push_back(location.node);
  }
  return nodes;
}

}  // namespace

Beginning begin(std::unique_ptr<tessera::comm::Communicator> world, train::RunConfig const& config,
                train::Plan const& plan, std::int64_t training_samples) {
  auto const& c = config.checkpoint;
  Beginning beginning;
  if (c.save.empty() && c.load.empty()) return beginning;
  auto const make_saver = [&] {
    if (c.save.empty() || beginning.saver) return;
    beginning.saver = std::make_unique<checkpoint::Saver>(
        world->duplicate(), checkpoint::SaverOptions{c.save, c.keep, c.synchronous, c.ranks_per_file,
                                                     nodes_by_hand(config, plan.layout)});
    check_shared(*world, c.save);
  };
  // What another job is still writing must not be read: the lock comes first.
  if (c.resume) make_saver();
  auto const newest = tessera::comm::broadcast_value(*world, world->rank() == 0 ? newest_step(c.save) : 0, 0);
  beginning.resumed = c.resume && newest >= 0;
  auto const& source = beginning.resumed ? c.save : c.load;
  if (!source.empty()) {
    beginning.loader.emplace(checkpoint::Loader::open(*world, source));
    beginning.notices = compare(*beginning.loader, config, plan, training_samples);
  }
  if (!beginning.resumed) check_steps(c.save, newest, origin_in(*world, c.save, beginning.loader));
  make_saver();
  if (beginning.saver && beginning.loader) beginning.saver->learn_from(*beginning.loader);
  return beginning;
}

}  // namespace gpt_train
