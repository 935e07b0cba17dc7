// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What cuBLASLt says of the ways in which it can make a product.
#pragma once

#include <cublasLt.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "column_major.hpp"
#include "tessera/base/dtype.hpp"

namespace tessera::cublas {

/// Memory that a product may use beside its operands: the same for all, since it decides what may be chosen.
inline constexpr std::size_t workspace_bytes = std::size_t{32} << 20;

/// A product as the library has it described; all is borrowed.
struct Described {
  cublasLtHandle_t handle;
  cublasLtMatmulDesc_t product;
  cublasLtMatrixLayout_t a, b, c;
  ColumnMajor shape;
  DType operands, result;
};

struct Proposal {
  cublasLtMatmulAlgo_t algorithm;
  double waves;  ///< tiles of the result, by how many the GPU works on at once
};

/// What the library proposes, best first, where sums may be cut into parts that are added by `reductions`
/// (CUBLASLT_REDUCTION_SCHEME_...); nothing where it cannot make the product so.
[[nodiscard]] std::vector<Proposal> proposals(Described const& product, std::uint32_t reductions);

/// The proposal with another tile (CUBLASLT_MATMUL_TILE_...); nothing where its algorithm has no such.
[[nodiscard]] std::optional<Proposal> with_tile(Described const& product, Proposal proposal,
                                                std::uint32_t tile);

/// An attribute of an algorithm; 0 where it has none of the kind.
[[nodiscard]] std::uint32_t attribute(cublasLtMatmulAlgo_t const& algorithm,
                                      cublasLtMatmulAlgoConfigAttributes_t which,
                                      std::size_t bytes = sizeof(std::uint32_t));

}  // namespace tessera::cublas
