// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Rule 4 of docs/numerics.md: an element's bits do not depend on where a call begins or how long it is, so
// that no compiler's choice between vector body and scalar end is ever seen. Each kernel is called on one
// whole tensor and on every part of it that begins at 0..16 and is 1..67 long, and all elements are compared
// bit for bit.
#include "tensors.hpp"
#include "tessera/kernels/adamw.hpp"
#include "tessera/kernels/bias.hpp"
#include "tessera/kernels/cross_entropy.hpp"
#include "tessera/kernels/embedding.hpp"
#include "tessera/kernels/gelu.hpp"
#include "tessera/kernels/layer_norm.hpp"
#include "tessera/kernels/residual.hpp"
#include "tessera/kernels/tree.hpp"

namespace tessera::kernels::test {

namespace {

constexpr std::size_t starts = 17;
constexpr std::size_t longest = 67;
constexpr std::size_t whole = starts + longest;

template <class T>
using Columns = std::vector<Buffer<T>>;

/// Runs `kernel(part of every tensor, start, length)` on the whole and on all parts; the tensors hold `row`
/// elements for each of `whole` places, and the kernel changes them in place.
template <class T, class Kernel>
void expect_same_bits_for_all_parts(Columns<T> const& tensors, std::size_t row, Kernel const& kernel) {
  auto const run = [&](std::size_t start, std::size_t length) {
    Columns<T> parts;
    for (auto const& tensor : tensors) {
      auto const from = tensor.begin() + static_cast<std::ptrdiff_t>(start * row);
      parts.emplace_back(from, from + static_cast<std::ptrdiff_t>(length * row));
    }
    kernel(parts, start);
    return parts;
  };
  Columns<T> const all = run(0, whole);
  for (std::size_t start = 0; start < starts; ++start) {
    for (std::size_t length = 1; length <= longest; ++length) {
      Columns<T> const parts = run(start, length);
      for (std::size_t i = 0; i < all.size(); ++i) {
        auto const from = all[i].begin() + static_cast<std::ptrdiff_t>(start * row);
        ASSERT_TRUE(same_bits(parts[i], Buffer<T>(from, from + static_cast<std::ptrdiff_t>(length * row))))
            << "tensor " << i << ", start " << start << ", length " << length;
      }
    }
  }
}

template <class T>
class StartsTest : public ::testing::Test {
 protected:
  static Columns<T> tensors(std::size_t count, std::size_t row, double scale = 2) {
    Columns<T> result;
    for (std::size_t i = 0; i < count; ++i) {
      result.push_back(as<T>(random_tensor(whole * row, 50 + static_cast<unsigned>(i), scale)));
    }
    return result;
  }
};
TYPED_TEST_SUITE(StartsTest, ComputeTypes);

TYPED_TEST(StartsTest, GeluOfColumns) {
  using T = TypeParam;
  expect_same_bits_for_all_parts<T>(this->tensors(4, 1), 1, [](Columns<T>& p, std::size_t) {
    std::size_t const n = p[0].size();
    bias_gelu_forward<T>(exec(), mat(p[0], n), vec(p[1]), mat(p[2], n));
    gelu_backward<T>(exec(), mat(p[3], n), mat(p[0], n), mat(p[3], n));
  });
}

TYPED_TEST(StartsTest, AdamwOfElements) {
  using T = TypeParam;
  auto tensors = this->tensors(4, 1);
  for (T& x : tensors[3]) x = std::abs(x);
  expect_same_bits_for_all_parts<T>(tensors, 1, [](Columns<T>& p, std::size_t) {
    adamw<T>(exec(), vec(p[0]), vec(p[1]), vec(p[2]), vec(p[3]), {1e-2, 0.9, 0.95, 1e-8, 0.1, 0.7, 3});
  });
}

TYPED_TEST(StartsTest, LossOfTokens) {
  using T = TypeParam;
  auto tensors = this->tensors(4, 1);
  for (T& x : tensors[1]) x = std::abs(x) + T(1);
  expect_same_bits_for_all_parts<T>(tensors, 1, [](Columns<T>& p, std::size_t) {
    cross_entropy_loss<T>(exec(), vec(p[0]), vec(p[1]), vec(p[2]), vec(p[3]));
  });
}

TYPED_TEST(StartsTest, SumsOverTilesAndSmallOperations) {
  using T = TypeParam;
  expect_same_bits_for_all_parts<T>(this->tensors(3, 1), 1, [](Columns<T>& p, std::size_t) {
    std::size_t const n = p[0].size();
    Buffer<T> parts = p[0];
    for (int i = 1; i < 5; ++i)
      parts.insert(parts.end(), p[static_cast<std::size_t>(i % 3)].begin(),
                   p[static_cast<std::size_t>(i % 3)].end());
    tree_sum<T>(exec(), mat(parts, n), vec(p[0]));
    add_to<T>(exec(), vec(p[1]), vec(p[2]));
    add_positive_zero<T>(exec(), vec(p[2]));
  });
}

TYPED_TEST(StartsTest, BiasAndColumnSumsOfColumns) {
  using T = TypeParam;
  expect_same_bits_for_all_parts<T>(this->tensors(4, 1), 1, [](Columns<T>& p, std::size_t) {
    std::size_t const n = p[0].size();
    Buffer<T> rows_of_x;
    for (int i = 0; i < 40; ++i) {
      rows_of_x.insert(rows_of_x.end(), p[static_cast<std::size_t>(i % 3)].begin(),
                       p[static_cast<std::size_t>(i % 3)].end());
    }
    add_bias<T>(exec(), mat(rows_of_x, n), vec(p[1]));
    column_sums<T>(exec(), mat(rows_of_x, n), vec(p[3]), true);
  });
}

TYPED_TEST(StartsTest, ResidualAndDropoutOfRows) {
  using T = TypeParam;
  std::size_t const d = 33;
  auto bias = as<T>(random_tensor(d, 9));
  expect_same_bits_for_all_parts<T>(this->tensors(3, d), d, [&](Columns<T>& p, std::size_t start) {
    DropoutRows dropout;
    dropout.probability = 0.25F;
    dropout.site = RandomSite(3, 4, 5);
    dropout.first_position = static_cast<std::int64_t>(start);
    dropout.total_positions = whole;
    bias_dropout_add<T>(exec(), mat(p[0], d), vec(bias), mat(p[1], d), dropout, mat(p[2], d));
    dropout_backward<T>(exec(), mat(p[0], d), dropout, mat(p[1], d));
    position_forward<T>(exec(), mat(p[0], d), mat(p[2], d), 0, 1, dropout, mat(p[0], d));
  });
}

TYPED_TEST(StartsTest, LayerNormOfRows) {
  using T = TypeParam;
  std::size_t const d = 37;
  auto gamma = as<T>(random_tensor(d, 9));
  auto beta = as<T>(random_tensor(d, 10));
  expect_same_bits_for_all_parts<T>(this->tensors(3, d), d, [&](Columns<T>& p, std::size_t) {
    std::size_t const n = p[0].size() / d;
    Buffer<T> mean(n);
    Buffer<T> rstd(n);
    layer_norm_forward<T>(exec(), mat(p[0], d), vec(gamma), vec(beta), T(1e-5), mat(p[1], d), vec(mean),
                          vec(rstd));
    layer_norm_backward<T>(exec(), mat(p[2], d), mat(p[0], d), vec(gamma), vec(mean), vec(rstd), mat(p[2], d),
                           false);
  });
}

TYPED_TEST(StartsTest, CrossEntropyOfRows) {
  using T = TypeParam;
  std::size_t const width = 45;
  expect_same_bits_for_all_parts<T>(this->tensors(1, width, 8), width, [&](Columns<T>& p, std::size_t) {
    std::size_t const n = p[0].size() / width;
    Buffer<std::int32_t> const targets(n, 7);
    Vector<std::int32_t const> const target_view(targets.data(), n);
    Buffer<T> maximum(n);
    Buffer<T> sum(n);
    Buffer<T> target(n);
    cross_entropy_max<T>(exec(), mat(p[0], width), 44, vec(maximum), false);
    cross_entropy_sums<T>(exec(), mat(p[0], width), 44, vec(maximum), target_view, 0, vec(sum), vec(target));
    cross_entropy_backward<T>(exec(), mat(p[0], width), 44, vec(maximum), vec(sum), target_view, 0, T(0.125));
  });
}

/// Rows at every alignment of memory: the same values from every start of a buffer.
TYPED_TEST(StartsTest, NormAndCrossEntropyOfRowsAtEveryAlignmentAndWidth) {
  using T = TypeParam;
  auto const values = as<T>(random_tensor(longest, 60, 4));
  for (std::size_t width = 1; width <= longest; ++width) {
    Buffer<T> first;
    for (std::size_t start = 0; start < starts; ++start) {
      Buffer<T> buffer(start + width);
      std::copy_n(values.begin(), width, buffer.begin() + static_cast<std::ptrdiff_t>(start));
      Buffer<T> ones(width, T(1));
      Buffer<T> result(width + 4);
      Matrix<T const> const x(buffer.data() + start, 1, width);
      layer_norm_forward<T>(exec(), x, vec(ones), vec(ones), T(1e-5), Matrix<T>(result.data(), 1, width),
                            Vector<T>(&result[width], 1), Vector<T>(&result[width + 1], 1));
      Buffer<T> zero(1);
      Buffer<std::int32_t> const target(1, 0);
      cross_entropy_sums<T>(exec(), x, static_cast<std::int64_t>(width), vec(zero),
                            Vector<std::int32_t const>(target.data(), 1), 0, Vector<T>(&result[width + 2], 1),
                            Vector<T>(&result[width + 3], 1));
      if (first.empty()) first = result;
      ASSERT_TRUE(same_bits(result, first)) << "start " << start << ", width " << width;
    }
  }
}

}  // namespace

}  // namespace tessera::kernels::test
