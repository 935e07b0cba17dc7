// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

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
  /// Says that a value meant for `option` was lost, so that rules about it are not tried on what it has
  /// instead.
  void doubt(Option const& option);

  /// Tries the rules of train::problems and reports what they find, each with the origins of the values it
  /// names.
  void check(int ranks);
  /// Throws ConfigError with all problems, if any. The command line's exit code goes before others'.
  void throw_problems() const;

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

  RunConfig config_;
  std::vector<State> states_;  ///< (options)
  std::vector<std::string> problems_;
  tessera::ExitCode code_ = tessera::ExitCode::ok;
};

}  // namespace gpt_train
