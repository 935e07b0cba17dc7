// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tessera/base/trace.hpp"
#include "tessera/mesh/mesh.hpp"
#include "tessera/train/run_config.hpp"
#include "tessera/train/step_report.hpp"

namespace gpt_train {

/// Throws with all that is wrong with the outputs of `config`, before anything is written: a folder that is
/// missing or not writable, a name that is a folder, an output that is an input or another output, or that
/// would be read as data by the next run. `data_files` are those that the data turned out to be;
/// `config_file` may be empty. ConfigError or IoError (codes config, cannot_create).
void check_outputs(tessera::train::RunConfig const& config, std::string const& config_file,
                   std::vector<std::string> const& data_files);

/// The metrics file: one JSON object a line and step. A file of that name that is there already is kept as
/// `<name>.previous`, or, where a run goes on, continued.
class MetricsFile {
 public:
  /// An empty `path` writes nothing. `resumed` is the step after which a run goes on: lines about later ones,
  /// which will be made again, and one that was cut off are first taken out of what is there, at once or not
  /// at all. Throws IoError (code cannot_create).
  MetricsFile(std::string const& path, std::optional<std::int64_t> resumed);

  /// Throws IoError when the file system refuses.
  void write(std::string const& line);

 private:
  std::string path_;
  std::ofstream file_;
};

/// Records this rank's timeline from `start` on, if `path` is not empty.
class TraceFile {
 public:
  /// Takes room for `spans` spans. An empty `path` records nothing.
  TraceFile(std::string path, std::int64_t spans);
  TraceFile(TraceFile const&) = delete;
  TraceFile& operator=(TraceFile const&) = delete;
  ~TraceFile();

  /// Starts recording. Collective over `world`: clocks count from a common moment.
  void start(tessera::comm::Communicator& world);
  /// Ends recording, on this rank.
  void stop() noexcept;
  /// Collects the timelines of all ranks and writes one file that ui.perfetto.dev opens: a track for each
  /// rank. Collective. Warns through the log sink of rank 0 if there were more spans than room. Throws
  /// IoError on the rank that writes.
  void write(tessera::mesh::Mesh const& mesh);

 private:
  std::string path_;
  std::unique_ptr<tessera::TraceRecorder> recorder_;
};

}  // namespace gpt_train
