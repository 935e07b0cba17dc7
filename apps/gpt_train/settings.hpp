// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "options.hpp"
#include "tessera/base/error.hpp"

namespace gpt_train {

/// A configuration in the making: the values so far, where each came from, and everything found wrong on the
/// way. Nothing is thrown before all of it is known, so that a user mends it in one go.
class Settings {
 public:
  Settings();

  /// Stores a value for `option` that stands at `origin` ("run.toml:12" or "--tp"); later values win. One
  /// that does not fit is reported with exit code `code`.
  void set(Option const& option, Value const& value, std::string const& origin, tessera::ExitCode code);
  /// Reports a problem.
  void report(std::string problem, tessera::ExitCode code);
  /// Stores a value that the configuration left open and that follows from the rest as `how` says.
  void derive(std::string_view section, std::string_view key, Value const& value, std::string_view how);
  /// Runs `action` and reports what it throws as a tessera::Error, with that error's exit code.
  void attempt(std::function<void()> const& action);
  /// Says that a value meant for `option` was lost, so that rules about it are not tried on what it has
  /// instead.
  void doubt(Option const& option);
  /// The same of every option: the file that might have set them was not read. What is set later is certain.
  void doubt_all();
  [[nodiscard]] bool doubtful(std::string_view section, std::string_view key) const;

  /// Tries the rules of train::problems and reports what they find, each with the origins of the values it
  /// names.
  void check(int ranks);
  /// Throws ConfigError with all problems, if any. The exit code is the first problem's, but for the command
  /// line's, which goes before others'.
  void throw_problems() const;
  /// The file given with --config; empty without one.
  [[nodiscard]] std::string const& config_file() const noexcept { return config_file_; }
  void set_config_file(std::string path) { config_file_ = std::move(path); }

  [[nodiscard]] RunConfig const& config() const { return config_; }
  /// "default", or where the value of `option` came from.
  [[nodiscard]] std::string const& origin(Option const& option) const;
  /// The configuration as a TOML file that gives the same values when read, each with its origin as a
  /// comment.
  [[nodiscard]] std::string dump() const;

 private:
  struct State {
    std::string origin = "default";
    bool doubtful = false;
  };
  State& state(Option const& option);
  [[nodiscard]] State const& state(Option const& option) const;
  /// `problem` with the origins of the options that it names in front.
  [[nodiscard]] std::string located(std::string const& problem) const;
  /// True if `problem` names an option whose value was lost.
  [[nodiscard]] bool about_doubtful(std::string const& problem) const;

  RunConfig config_;
  std::vector<State> states_;  ///< (options)
  std::vector<std::string> problems_;
  std::string config_file_;
  tessera::ExitCode code_ = tessera::ExitCode::ok;
};

}  // namespace gpt_train
