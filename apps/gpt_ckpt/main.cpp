// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// gpt_ckpt: looks at checkpoints, compares and converts them. Needs no MPI.
#include <fmt/core.h>
#include <csignal>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "commands.hpp"
#include "tessera/base/error.hpp"
#include "tessera/base/standard_streams.hpp"
#include "tessera/checkpoint/fault_point.hpp"
#include "tessera/checkpoint/files.hpp"

namespace {

constexpr char const* footer = R"(
DIR is a checkpoint (DIR/step_00000100) or a directory of them; then its newest step is meant.
reshard and export write OUT.gpt_ckpt-partial and rename it when it is whole; one that was left is replaced. Folders on
the way to OUT are made.

Exit codes: 0 done, 1 `diff` found a difference, 64 wrong usage, 65 a checkpoint is damaged, 66 there is none,
70 a mistake of this program, 71 not enough memory, 73 an output cannot be created or exists, 74 reading or writing failed,
77 not permitted.)";

struct Arguments {
  std::string directory;
  std::string other;
  std::string out;
  std::string dtype;
  int files = 1;
};

/// Adds every command; the one that is called sets `action`.
void declare(CLI::App& app, Arguments& arguments, std::function<int()>& action) {
  auto const command = [&](char const* name, char const* text, auto const& run) {
    CLI::App* const sub = app.add_subcommand(name, text);
    sub->add_option("DIR", arguments.directory, "checkpoint, or directory of checkpoints")->required();
    sub->callback([&action, run] { action = run; });
    return sub;
  };
  auto& [directory, other, out, dtype, files] = arguments;
  command("list", "The steps in a directory, newest first, or one of them",
          [&] { return gpt_ckpt::list(directory); });
  command("verify", "Read and hash every byte", [&] { return gpt_ckpt::verify(directory); });
  command("show", "Tensors, shapes, types, layout, sizes, configuration",
          [&] { return gpt_ckpt::show(directory); });
  command("diff", "What differs between two checkpoints, with the first place and the largest difference",
          [&] { return gpt_ckpt::diff(directory, other); })
      ->add_option("OTHER", other, "the other checkpoint")
      ->required();
  auto* const reshard = command("reshard", "Write it again as another number of files",
                                [&] { return gpt_ckpt::reshard(directory, out, files); });
  CLI::Validator const a_name(
      [](std::string const& text) { return std::string(text.empty() ? "the name is empty" : ""); }, "PATH");
  reshard->add_option("OUT", out, "the new checkpoint's directory, which must not exist")
      ->required()
      ->check(a_name);
  reshard->add_option("--files", files, "how many files")->required()->check(CLI::Range(1, 100'000));
  auto* const export_file = command("export", "Write one plain HDF5 file with every tensor whole",
                                    [&] { return gpt_ckpt::export_file(directory, out, dtype); });
  export_file->add_option("FILE", out, "the file, which must not exist")->required()->check(a_name);
  export_file->add_option("--dtype", dtype, "type of floating-point tensors there: f32, bf16 or f16")
      ->check(CLI::IsMember({"f32", "bf16", "f16"}));
}

/// Throws ConfigError when the first word is the name of no command.
void expect_command(CLI::App const& app, std::vector<std::string> const& words) {
  if (words.empty() || words.front().starts_with('-')) return;
  std::string names;
  for (auto const* const command : app.get_subcommands(nullptr)) {
    if (command->get_name() == words.front()) return;
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  throw tessera::ConfigError({fmt::format("there is no command {}; there are {}",
                                          tessera::checkpoint::in_quotes(words.front()), names)},
                             tessera::ExitCode::usage);
}

/// Returns `code` when all that was printed has been written, else throws IoError.
int printed(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  throw tessera::IoError("cannot write to the standard output: " + std::generic_category().message(errno));
}

/// What CLI11 has to say: help, or one line about what is wrong.
int tell(CLI::App const& app, CLI::ParseError const& error) {
  if (error.get_exit_code() == 0) return printed(app.exit(error));
  fmt::print(stderr, "gpt_ckpt: {}\nRun with --help for more.\n", error.what());
  return static_cast<int>(tessera::ExitCode::usage);
}

int tell(tessera::ExitCode code, char const* what) {
  fmt::print(stderr, "gpt_ckpt: {}\n", what);
  return static_cast<int>(code);
}

int run(CLI::App& app, std::function<int()> const& action, int argc, char** argv) {
  try {
    expect_command(app, {argv + std::min(argc, 1), argv + argc});
    app.parse(argc, argv);
    tessera::checkpoint::read_faults();
    return printed(action());
  } catch (CLI::ParseError const& error) {
    return tell(app, error);
  }
}

}  // namespace

int main(int argc, char** argv) {
  tessera::open_standard_streams();
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of writing, told as one
  CLI::App app("Looks at checkpoints of gpt_train, compares and converts them.", "gpt_ckpt");
  app.set_version_flag("--version", "gpt_ckpt of tessera " TESSERA_VERSION);
  app.footer(footer);
  app.require_subcommand(1);
  Arguments arguments;
  std::function<int()> action;
  declare(app, arguments, action);
  try {
    return run(app, action, argc, argv);
  } catch (tessera::Error const& error) {
    return tell(error.code(), error.what());
  } catch (std::system_error const& error) {  // of printing
    return tell(tessera::ExitCode::io, error.what());
  } catch (std::bad_alloc const&) {
    return tell(tessera::ExitCode::no_memory, "not enough memory");
  } catch (std::exception const& error) {
    return tell(tessera::ExitCode::internal, error.what());
  }
}
