// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Forward and backward of attention for one shape in bf16, f16 or float: inputs, results, and how far results
// may be from the reference.
#pragma once

#include "kernels/attention_call.hpp"
#include "tensors.hpp"

namespace tessera::kernels::test {

template <class T>
struct AttentionCase {
  AttentionCase(reference::AttentionSizes const& s, float probability)
      : sizes(s),
        width(s.heads * s.head_size),
        qkv(rounded(random_tensor(s.positions * s.batch * 3 * width, 1, 2))),
        dout(rounded(random_tensor(s.positions * s.batch * width, 2))),
        out(dout.size()),
        dqkv(qkv.size()),
        log_sum_exp(s.heads * s.batch * s.positions),
        deltas(log_sum_exp.size()) {
    dropout.probability = probability;
    dropout.site = RandomSite(11, 12, 13);
    dropout.first_sequence = 2;
    dropout.first_head = 1;
    dropout.total_heads = static_cast<std::int64_t>(s.heads) + 2;
  }

  static Buffer<T> rounded(Tensor const& tensor) {
    Buffer<T> result(tensor.size());
    for (std::size_t i = 0; i < tensor.size(); ++i) result[i] = T(static_cast<float>(tensor[i]));
    return result;
  }

  [[nodiscard]] AttentionShape shape() const {
    return {static_cast<std::ptrdiff_t>(sizes.batch), static_cast<std::ptrdiff_t>(sizes.positions),
            static_cast<std::ptrdiff_t>(sizes.heads), static_cast<std::ptrdiff_t>(sizes.head_size)};
  }
  [[nodiscard]] DropoutFactors drawn() const { return {dropout.probability, dropout.site}; }
  attention::Forward<T> forward() {
    return {shape(), qkv.data(), out.data(), log_sum_exp.data(), dropout, drawn()};
  }
  attention::Backward<T> backward() {
    return {shape(), qkv.data(), out.data(), log_sum_exp.data(), dout.data(), dropout, drawn(), dqkv.data()};
  }

  /// The factors of all probabilities, by the formula of kernels/dropout.hpp.
  [[nodiscard]] Tensor factors() const {
    Tensor result;
    std::size_t const square = sizes.positions * sizes.positions;
    for (std::size_t b = 0; b < sizes.batch; ++b) {
      for (std::size_t h = 0; h < sizes.heads; ++h) {
        std::uint64_t const first = ((2 + b) * (sizes.heads + 2) + 1 + h) * square;
        Tensor const part = factors_of(dropout.probability, dropout.site, first, square);
        result.insert(result.end(), part.begin(), part.end());
      }
    }
    return result;
  }

  /// Results within some roundings of T of the reference.
  void expect_truth() const {
    double const allowed = std::is_same_v<T, bf16>  ? 2 * 0x1p-8
                           : std::is_same_v<T, f16> ? 2 * 0x1p-11
                                                    : tolerance<float>(32);
    auto const truth = reference::attention(sizes, widened(qkv), factors());
    expect_near(out, truth.out, allowed);
    expect_near(log_sum_exp, truth.log_sum_exp, tolerance<float>(16));
    expect_near(dqkv, reference::attention_gradient(sizes, widened(qkv), widened(dout), factors()),
                2 * allowed);
  }

  reference::AttentionSizes sizes;
  std::size_t width;
  DropoutHeads dropout;
  Buffer<T> qkv, dout, out, dqkv;
  Buffer<float> log_sum_exp, deltas;
};

}  // namespace tessera::kernels::test
