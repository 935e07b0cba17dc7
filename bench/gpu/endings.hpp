// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What a product's ending (kernels::Ending) costs in the product and after it.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include "measuring.hpp"
#include "tessera/kernels/bias.hpp"
#include "tessera/kernels/gelu.hpp"
#include "tessera/kernels/matmul.hpp"

namespace tessera::bench {

/// The products of GPT-2 124M that have something to do with their result, as one call and as two.
class Endings {
 public:
  explicit Endings(std::size_t rows)
      : rows_(rows),
        x_(random_matrix_of<bf16>(arena_, rows, hidden)),
        weight_(random_vector_of<bf16>(arena_, 4 * hidden * hidden, 2)),
        before_(random_matrix_of<bf16>(arena_, rows, 4 * hidden, 3)),
        out_(arena_.matrix<bf16>(rows, 4 * hidden)),
        wide_bias_(random_vector(arena_, 4 * hidden)),
        bias_(random_vector_of<bf16>(arena_, 4 * hidden)) {}

  void run(std::string const& backend) {
    auto const part = [&](char const* name, kernels::Ending ending, std::size_t width, auto const& step) {
      auto const apart = [&] {
        product(*apart_, width, ending, kernels::Ending::none);
        step(Matrix<bf16>(out_.data(), rows_, width));
      };
      print(name, "apart", width, apart);
      if (kernels::matmul_ending<bf16>(*fused_, exec(), shape(width, ending), x_.data(), weight_.data(),
                                       ending, bias_.data(), before_.data(), out_.data()))
        print(name, "fused", width, [&] { product(*fused_, width, ending, ending); });
    };
    apart_ = make(backend, "off");
    fused_ = make(backend, "on");
    part("bias", kernels::Ending::bias, 3 * hidden, [&](Matrix<bf16> y) {
      kernels::add_bias<bf16>(exec(), y, Vector<float>(wide_bias_.data(), 3 * hidden));
    });
    part("bias_gelu", kernels::Ending::bias_gelu, 4 * hidden,
         [&](Matrix<bf16> y) { kernels::bias_gelu_forward<bf16>(exec(), before_, wide_bias_, y); });
    part("gelu_slope", kernels::Ending::gelu_slope, 4 * hidden,
         [&](Matrix<bf16> y) { kernels::gelu_backward<bf16>(exec(), y, before_, y); });
  }

 private:
  static std::unique_ptr<kernels::MatmulProvider> make(std::string const& backend, char const* endings) {
    setenv("TESSERA_CUBLAS_ENDINGS", endings, 1);
    return kernels::make_matmul_provider(backend, DType::bf16);
  }
  [[nodiscard]] kernels::MatmulShape shape(std::size_t width, kernels::Ending ending) const {
    auto const n = static_cast<std::ptrdiff_t>(width), k = static_cast<std::ptrdiff_t>(hidden);
    bool const forward = ending != kernels::Ending::gelu_slope;
    auto const transposed = forward ? kernels::Transpose::yes : kernels::Transpose::no;
    return {kernels::Transpose::no, transposed, static_cast<std::ptrdiff_t>(rows_), n, k, k,
            forward ? k : n,        n};
  }
  /// The product of `of`, with the ending `done` in it.
  void product(kernels::MatmulProvider const& provider, std::size_t width, kernels::Ending of,
               kernels::Ending done) {
    if (done == kernels::Ending::none) {
      kernels::matmul<bf16>(provider, exec(), shape(width, of), x_.data(), weight_.data(), 0, out_.data());
    } else {
      kernels::matmul_ending<bf16>(provider, exec(), shape(width, of), x_.data(), weight_.data(), done,
                                   bias_.data(), before_.data(), out_.data());
    }
  }
  template <class Call>
  void print(char const* name, char const* how, std::size_t width, Call const& call) const {
    print_operations("ending", fmt::format("{}/{}", name, how),
                     2.0 * static_cast<double>(rows_ * width * hidden), seconds(call));
  }

  Arena arena_{"tessera::bench::endings"};
  std::size_t rows_;
  Matrix<bf16> x_;
  Vector<bf16> weight_;
  Matrix<bf16> before_, out_;
  Vector<float> wide_bias_;
  Vector<bf16> bias_;
  std::unique_ptr<kernels::MatmulProvider> apart_, fused_;
};

}  // namespace tessera::bench
