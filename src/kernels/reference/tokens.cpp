// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "kernels/reference/reference.hpp"

namespace tessera::kernels::reference {

Tensor embedding(Buffer<std::int32_t> const& tokens, Tensor const& table, std::size_t d,
                 std::int64_t first_row) {
  Tensor out(tokens.size() * d);
  for (std::size_t r = 0; r < tokens.size(); ++r) {
    std::int64_t const row = tokens[r] - first_row;
    if (row < 0 || row >= static_cast<std::int64_t>(table.size() / d)) continue;
    for (std::size_t c = 0; c < d; ++c) out[r * d + c] = table[static_cast<std::size_t>(row) * d + c];
  }
  return out;
}

Tensor embedding_gradient(Buffer<std::int32_t> const& tokens, Tensor const& dy, std::size_t rows,
                          std::size_t d, std::int64_t first_row) {
  Tensor dtable(rows * d);
  for (std::size_t r = 0; r < tokens.size(); ++r) {
    std::int64_t const row = tokens[r] - first_row;
    if (row < 0 || row >= static_cast<std::int64_t>(rows)) continue;
    for (std::size_t c = 0; c < d; ++c) dtable[static_cast<std::size_t>(row) * d + c] += dy[r * d + c];
  }
  return dtable;
}

CrossEntropy cross_entropy(Tensor const& logits, std::size_t width, std::size_t valid,
                           Buffer<std::int32_t> const& targets, double scale) {
  CrossEntropy result{Tensor(targets.size()), Tensor(logits.size())};
  for (std::size_t r = 0; r < targets.size(); ++r) {
    double const* const row = &logits[r * width];
    double const maximum = *std::max_element(row, row + valid);
    double sum = 0;
    for (std::size_t c = 0; c < valid; ++c) sum += std::exp(row[c] - maximum);
    auto const target = static_cast<std::size_t>(targets[r]);
    result.loss[r] = std::log(sum) + maximum - row[target];
    for (std::size_t c = 0; c < valid; ++c) {
      result.gradient[r * width + c] = scale * (std::exp(row[c] - maximum) / sum - (c == target ? 1 : 0));
    }
  }
  return result;
}

}  // namespace tessera::kernels::reference
