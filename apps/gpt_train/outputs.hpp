// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clocks.hpp"
#include "tessera/base/trace.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/mesh/mesh.hpp"
#include "tessera/train/run_config.hpp"
#include "tessera/train/step_report.hpp"

namespace gpt_train {

/// The path that means standard output, where an option takes it.
inline constexpr std::string_view standard_output = "-";

/// Throws with all that is wrong with the outputs of `config`, before anything is written: a folder that is
/// missing or not writable, a name that is a folder, an output that is an input or another output, or that
/// would be read as data by the next run. `data_files` are those that the data turned out to be;
/// `config_file` may be empty. ConfigError or IoError (codes config, cannot_create).
void check_outputs(tessera::train::RunConfig const& config, std::string const& config_file,
                   std::vector<std::string> const& data_files);

/// Opening a pipe for writing waits until somebody reads it, for ever if need be. So what this gives is held
/// while an output at `path` is opened; nothing where it is no pipe. Throws IoError (code cannot_create)
/// where it is one that nobody reads.
[[nodiscard]] tessera::checkpoint::Descriptor hold_pipe(std::string const& option, std::string const& path);

/// A file of lines that grows with the run, as the metrics do. A file of that name that is there already is
/// kept as `<name>.previous`, or, where a run goes on, continued.
class LineFile {
 public:
  /// `option` is the path's, for messages: "output.metrics". An empty `path` writes nothing. `resumed` is the
  /// step after which a run goes on: lines of the metrics about later ones, which will be made again, and one
  /// that was cut off are first taken out of what is there, at once or not at all. Throws IoError (code
  /// cannot_create).
  LineFile(std::string option, std::string const& path, std::optional<std::int64_t> resumed);

  /// When the file system refuses, that is said once through the log sink, and later lines are dropped: what
  /// is told of a run is worth less than the run.
  void write(std::string const& line);
  [[nodiscard]] bool lost() const noexcept { return lost_; }

 private:
  std::string option_, path_;
  std::ofstream file_;
  bool lost_ = false;
};

/// Records this rank's timeline from `start` on, if `path` is not empty.
class TraceFile {
 public:
  /// Takes room for `spans` spans. An empty `path` records nothing. Throws IoError for a pipe that nobody
  /// reads.
  TraceFile(std::string path, std::int64_t spans);
  TraceFile(TraceFile const&) = delete;
  TraceFile& operator=(TraceFile const&) = delete;
  ~TraceFile();

  /// Starts recording. Collective over `world`: all clocks count from one moment of rank 0's, wherever the
  /// ranks run.
  void start(tessera::comm::Communicator& world);
  /// Ends recording, on this rank.
  void stop() noexcept;
  /// Collects the timelines of all ranks and writes one file that ui.perfetto.dev opens: a track for each
  /// rank. Collective. Warns through the log sink of rank 0 if there were more spans than room, and if the
  /// file cannot be written: see LineFile.
  void write(tessera::mesh::Mesh const& mesh);
  /// On rank 0, whether the file could not be written.
  [[nodiscard]] bool lost() const noexcept { return lost_; }

 private:
  void write_file(std::vector<std::string> const& texts, double error_s);

  std::string path_;
  tessera::checkpoint::Descriptor pipe_;
  std::unique_ptr<tessera::TraceRecorder> recorder_;
  ClockOffset at_start_;
  double started_s_ = 0;
  bool lost_ = false;
};

}  // namespace gpt_train
