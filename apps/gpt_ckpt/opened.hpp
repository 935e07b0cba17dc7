// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tessera/checkpoint/reader.hpp"

namespace gpt_ckpt {

namespace checkpoint = tessera::checkpoint;

/// The checkpoint that a path means: itself, or the newest step in it. Throws DataError (no_input).
[[nodiscard]] std::string resolve(std::string const& path);

/// The same, verified and open. Throws DataError naming every damaged file.
[[nodiscard]] checkpoint::Reader open(std::string const& path);

/// Elements of a part of a tensor, dense.
[[nodiscard]] std::vector<std::byte> read(checkpoint::Reader const& reader,
                                          checkpoint::TensorEntry const& tensor, checkpoint::Box const& box);

/// Cuts a tensor into dense pieces of at most `bytes`, in row-major order.
void for_each_block(checkpoint::TensorEntry const& tensor, std::int64_t bytes,
                    std::function<void(checkpoint::Piece const&)> const& visit);

[[nodiscard]] std::int64_t bytes_of(checkpoint::TensorEntry const& tensor);

/// Of all files, the manifest's own among them: what a run says that it saved.
[[nodiscard]] std::int64_t bytes_of_checkpoint(std::string const& directory,
                                               checkpoint::Manifest const& manifest);

/// "1.5 GiB".
[[nodiscard]] std::string human(std::int64_t bytes);

/// "(3, 4)".
[[nodiscard]] std::string shape_text(std::vector<std::int64_t> const& shape);

}  // namespace gpt_ckpt
