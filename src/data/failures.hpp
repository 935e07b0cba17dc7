// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <string>
#include <vector>

#include "tessera/base/error.hpp"

namespace tessera::data {

/// What is wrong with several inputs, told together.
class Failures {
 public:
  /// More than these nobody mends one by one.
  static constexpr std::size_t most = 10;

  template <class Body>
  void attempt(Body const& body) {
    if (told_.size() >= most) return;
    try {
      body();
    } catch (ConfigError const& error) {
      add(error, error.problems());
    } catch (Error const& error) {
      add(error, {error.what()});
    }
  }
  [[nodiscard]] bool none() const noexcept { return told_.empty(); }
  /// A single failure as it came; of several a ConfigError with the code of the first.
  void rethrow() const {
    if (count_ == 1) std::rethrow_exception(first_);
    if (count_ > 1) throw ConfigError(told_, code_);
  }

 private:
  void add(Error const& error, std::vector<std::string> const& problems) {
    if (++count_ == 1) {
      first_ = std::current_exception();
      code_ = error.code();
    }
    for (auto const& problem : problems) {
      if (std::ranges::count(told_, problem) == 0) told_.push_back(problem);
    }
  }

  std::vector<std::string> told_;
  std::size_t count_ = 0;
  std::exception_ptr first_;
  ExitCode code_ = ExitCode::data;
};

}  // namespace tessera::data
