// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "top.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>

#include "display.hpp"
#include "live_run.hpp"
#include "tessera/base/error.hpp"

namespace gpt_train {

namespace {

using tessera::ExitCode;

/// Reads a file that another program writes: whole lines, as they come. One that was put in its place, or
/// that became shorter as a resumed run takes lines out, is read from its beginning.
class Follower {
 public:
  static constexpr off_t longest_line = off_t{1} << 20;

  explicit Follower(std::string path) : path_(std::move(path)) {}

  /// Throws IoError where the file cannot be read.
  void read(LiveRun& run) {
    struct stat now {};
    if (stat(path_.c_str(), &now) != 0) fail();
    if (S_ISDIR(now.st_mode)) refuse("is a folder: name the file of --metrics", ExitCode::no_input);
    if (now.st_ino != inode_ || now.st_size < read_) {
      run = {};
      inode_ = now.st_ino;
      read_ = 0;
    }
    grown_ = now.st_mtime;
    std::ifstream file(path_);
    if (!file) fail();
    file.seekg(read_);
    for (std::string line; std::getline(file, line) && !file.eof();) {
      run.line(line);
      read_ += static_cast<off_t>(line.size() + 1);
    }
    if (run.foreign()) refuse("is no metrics file: no line of it is a JSON object", ExitCode::data);
    if (read_ == 0 && now.st_size > longest_line)
      refuse("is no metrics file: its first line does not end", ExitCode::data);
  }
  /// How long ago the file grew.
  [[nodiscard]] double age_s() const {
    auto const now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    return std::max(0.0, std::difftime(now, grown_));
  }

 private:
  [[noreturn]] void refuse(std::string_view what, ExitCode code) const {
    throw tessera::IoError(fmt::format("\"{}\" {}", path_, what), code);
  }

  [[noreturn]] void fail() const {
    bool const forbidden = errno == EACCES || errno == EPERM;
    throw tessera::IoError(fmt::format("\"{}\" cannot be read: {}", path_, std::strerror(errno)),
                           forbidden ? ExitCode::permission : ExitCode::no_input);
  }

  std::string path_;
  ino_t inode_ = 0;
  off_t read_ = 0;
  std::time_t grown_ = 0;
};

/// Shows `lines` where the `shown` lines of last time stand.
void draw(std::vector<std::string> const& lines, std::size_t shown) {
  if (shown > 0) fmt::print("\x1b[{}A", shown);
  int const columns = terminal_columns();
  for (auto const& line : lines) fmt::print("\r\x1b[K{}\n", fitted(line, columns));
  fmt::print("\x1b[J");
  std::fflush(stdout);
}

void follow(Follower& file, double interval_s) {
  LiveRun run;
  for (std::size_t shown = 0;;) {
    file.read(run);
    auto const lines = run.text(file.age_s());
    draw(lines, shown);
    if (run.ended()) return;
    shown = lines.size();
    std::this_thread::sleep_for(std::chrono::duration<double>(interval_s));
  }
}

void print_once(Follower& file) {
  LiveRun run;
  file.read(run);
  for (auto const& line : run.text(file.age_s())) fmt::print("{}\n", line);
}

}  // namespace

int top(std::vector<std::string> arguments) {
  CLI::App app("Shows how the run that writes a metrics file (--metrics) stands.", "gpt_train top");
  std::string path;
  double interval_s = 1;
  bool once = false;
  app.add_option("METRICS", path, "the file")->required();
  app.add_option("--interval", interval_s, "seconds between looks at it [1]")
      ->check(CLI::Range(0.05, 3600.0));
  app.add_flag("--once", once, "print once and end, as where standard output is no terminal");
  std::ranges::reverse(arguments);  // CLI11 reads a vector from its end
  try {
    app.parse(std::move(arguments));
    Follower file(path);
    if (once || isatty(STDOUT_FILENO) != 1) {
      print_once(file);
    } else {
      follow(file, interval_s);
    }
    return 0;
  } catch (CLI::CallForHelp const&) {
    fmt::print("{}", app.help());
    return 0;
  } catch (CLI::ParseError const& error) {
    fmt::print(stderr, "gpt_train: error: top: {}\n", error.what());
    return static_cast<int>(ExitCode::usage);
  } catch (tessera::Error const& error) {
    fmt::print(stderr, "gpt_train: error: top: {}\n", error.what());
    return static_cast<int>(error.code());
  }
}

}  // namespace gpt_train
