// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Which of the algorithms that cuBLASLt proposes makes a product of the tensor cores: a rule over what it
// says of them. Nothing is timed, so that one model of GPU always makes one choice.
#pragma once

#include <cstddef>
#include <span>

namespace tessera::cublas {

/// What is known of a proposed algorithm.
struct Candidate {
  int family = 0;    ///< the library's number of the algorithm, of which tile and cluster are variants
  double waves = 0;  ///< tiles of the result, by how many the GPU works on at once
};

/// The largest tile of which each half of a processor's threads can hold one: then one tile is stored while
/// the next is multiplied, which is worth more than the fewer reads of larger tiles.
inline constexpr double alternating_tile = 176 * 128;

/// Index of the first candidate of `family` whose tiles are no larger than that, else of the first of
/// `family`, else 0. `results` is the number of elements of the product for each processor of the GPU.
[[nodiscard]] std::size_t choose(std::span<Candidate const> candidates, int family, double results);

/// Whether so few tiles leave half of the GPU or more without work, so that smaller ones are faster.
[[nodiscard]] bool leaves_half_idle(double waves);

}  // namespace tessera::cublas
