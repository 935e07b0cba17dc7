// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Matrix products. The library calls one provider, chosen at run time, for all of them; rule 1 of
// docs/numerics.md says how: equal calls on equal values must give equal bits, wherever the operands lie, so
// a provider uses one thread and no state that outlives a call.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>

#include "tessera/base/compute_types.hpp"
#include "tessera/base/dtype.hpp"
#include "tessera/base/stream_ref.hpp"

namespace tessera::kernels {

enum class Transpose : bool { no, yes };

/// C (m, n) = op(A) (m, k) op(B) (k, n) + beta C, all row-major. A is stored (m, k), or (k, m) when
/// transposed; B is stored (k, n), or (n, k) when transposed. Leading dimensions are elements between rows as
/// stored.
struct MatmulShape {
  Transpose transpose_a = Transpose::no;
  Transpose transpose_b = Transpose::no;
  std::ptrdiff_t m = 0, n = 0, k = 0;
  std::ptrdiff_t lda = 0, ldb = 0, ldc = 0;
};

/// What a product may do to its result besides, in the same pass over memory, where a provider offers it.
/// Sums are float32 until the end, so that a result of fewer bits is rounded once, not once a step.
enum class Ending {
  none,
  bias,        ///< C + bias
  bias_gelu,   ///< before = C + bias, C = gelu(before), GELU in its tanh form
  gelu_slope,  ///< C * gelu'(before)
};

/// The operands of an ending, of the result's type: bias (n), and `before`, stored as C is.
struct EndingOperands {
  void const* bias = nullptr;
  void* before = nullptr;
};

/// A library of matrix products (backends/onednn, backends/cblas, or the plain Kokkos one of this room).
class MatmulProvider {
 public:
  virtual ~MatmulProvider() = default;
  MatmulProvider() = default;
  MatmulProvider(MatmulProvider const&) = delete;
  MatmulProvider& operator=(MatmulProvider const&) = delete;

  /// Name and version, for the run's header and for the record of what fixed the bits.
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  /// Whether it multiplies matrices of `operands`, with every result that multiply() allows for them.
  [[nodiscard]] virtual bool supports(DType operands) const noexcept = 0;
  /// The product of `shape` of A and B in `operands`. C is in `result`: the same type, or f32 for bf16
  /// and f16. Products of these are added in float32 and rounded once, at the end, where the result is
  /// narrow. beta is 0 (C is only written) or 1; 0 for a result of 16 bits. Ordered on `stream`.
  virtual void multiply(StreamRef stream, DType operands, DType result, MatmulShape const& shape,
                        void const* a, void const* b, double beta, void* c) const = 0;

  /// Whether multiply_ending() takes this; by the shape alone, like how the product is made.
  [[nodiscard]] virtual bool fuses(DType operands, DType result, MatmulShape const& shape,
                                   Ending ending) const;
  /// multiply() with beta 0 and `ending`. Throws InternalError unless fuses().
  virtual void multiply_ending(StreamRef stream, DType operands, DType result, MatmulShape const& shape,
                               void const* a, void const* b, Ending ending, EndingOperands const& more,
                               void* c) const;
};

/// Typed call of a provider: C is T or Wide<T>.
template <class T, class C>
void matmul(MatmulProvider const& provider, ExecutionSpace const& exec, MatmulShape const& shape, T const* a,
            T const* b, double beta, C* c) {
  static_assert(std::is_same_v<C, T> || std::is_same_v<C, Wide<T>>);
  provider.multiply(StreamRef(exec), dtype_of<T>, dtype_of<C>, shape, a, b, beta, c);
}

/// Typed call of a product with an ending, when the provider fuses it; false when it does not.
template <class T>
bool matmul_ending(MatmulProvider const& provider, ExecutionSpace const& exec, MatmulShape const& shape,
                   T const* a, T const* b, Ending ending, T const* bias, T* before, T* c) {
  if (!provider.fuses(dtype_of<T>, dtype_of<T>, shape, ending)) return false;
  provider.multiply_ending(StreamRef(exec), dtype_of<T>, dtype_of<T>, shape, a, b, ending, {bias, before}, c);
  return true;
}

/// One row of the table of providers built into this binary.
struct MatmulBackend {
  std::string_view name;
  std::unique_ptr<MatmulProvider> (*make)();
};

/// All providers of this binary but the plain one. Generated from the folders under backends/.
std::span<MatmulBackend const> matmul_backends();

/// The product written with Kokkos alone: every space, every type, the fall-back of all others.
[[nodiscard]] std::unique_ptr<MatmulProvider> make_plain_matmul();

/// The provider of `table` called `name` ("plain" is always there), or for "auto" the fastest one that
/// supports `type` (cublas, onednn, cblas, plain). What it does not support it hands to the next of that
/// list; on a host it multiplies bf16 and f16 as float32, widening block by block. Throws ConfigError naming
/// the providers there are.
[[nodiscard]] std::unique_ptr<MatmulProvider> make_matmul_provider(std::span<MatmulBackend const> table,
                                                                   std::string_view name, DType type);

/// The same, out of all providers of this binary. Inline, so that whoever calls it links the table.
[[nodiscard]] inline std::unique_ptr<MatmulProvider> make_matmul_provider(std::string_view name, DType type) {
  return make_matmul_provider(matmul_backends(), name, type);
}

/// Bytes that `provider`, made for `operands`, keeps for itself from its first product on.
[[nodiscard]] std::size_t matmul_scratch_bytes(std::string_view provider, DType operands);

}  // namespace tessera::kernels
