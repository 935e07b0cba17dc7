// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tessera/base/error.hpp"

namespace gpt_train {

/// A file with this content, removed with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view content);
  TemporaryFile(TemporaryFile const&) = delete;
  TemporaryFile& operator=(TemporaryFile const&) = delete;
  ~TemporaryFile();
  [[nodiscard]] std::string const& path() const { return path_; }

 private:
  std::string path_;
};

/// Where the run configurations of the source tree are.
std::string inputs_folder();

/// Parsing `arguments` on a job of `ranks` ranks fails with `code` and exactly as many problems as `parts`,
/// each of which is a part of one of them.
void expect_error(std::vector<std::string> const& arguments, int ranks, tessera::ExitCode code,
                  std::vector<std::string> const& parts);

}  // namespace gpt_train
