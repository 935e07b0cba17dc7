// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tessera/checkpoint/files.hpp"

namespace gpt_ckpt {

/// Throws IoError (cannot_create) unless nothing is there.
void expect_free(std::string const& path);

/// What is being written, under a name of its own beside the place where it is to be:
/// `NAME.gpt_ckpt-partial`, a directory, for no job that trains removes that as a leftover of its own
/// (`step_*.tmp*`). It goes away with this object; one that a killed gpt_ckpt left is emptied and used again.
/// It is held with flock(2), so that two that write the same do not mix.
class Partial {
 public:
  /// `place` is where it is to be, and must not exist; directories above it are made. Throws IoError
  /// (cannot_create) when it does, or when another gpt_ckpt writes it.
  explicit Partial(std::string place);
  Partial(Partial const&) = delete;
  Partial& operator=(Partial const&) = delete;
  ~Partial();

  [[nodiscard]] std::string const& place() const noexcept { return place_; }
  [[nodiscard]] std::string const& directory() const noexcept { return directory_; }

  /// Gives the directory, or the file `name` in it, its place, and returns when that is on the disk.
  void put_in_place();
  void put_in_place(std::string const& name);

 private:
  std::string place_;
  std::string directory_;
  tessera::checkpoint::Descriptor held_;
};

}  // namespace gpt_ckpt
