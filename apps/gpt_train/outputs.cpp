// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "outputs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "events.hpp"
#include "gather_texts.hpp"
#include "tessera/base/error.hpp"
#include "tessera/base/log.hpp"
#include "tessera/comm/collectives.hpp"

namespace gpt_train {

using tessera::ExitCode;
using tessera::IoError;
using tessera::comm::Op;
namespace train = tessera::train;

namespace {

struct NamedPath {
  std::string_view option;
  std::string path;
};

bool is_there(std::string const& path) {
  std::error_code error;
  return std::filesystem::exists(std::filesystem::symlink_status(path, error));
}

/// Makes it and removes it again: only so names that are too long and full tables of files are found.
bool can_be_made(std::string const& path) {
  tessera::checkpoint::Descriptor const made(
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  return made && unlink(path.c_str()) == 0;
}

/// What keeps a file of this name from being made.
std::optional<std::string> creation_problem(NamedPath const& output) {
  std::error_code error;
  if (std::filesystem::is_directory(output.path, error)) {
    return fmt::format("{} = \"{}\" is a folder: name a file", output.option, output.path);
  }
  auto const parent = std::filesystem::path(output.path).parent_path();
  auto const folder = parent.empty() ? std::string(".") : parent.string();
  if (access(folder.c_str(), W_OK) == 0 && (is_there(output.path) || can_be_made(output.path)))
    return std::nullopt;
  return fmt::format("{} = \"{}\" cannot be created in \"{}\": {}", output.option, output.path, folder,
                     std::strerror(errno));
}

/// One spelling for all names of a file, whether it exists or not.
std::filesystem::path plain(std::string const& path) {
  std::error_code error;
  auto const absolute = std::filesystem::absolute(path, error);
  auto const known = std::filesystem::weakly_canonical(absolute, error);
  return error ? absolute.lexically_normal() : known;
}

bool same_file(std::string const& a, std::string const& b) {
  std::error_code error;
  return !b.empty() && (plain(a) == plain(b) || std::filesystem::equivalent(a, b, error));
}

/// Whether `path` is or would be among the files of a directory.
bool lies_in(std::string const& path, std::string const& directory) {
  std::error_code error;
  if (directory.empty() || !std::filesystem::is_directory(directory, error)) return false;
  auto const outer = plain(directory), inner = plain(path);
  return std::ranges::mismatch(outer, inner).in1 == outer.end();
}

IoError cannot_create(std::string const& option, std::string const& path, char const* verb = "created") {
  return IoError(fmt::format("{} = \"{}\" cannot be {}: {}", option, path, verb, std::strerror(errno)),
                 ExitCode::cannot_create);
}

/// The step that a line of the metrics is about; nothing for lines that are none of ours.
std::optional<std::int64_t> step_of(std::string_view line) {
  for (std::string_view const head :
       {R"({"step":)", R"({"event":"save","saved_step":)", R"({"event":"epoch","begins_in_step":)"}) {
    if (!line.starts_with(head)) continue;
    std::int64_t step = 0;
    auto const number = line.substr(head.size());
    auto const result = std::from_chars(number.data(), number.data() + number.size(), step);
    if (result.ec == std::errc{}) return step;
  }
  return std::nullopt;
}

/// The regular file that `path` names or links to; nothing where it is none, or names what a descriptor of
/// this process goes to (/dev/stdout).
std::optional<std::string> earlier_file(std::string const& path) {
  std::error_code error;
  auto const name = std::filesystem::absolute(path, error).lexically_normal().string();
  bool const of_descriptor =
      name.starts_with("/dev/std") || name.starts_with("/dev/fd/") || name.starts_with("/proc/");
  if (of_descriptor || !std::filesystem::is_regular_file(path, error)) return std::nullopt;
  return plain(path).string();
}

/// Takes the lines about steps after `last` out of a file, and one that does not end.
void keep_steps(std::string const& option, std::string const& path, std::int64_t last) {
  auto const temporary = fmt::format("{}.tmp-{}", path, getpid());
  std::ifstream old(path);
  if (!old) throw cannot_create(option, path, "read");
  std::ofstream kept(temporary);
  for (std::string line; std::getline(old, line) && !old.eof();) {
    if (step_of(line).value_or(last) <= last) kept << line << '\n';
  }
  bool const all_read = old.eof() && !old.bad();
  kept.close();
  if (all_read && kept && std::rename(temporary.c_str(), path.c_str()) == 0) return;
  auto const error = all_read ? cannot_create(option, temporary) : cannot_create(option, path, "read");
  std::remove(temporary.c_str());
  throw error;
}

/// Opens an output that must not destroy an earlier one.
std::ofstream create(std::string const& option, std::string const& path) {
  if (auto const earlier = earlier_file(path)) {
    auto kept = *earlier + ".previous";
    for (int number = 2; is_there(kept); ++number) kept = fmt::format("{}.previous-{}", *earlier, number);
    if (std::rename(earlier->c_str(), kept.c_str()) != 0) throw cannot_create(option, kept);
  }
  auto const pipe = hold_pipe(option, path);
  std::ofstream file(path);
  if (!file) throw cannot_create(option, path);
  return file;
}

/// What makes `output` unfit because it is, or would become, something that is read.
std::vector<std::string> input_problems(NamedPath const& output, train::RunConfig const& config,
                                        std::vector<std::string> const& data_files) {
  std::vector<std::string> problems;
  for (NamedPath const& data : {NamedPath{"data.path", config.data.path},
                                NamedPath{"data.validation_path", config.data.validation_path}}) {
    if (!lies_in(output.path, data.path)) continue;
    problems.push_back(
        fmt::format("{} = \"{}\" lies in {} = \"{}\", where the next run would read it as data: "
                    "name another place",
                    output.option, output.path, data.option, data.path));
  }
  std::error_code error;
  if (!problems.empty() || !std::filesystem::exists(output.path, error)) return problems;
  auto const is_output = [&](std::string const& file) { return same_file(output.path, file); };
  if (std::ranges::any_of(data_files, is_output)) {
    problems.push_back(fmt::format("{} = \"{}\" is one of the files of data: give it a name of its own",
                                   output.option, output.path));
  }
  return problems;
}

}  // namespace

void check_outputs(train::RunConfig const& config, std::string const& config_file,
                   std::vector<std::string> const& data_files) {
  std::vector<std::string> problems;
  std::vector<NamedPath> others{{"data.path", config.data.path},
                                {"data.validation_path", config.data.validation_path},
                                {"--config", config_file},
                                {"checkpoint.save", config.checkpoint.save},
                                {"checkpoint.load", config.checkpoint.load}};
  NamedPath const save{"checkpoint.save", config.checkpoint.save};
  if (!save.path.empty()) problems = input_problems(save, config, data_files);
  for (NamedPath const& output :
       {NamedPath{"output.metrics", config.output.metrics}, NamedPath{"output.trace", config.output.trace},
        NamedPath{"output.log", config.output.log}, NamedPath{"output.mllog", config.output.mllog}}) {
    if (output.path.empty() || output.path == standard_output) continue;
    if (auto problem = creation_problem(output)) problems.push_back(*problem);
    auto const more = input_problems(output, config, data_files);
    problems.insert(problems.end(), more.begin(), more.end());
    for (auto const& other : others) {
      if (!same_file(output.path, other.path)) continue;
      problems.push_back(fmt::format("{} = \"{}\" is also {}: give it a name of its own", output.option,
                                     output.path, other.option));
    }
    others.push_back(output);
  }
  if (!problems.empty()) throw tessera::ConfigError(problems, ExitCode::cannot_create);
}

tessera::checkpoint::Descriptor hold_pipe(std::string const& option, std::string const& path) {
  std::error_code ignored;
  if (!std::filesystem::is_fifo(path, ignored)) return {};
  tessera::checkpoint::Descriptor pipe(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (pipe) return pipe;
  if (errno != ENXIO) throw cannot_create(option, path);
  throw IoError(fmt::format("{} = \"{}\" is a pipe that nobody reads: start its reader first, or name a file",
                            option, path),
                ExitCode::cannot_create);
}

LineFile::LineFile(std::string option, std::string const& path, std::optional<std::int64_t> resumed)
    : option_(std::move(option)), path_(path) {
  if (path_.empty()) return;
  if (auto const earlier = earlier_file(path_); resumed && earlier) {
    keep_steps(option_, *earlier, *resumed);
    file_.open(path_, std::ios::app);
    if (!file_) throw cannot_create(option_, path_);
  } else {
    file_ = create(option_, path_);
  }
}

void LineFile::write(std::string const& line) {
  if (path_.empty() || lost_) return;
  file_ << line << '\n' << std::flush;
  if (file_) return;
  lost_ = true;
  tessera::log(tessera::LogLevel::warning,
               fmt::format("{} = \"{}\": writing failed: {}: the run goes on without it", option_, path_,
                           std::strerror(errno)));
}

TraceFile::TraceFile(std::string path, std::int64_t spans)
    : path_(std::move(path)), pipe_(hold_pipe("output.trace", path_)) {
  if (!path_.empty()) recorder_ = std::make_unique<tessera::TraceRecorder>(static_cast<std::size_t>(spans));
}

void TraceFile::start(tessera::comm::Communicator& world) {
  if (!recorder_) return;
  at_start_ = clock_offset(world);
  barrier(world);
  double const origin_s = broadcast_value(world, steady_seconds(), 0);
  started_s_ = origin_s - at_start_.offset_s;
  recorder_->start(moment_of(started_s_));
  tessera::set_trace_recorder(recorder_.get());
}

void TraceFile::stop() noexcept { tessera::set_trace_recorder(nullptr); }

TraceFile::~TraceFile() { stop(); }

void TraceFile::write(tessera::mesh::Mesh const& mesh) {
  if (!recorder_) return;
  stop();
  auto const& place = mesh.coordinates();
  // Clocks of hosts drift: between the two comparisons they are taken to go evenly.
  auto const at_end = clock_offset(mesh.world());
  double const passed_s = steady_seconds() - started_s_;
  if (passed_s > 0) recorder_->set_rate(1 + (at_end.offset_s - at_start_.offset_s) / passed_s);
  auto const error_s = all_reduce_value(mesh.world(), std::max(at_start_.error_s, at_end.error_s), Op::max);
  auto const own = recorder_->events(place.pp, fmt::format("stage {}", place.pp), mesh.rank(),
                                     fmt::format("rank {} (pp {}, dp {}, tp {}) on {}", mesh.rank(), place.pp,
                                                 place.dp, place.tp, host_name()));
  auto const texts = gather_texts(mesh.world(), own, 0);
  auto const dropped = all_reduce_value(mesh.world(), recorder_->dropped(), Op::max);
  if (mesh.rank() != 0) return;
  if (dropped > 0) {
    tessera::log(
        tessera::LogLevel::warning,
        fmt::format("output.trace = \"{}\" is not complete: up to {} later spans of a rank found no room; "
                    "make fewer steps or raise output.trace_spans",
                    path_, dropped));
  }
  try {
    write_file(texts, error_s);
  } catch (IoError const& error) {
    lost_ = true;
    tessera::log(tessera::LogLevel::warning, fmt::format("{}: the run has no timeline", error.what()));
  }
}

void TraceFile::write_file(std::vector<std::string> const& texts, double error_s) {
  auto file = create("output.trace", path_);
  file << "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n";
  for (auto const& text : texts) file << (&text == &texts.front() ? "" : ",\n") << text;
  file << fmt::format("\n],\"otherData\":{{\"ranks\":{},\"clocks_differ_by_us_at_most\":{:.3f}}}}}\n",
                      texts.size(), error_s * 1e6)
       << std::flush;
  if (!file)
    throw IoError(fmt::format("output.trace = \"{}\": writing failed: {}", path_, std::strerror(errno)));
}

}  // namespace gpt_train
