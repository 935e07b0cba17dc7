// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// How cuBLASLt makes the products of one shape: found once, by a rule in which nothing depends on where or
// when.
#pragma once

#include <cublasLt.h>

#include <string>

#include "proposals.hpp"
#include "tessera/base/unique_handle.hpp"

namespace tessera::cublas {

/// What one plan is for.
struct Problem {
  DType operands = DType::f32, result = DType::f32;
  bool tf32 = false;  ///< f32 operands may be rounded to 10 bits of mantissa for the tensor cores
  kernels::MatmulShape shape;
  kernels::Ending ending = kernels::Ending::none;
};
/// Some order, for a map.
[[nodiscard]] bool operator<(Problem const& a, Problem const& b);

struct DescriptorTraits {
  using Handle = cublasLtMatmulDesc_t;
  static Handle null() noexcept { return nullptr; }
  static void free(Handle handle) noexcept { cublasLtMatmulDescDestroy(handle); }
};
struct LayoutTraits {
  using Handle = cublasLtMatrixLayout_t;
  static Handle null() noexcept { return nullptr; }
  static void free(Handle handle) noexcept { cublasLtMatrixLayoutDestroy(handle); }
};

/// The descriptors of a problem and the one algorithm that all its products are made by, of those that the
/// library proposes without split-K, whose sums depend on how the product was cut: in float32 and double the
/// first, on tensor cores by the rule of choice.hpp.
class Plan {
 public:
  /// `placeholder` is any memory of the device that begins on a multiple of 256 bytes: the library asks where
  /// a bias lies before it proposes anything, and no call's own place may decide.
  Plan(cublasLtHandle_t library, Problem const& problem, void* placeholder);

  /// Whether the library has an algorithm.
  [[nodiscard]] bool possible() const { return possible_; }

  /// C = op(A) op(B) + beta C, with A and B in the order of MatmulShape, and the problem's ending of it.
  void run(cublasLtHandle_t library, void const* a, void const* b, double beta, void* c,
           kernels::EndingOperands const& more, void* workspace, cudaStream_t stream) const;
  /// "(m, n, k) bf16 to f32 tn: algorithm 66, tile 20, stages 36, cluster 3, custom 0".
  [[nodiscard]] std::string description() const;

 private:
  void describe_ending() const;
  void place_ending(kernels::EndingOperands const& more) const;
  void choose_algorithm(Described const& product);

  Problem problem_;
  UniqueHandle<DescriptorTraits> product_;
  UniqueHandle<LayoutTraits> a_, b_, c_;  // in the library's order
  cublasLtMatmulAlgo_t algorithm_{};
  bool possible_ = false;
};

}  // namespace tessera::cublas
