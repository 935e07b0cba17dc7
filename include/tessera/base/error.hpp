// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Two kinds of failure. What can happen to a correct program in a bad world (a wrong option, a damaged file,
// a full disk, a lost rank) is thrown as an Error: it says what, where and what to do, and carries the exit
// code of the process. What cannot happen unless this library is wrong goes through `require`, which throws
// InternalError with its source line.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/base/exit_code.hpp"

namespace tessera {

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, std::string const& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

/// One or more things wrong with a configuration, found together so that a user mends them together.
class ConfigError : public Error {
 public:
  explicit ConfigError(std::vector<std::string> problems, ExitCode code = ExitCode::config);
  [[nodiscard]] std::vector<std::string> const& problems() const noexcept { return problems_; }

 private:
  std::vector<std::string> problems_;
};

/// An input whose content is wrong (code data), missing (no_input) or unreadable (permission).
class DataError : public Error {
 public:
  explicit DataError(std::string const& message, ExitCode code = ExitCode::data) : Error(code, message) {}
};

/// An operating-system call on a file failed; the message ends with the system's own text.
class IoError : public Error {
 public:
  explicit IoError(std::string const& message, ExitCode code = ExitCode::io) : Error(code, message) {}
};

/// A communication call failed; names the operation, its group, count and type, and the backend's own text.
class CommError : public Error {
 public:
  explicit CommError(std::string const& message) : Error(ExitCode::internal, message) {}
};

/// A device (a GPU) or its runtime library failed, or there is none where one is needed; names the call and
/// the library's own text.
class DeviceError : public Error {
 public:
  explicit DeviceError(std::string const& message) : Error(ExitCode::internal, message) {}
};

/// Not enough memory, found before or by an allocation; says what was needed and what there is.
class MemoryError : public Error {
 public:
  explicit MemoryError(std::string const& message) : Error(ExitCode::no_memory, message) {}
};

/// A broken invariant of this library.
class InternalError : public Error {
 public:
  explicit InternalError(std::string const& message) : Error(ExitCode::internal, message) {}
};

/// Throws InternalError naming the caller's source line unless `condition` holds.
void require(bool condition, std::string_view what,
             std::source_location where = std::source_location::current());

}  // namespace tessera
