// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "kernels/widened_matmul.hpp"

#include <algorithm>
#include <utility>

#include "tessera/base/arena.hpp"
#include "tessera/base/error.hpp"
#include "tessera/kernels/launch.hpp"

namespace tessera::kernels {

namespace {

/// Blocks: large enough that widening an element, done once in 512 of its multiplications, costs little
/// beside them, small enough for a cache.
constexpr std::ptrdiff_t block_m = 512;
constexpr std::ptrdiff_t block_n = 512;
constexpr std::ptrdiff_t block_k = 2048;

/// An operand as it is stored.
template <class T>
struct Stored {
  T const* data;
  std::ptrdiff_t ld;
  bool transposed;
};

/// Rows [row, row + rows) and columns [column, column + columns) of op(x) in `to`, stored as x is, without
/// gaps. Returns the leading dimension there.
template <class T>
std::ptrdiff_t widen(Stored<T> const& x, std::ptrdiff_t row, std::ptrdiff_t column, std::ptrdiff_t rows,
                     std::ptrdiff_t columns, float* to) {
  if (x.transposed) {
    std::swap(row, column);
    std::swap(rows, columns);
  }
  for (std::ptrdiff_t r = 0; r < rows; ++r) {
    T const* const from = x.data + (row + r) * x.ld + column;
    float* const line = to + r * columns;
    detail::independent(columns, [&](std::ptrdiff_t c) { line[c] = from[c]; });
  }
  return columns;
}

/// Where a block of the result is made: in place when it is f32, else in scratch.
struct Block {
  float* data;
  std::ptrdiff_t ld;
};

class WidenedMatmul final : public MatmulProvider {
 public:
  explicit WidenedMatmul(std::unique_ptr<MatmulProvider> inner) : inner_(std::move(inner)) {}
  [[nodiscard]] std::string_view name() const noexcept override { return inner_->name(); }
  [[nodiscard]] bool supports(DType operands) const noexcept override {
    return is_narrow(operands) || inner_->supports(operands);
  }

  void multiply(StreamRef stream, DType operands, DType result, MatmulShape const& shape, void const* a,
                void const* b, double beta, void* c) const override {
    if (!is_narrow(operands)) return inner_->multiply(stream, operands, result, shape, a, b, beta, c);
    require(result == DType::f32 || beta == 0, "a result of 16 bits is only written");
    take_memory();
    if (operands == DType::f16) return multiply<f16>(stream, result, shape, a, b, beta, c);
    multiply<bf16>(stream, result, shape, a, b, beta, c);
  }

 private:
  template <class T>
  void multiply(StreamRef stream, DType result, MatmulShape const& shape, void const* a, void const* b,
                double beta, void* c) const {
    Stored<T> const left{static_cast<T const*>(a), shape.lda, shape.transpose_a == Transpose::yes};
    Stored<T> const right{static_cast<T const*>(b), shape.ldb, shape.transpose_b == Transpose::yes};
    for (std::ptrdiff_t i = 0; i < shape.m; i += block_m) {
      for (std::ptrdiff_t j = 0; j < shape.n; j += block_n) {
        auto part = shape;
        part.m = std::min(block_m, shape.m - i);
        part.n = std::min(block_n, shape.n - j);
        std::ptrdiff_t const place = i * shape.ldc + j;
        if (result == DType::f32) {
          multiply_block(stream, part, left, right, i, j, beta, {static_cast<float*>(c) + place, shape.ldc});
        } else {
          multiply_block(stream, part, left, right, i, j, 0, {c_.data(), part.n});
          round_block(part, static_cast<T*>(c) + place, shape.ldc);
        }
      }
    }
  }

  void take_memory() const {
    if (a_.data() != nullptr) return;
    a_ = memory_.vector<float>(static_cast<std::size_t>(block_m * block_k));
    b_ = memory_.vector<float>(static_cast<std::size_t>(block_n * block_k));
    c_ = memory_.vector<float>(static_cast<std::size_t>(block_m * block_n));
  }

  /// The block of `part`'s size at (i, j), k cut into fixed pieces that are added one after another.
  template <class T>
  void multiply_block(StreamRef stream, MatmulShape part, Stored<T> const& left, Stored<T> const& right,
                      std::ptrdiff_t i, std::ptrdiff_t j, double beta, Block const& out) const {
    std::ptrdiff_t const k = part.k;
    part.ldc = out.ld;
    for (std::ptrdiff_t p = 0; p < k; p += block_k) {
      part.k = std::min(block_k, k - p);
      bool const still_there = k <= block_k && j > 0;  // from the block to the left
      part.lda =
          still_there ? (left.transposed ? part.m : part.k) : widen(left, i, p, part.m, part.k, a_.data());
      part.ldb = widen(right, p, j, part.k, part.n, b_.data());
      inner_->multiply(stream, DType::f32, DType::f32, part, a_.data(), b_.data(), p == 0 ? beta : 1.0,
                       out.data);
    }
  }

  template <class T>
  void round_block(MatmulShape const& part, T* to, std::ptrdiff_t ld) const {
    for (std::ptrdiff_t r = 0; r < part.m; ++r) {
      float const* const from = c_.data() + r * part.n;
      T* const line = to + r * ld;
      detail::independent(part.n, [&](std::ptrdiff_t c) { line[c] = static_cast<T>(from[c]); });
    }
  }

  std::unique_ptr<MatmulProvider> inner_;
  mutable Arena memory_{"tessera::kernels::widened_matmul"};
  mutable Vector<float> a_, b_, c_;  // contents do not outlive a call
};

}  // namespace

std::unique_ptr<MatmulProvider> make_widened(std::unique_ptr<MatmulProvider> inner) {
  return std::make_unique<WidenedMatmul>(std::move(inner));
}

std::size_t widened_scratch_bytes() {
  return static_cast<std::size_t>(block_m * block_k + block_n * block_k + block_m * block_n) * sizeof(float);
}

}  // namespace tessera::kernels
