// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "console.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <system_error>
#include <vector>

#include "display.hpp"
#include "outputs.hpp"
#include "tessera/base/error.hpp"
#include "tessera/base/log.hpp"
#include "tessera/comm/session.hpp"

namespace gpt_train {

namespace {

/// True when what is printed reaches a terminal. A launcher such as mpirun may give its processes a terminal
/// of their own and copy from it into a file, so under one the question is asked of its own standard output.
bool prints_to_terminal() {
  if (isatty(STDOUT_FILENO) != 1) return false;
  if (!tessera::comm::launcher_place()) return true;
  std::error_code error;
  auto const output = std::filesystem::read_symlink(fmt::format("/proc/{}/fd/1", getppid()), error).string();
  return !error && (output.starts_with("/dev/pts/") || output.starts_with("/dev/tty"));
}

std::vector<spdlog::sink_ptr> make_sinks(std::string const& log_file) {
  std::vector<spdlog::sink_ptr> sinks{std::make_shared<spdlog::sinks::stdout_sink_st>()};
  if (log_file.empty()) return sinks;
  auto const pipe = hold_pipe("output.log", log_file);
  try {
    sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_st>(log_file));
  } catch (spdlog::spdlog_ex const& error) {
    throw tessera::IoError(fmt::format("output.log = \"{}\" cannot be written: {}", log_file, error.what()),
                           tessera::ExitCode::cannot_create);
  }
  return sinks;
}

}  // namespace

Console::Console(bool speaks, std::string const& log_file)
    : speaks_(speaks), terminal_(speaks && prints_to_terminal()) {
  if (!speaks_) return;
  auto const sinks = make_sinks(log_file);
  logger_ = std::make_shared<spdlog::logger>("gpt_train", sinks.begin(), sinks.end());
  logger_->set_pattern("%v");
  logger_->flush_on(spdlog::level::info);
  logger_->set_error_handler([this, log_file](std::string const& problem) {
    if (log_file.empty()) return;  // nobody listens any more
    if (!lost_) {
      std::fprintf(stderr, "gpt_train: warning: output.log: %s: the run goes on without it\n",
                   problem.c_str());
    }
    lost_ = true;
  });
  tessera::set_log_sink([this](tessera::LogLevel level, std::string_view message) {
    if (level >= tessera::LogLevel::warning) line("warning: {}", message);
  });
}

Console::~Console() {
  clear_status();
  tessera::set_log_sink({});
}

void Console::write(std::string const& text) {
  clear_status();
  logger_->info(text);
}

void Console::status(std::string const& text) {
  if (!terminal_) return;
  std::fprintf(stdout, "\r\x1b[K%s", fitted(text, terminal_columns()).c_str());
  std::fflush(stdout);
  status_shown_ = true;
}

void Console::clear_status() {
  if (!status_shown_) return;
  std::fputs("\r\x1b[K", stdout);
  std::fflush(stdout);
  status_shown_ = false;
}

}  // namespace gpt_train
