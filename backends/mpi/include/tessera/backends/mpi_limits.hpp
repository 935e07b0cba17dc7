// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace tessera::backends::mpi {

/// The most elements handed to one MPI call; larger counts are cut into several calls. The largest int,
/// unless a test has lowered it.
[[nodiscard]] std::size_t max_count() noexcept;

/// Lowers the limit so that a test reaches the cutting without gigabytes; 0 restores it. The same on all
/// ranks, with no operation under way.
void set_max_count_for_tests(std::size_t count) noexcept;

}  // namespace tessera::backends::mpi
