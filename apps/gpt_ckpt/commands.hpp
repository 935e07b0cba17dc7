// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What gpt_ckpt does. Each prints to standard output and returns what the program returns; failures are
// thrown. A path is a checkpoint's directory, or a directory of them and then means the newest step.
#pragma once

#include <string>

namespace gpt_ckpt {

/// One line for the checkpoint that `path` is, or for each step in a directory of them. Sizes are compared
/// with the manifests, bytes are not read.
int list(std::string const& path);

/// Reads and hashes every byte. Throws DataError naming every damaged file.
int verify(std::string const& path);

/// What the manifest says.
int show(std::string const& path);

/// Compares tensors and `state`: 0 when all is the same, bit for bit, else 1. Differences of `config` are
/// told but count as none, as does how tensors are cut. Reads both through buffers of 8 MiB.
int diff(std::string const& a, std::string const& b);

/// Writes the checkpoint at `path` again, as `files` files of about the same size, into the directory `out`,
/// which must not exist.
int reshard(std::string const& path, std::string const& out, int files);

/// Writes one plain HDF5 file, every tensor whole under its name; needs memory for the largest. `file` must
/// not exist. With `dtype` (f32, bf16 or f16; empty: as they are) tensors of another floating-point type are
/// rounded, or widened, to it.
int export_file(std::string const& path, std::string const& file, std::string const& dtype);

}  // namespace gpt_ckpt
