// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>

namespace spdlog {
class logger;
}

namespace gpt_train {

/// What rank 0 prints: lines to standard output and, with --log, to a file as well. On the other ranks it is
/// mute. Warnings of the library go the same way.
class Console {
 public:
  /// Throws IoError (code cannot_create) if `log_file`, unless empty, cannot be written.
  Console(bool speaks, std::string const& log_file);
  Console(Console const&) = delete;
  Console& operator=(Console const&) = delete;
  ~Console();

  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    if (speaks_) write(fmt::format(format, std::forward<Args>(args)...));
  }
  void line(std::string_view text) {
    if (speaks_) write(std::string(text));
  }

  /// Shows `text` on the last line of the terminal, over what `status` showed before; not in logs.
  void status(std::string const& text);
  /// True when standard output is a terminal, so that `status` shows anything.
  [[nodiscard]] bool is_terminal() const noexcept { return terminal_; }
  /// True on the rank that prints.
  [[nodiscard]] bool speaks() const noexcept { return speaks_; }
  /// True when lines of the log file could not be written, which is said once on standard error.
  [[nodiscard]] bool lost() const noexcept { return lost_; }

 private:
  void write(std::string const& text);
  void clear_status();

  bool speaks_;
  bool terminal_;
  bool status_shown_ = false;
  bool lost_ = false;
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace gpt_train
