// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/micro_product.hpp"
#include "kernels/plain_matmul.hpp"
#include "tessera/base/error.hpp"
#include "tessera/kernels/launch.hpp"
#include "tessera/kernels/math.hpp"
#include "tessera/kernels/matmul.hpp"

namespace tessera::kernels {

namespace {

std::string const label_matmul = "tessera::kernels::plain_matmul";

/// Blocks of a product on a host: the packed panel of B stays in the second-level cache, that of A in the
/// first.
constexpr std::ptrdiff_t block_k = 256;
constexpr std::ptrdiff_t block_m = 64;
constexpr std::ptrdiff_t block_n = 512;

template <class T, class C = T>
struct Operands {
  MatmulShape shape;
  T const* a;
  T const* b;
  C* c;
  bool accumulate;

  /// Element (i, k) of op(A) is at a[i * a_row() + k * a_column()]; (k, j) of op(B) at b[k * b_row() + j *
  /// b_column()].
  [[nodiscard]] KOKKOS_INLINE_FUNCTION std::ptrdiff_t a_row() const { return a_transposed() ? 1 : shape.lda; }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION std::ptrdiff_t a_column() const {
    return a_transposed() ? shape.lda : 1;
  }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION std::ptrdiff_t b_row() const { return b_transposed() ? 1 : shape.ldb; }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION std::ptrdiff_t b_column() const {
    return b_transposed() ? shape.ldb : 1;
  }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION bool a_transposed() const {
    return shape.transpose_a == Transpose::yes;
  }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION bool b_transposed() const {
    return shape.transpose_b == Transpose::yes;
  }
};

/// Copies a (count, k) piece, element (i, p) at from[i * step + p * step_k], into panels of `panel`
/// neighbours: to[(i / panel * k + p) * panel + i % panel], the last panel filled up with zeros.
template <class T>
void pack(T const* from, std::ptrdiff_t step, std::ptrdiff_t step_k, std::ptrdiff_t count, std::ptrdiff_t k,
          std::ptrdiff_t panel, T* to) {
  for (std::ptrdiff_t i = 0; i < count; i += panel, to += panel * k) {
    std::ptrdiff_t const own = std::min(panel, count - i);
    for (std::ptrdiff_t p = 0; p < k; ++p) {
      T const* const column = from + i * step + p * step_k;
      for (std::ptrdiff_t q = 0; q < own; ++q) to[p * panel + q] = column[q * step];
      for (std::ptrdiff_t q = own; q < panel; ++q) to[p * panel + q] = T(0);
    }
  }
}

/// Where one thread keeps its packed panels.
template <class T>
struct Panels {
  T a[block_m * block_k];
  T b[block_n * block_k];
};

/// The rows and columns of C that one step of the blocking works on.
struct Window {
  std::ptrdiff_t i, m, j, n, p, k;
};

/// C's window += the packed panels' product; blocks that stick out of C go through a buffer.
template <class T>
void multiply_panels(Operands<T> const& x, Window const& w, Panels<T> const& panels) {
  constexpr std::ptrdiff_t rows_at_once = micro::block_rows;
  constexpr std::ptrdiff_t columns_at_once = micro::block_columns<T>;
  bool const add = x.accumulate || w.p > 0;
  for (std::ptrdiff_t j = 0; j < w.n; j += columns_at_once) {
    micro::Rows<T const> const b{panels.b + j * w.k, columns_at_once};
    for (std::ptrdiff_t i = 0; i < w.m; i += rows_at_once) {
      micro::Left<T> const a{panels.a + i * w.k, 1, rows_at_once};
      micro::Rows<T> const c{x.c + (w.i + i) * x.shape.ldc + w.j + j, x.shape.ldc};
      std::ptrdiff_t const own_rows = std::min(rows_at_once, w.m - i);
      std::ptrdiff_t const own_columns = std::min(columns_at_once, w.n - j);
      if (own_rows == rows_at_once && own_columns == columns_at_once) {
        micro::block<T>(w.k, a, b, c, add);
        continue;
      }
      T buffer[rows_at_once * columns_at_once] = {};
      micro::Rows<T> const inside{buffer, columns_at_once};
      for (std::ptrdiff_t r = 0; add && r < own_rows; ++r) {
        std::copy_n(c.at(r, 0).data, own_columns, inside.at(r, 0).data);
      }
      micro::block<T>(w.k, a, b, inside, add);
      for (std::ptrdiff_t r = 0; r < own_rows; ++r)
        std::copy_n(inside.at(r, 0).data, own_columns, c.at(r, 0).data);
    }
  }
}

/// All of C's columns [j, j + n), on one host thread. k is cut into fixed blocks, each added to C in turn.
template <class T>
void multiply_columns(Operands<T> const& x, std::ptrdiff_t j, std::ptrdiff_t n, Panels<T>& panels) {
  MatmulShape const& s = x.shape;
  for (std::ptrdiff_t p = 0; p < s.k; p += block_k) {
    std::ptrdiff_t const k = std::min(block_k, s.k - p);
    pack(x.b + p * x.b_row() + j * x.b_column(), x.b_column(), x.b_row(), n, k, micro::block_columns<T>,
         panels.b);
    for (std::ptrdiff_t i = 0; i < s.m; i += block_m) {
      std::ptrdiff_t const m = std::min(block_m, s.m - i);
      pack(x.a + i * x.a_row() + p * x.a_column(), x.a_row(), x.a_column(), m, k, micro::block_rows,
           panels.a);
      multiply_panels(x, Window{i, m, j, n, p, k}, panels);
    }
  }
}

template <class T>
constexpr std::size_t bytes_of_team = sizeof(Panels<T>) + simd::vector_bytes;

template <class T>
void multiply_on_host(ExecutionSpace const& exec, Operands<T> const& x) {
  using Policy = Kokkos::TeamPolicy<ExecutionSpace>;
  Policy policy(exec, static_cast<int>((x.shape.n + block_n - 1) / block_n), 1);
  policy.set_scratch_size(1, Kokkos::PerTeam(bytes_of_team<T>));
  Kokkos::parallel_for(label_matmul, policy, [=](typename Policy::member_type const& team) {
    auto* const panels =
        static_cast<Panels<T>*>(team.team_scratch(1).get_shmem_aligned(sizeof(Panels<T>), 64));
    std::ptrdiff_t const j = team.league_rank() * block_n;
    multiply_columns(x, j, std::min(block_n, x.shape.n - j), *panels);
  });
}

/// One element of C a thread.
template <class T, class C>
void multiply_on_device(ExecutionSpace const& exec, Operands<T, C> const& x) {
  elements(
      exec, label_matmul, x.shape.m * x.shape.n, KOKKOS_LAMBDA(std::ptrdiff_t index) {
        std::ptrdiff_t const i = index / x.shape.n;
        std::ptrdiff_t const j = index % x.shape.n;
        C* const c = x.c + i * x.shape.ldc + j;
        Wide<T> sum = x.accumulate ? static_cast<Wide<T>>(*c) : Wide<T>(0);
        for (std::ptrdiff_t k = 0; k < x.shape.k; ++k) {
          Wide<T> const a = x.a[i * x.a_row() + k * x.a_column()];
          Wide<T> const b = x.b[k * x.b_row() + j * x.b_column()];
          sum = math::fma(a, b, sum);
        }
        *c = static_cast<C>(sum);
      });
}

template <class T, class C>
void multiply(ExecutionSpace const& exec, Operands<T, C> const& x) {
  if constexpr (!runs_on_host) {
    multiply_on_device(exec, x);
  } else if constexpr (std::is_same_v<T, Wide<T>>) {  // a host widens 16 bits before it multiplies
    multiply_on_host(exec, x);
  }
}

class PlainMatmul final : public MatmulProvider {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "plain"; }
  [[nodiscard]] bool supports(DType operands) const noexcept override {
    return operands == DType::f32 || operands == DType::f64 || (is_narrow(operands) && !runs_on_host);
  }
  void multiply(StreamRef stream, DType operands, DType result, MatmulShape const& shape, void const* a,
                void const* b, double beta, void* c) const override {
    require(beta == 0 || beta == 1, "a product overwrites or accumulates: beta is 0 or 1");
    require(supports(operands), "the plain product takes f32 and f64, and bf16 and f16 on devices");
    ExecutionSpace const exec = stream.exec() != nullptr ? *stream.exec() : ExecutionSpace();
    if (operands == DType::f32) return run<float, float>(exec, shape, a, b, beta, c);
    if (operands == DType::f64) return run<double, double>(exec, shape, a, b, beta, c);
    if (operands == DType::f16) return run_narrow<f16>(exec, result, shape, a, b, beta, c);
    run_narrow<bf16>(exec, result, shape, a, b, beta, c);
  }

 private:
  template <class T>
  static void run_narrow(ExecutionSpace const& exec, DType result, MatmulShape const& shape, void const* a,
                         void const* b, double beta, void* c) {
    if (result == DType::f32) return run<T, float>(exec, shape, a, b, beta, c);
    run<T, T>(exec, shape, a, b, beta, c);
  }
  template <class T, class C>
  static void run(ExecutionSpace const& exec, MatmulShape const& shape, void const* a, void const* b,
                  double beta, void* c) {
    kernels::multiply(exec, Operands<T, C>{shape, static_cast<T const*>(a), static_cast<T const*>(b),
                                           static_cast<C*>(c), beta == 1});
  }
};

}  // namespace

std::size_t plain_scratch_bytes(DType type) {
  if (!runs_on_host) return 0;
  auto const teams = static_cast<std::size_t>(ExecutionSpace().concurrency());
  return teams * (type == DType::f64 ? bytes_of_team<double> : bytes_of_team<float>);
}

std::unique_ptr<MatmulProvider> make_plain_matmul() { return std::make_unique<PlainMatmul>(); }

}  // namespace tessera::kernels
