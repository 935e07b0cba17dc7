// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The library against what PyTorch computed (tests/reference), on one rank and on every axis.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <optional>

#include "recorded_training.hpp"
#include "support/device.hpp"
#include "support/parallel.hpp"

namespace tessera::model::test {
namespace {

template <class T>
struct Precision;
template <>
struct Precision<float> {
  static constexpr char const* name = "float32";
  static constexpr double tolerance = 1e-5;
};
template <>
struct Precision<double> {
  static constexpr char const* name = "float64";
  static constexpr double tolerance = 1e-10;
};

/// On 1, 2 and 4 ranks, one tile a rank and 4 tiles; 61 tokens do not divide by either.
std::vector<Cut> cuts() {
  std::vector<Cut> all;
  for (int const tiles : {0, 4}) {
    for (mesh::MeshShape const shape : {mesh::MeshShape{1, 1, 1},
                                        {2, 1, 1},
                                        {1, 2, 1},
                                        {1, 1, 2},
                                        {4, 1, 1},
                                        {2, 2, 1},
                                        {2, 1, 2},
                                        {1, 2, 2}}) {
      all.push_back({shape, false, tiles});
      if (shape.tp > 1) all.push_back({shape, true, tiles});
    }
  }
  return all;
}

template <class T>
class Gpt2 : public ::testing::Test {
 protected:
  using Check = std::function<void(RecordedTraining<T>&)>;

  /// Makes the training on every cut and hands it to `check` on all of its ranks.
  void on_every_cut(Check const& check) {
    for (auto const& cut : cuts()) {
      SCOPED_TRACE(cut.name());
      auto const group = support::group_of(cut.shape.size());
      if (!group) continue;
      RecordedTraining<T> training(group->duplicate(), recording_.config, cut);
      check(training);
    }
  }

  static constexpr double tolerance = Precision<T>::tolerance;
  recorded::Recording recording_ = recorded::read(Precision<T>::name);
};

/// The larger of the two, and NaN once there was one.
double worse(double error, double other) { return error >= other || std::isnan(error) ? error : other; }

double largest(std::vector<double> const& values) {
  double result = 0;
  for (double const value : values) result = worse(result, std::abs(value));
  return result;
}

/// The largest difference of a rank's gradients of one tensor to the recorded ones, against the largest of
/// those.
template <class T>
double gradient_error(params::ParameterStore<T> const& store, params::ParameterId id,
                      recorded::Tensor const& expected) {
  auto const& parameter = store[id];
  double error = 0;
  for (int tile = 0; tile < parameter.tiles.count; ++tile) {
    auto const where = params::elements_of_tile(parameter.spec, parameter.tiles.first + tile);
    auto const values = support::on_host<T>(store.gradient(id, tile, 0));
    for (std::int64_t i = 0; i < where.outer * where.run; ++i) {
      bool const padding = i % where.run >= where.valid_run;
      auto const global =
          static_cast<std::size_t>(where.first + i / where.run * where.stride + i % where.run);
      error = worse(
          error, std::abs(values(static_cast<std::size_t>(i)) - (padding ? 0.0 : expected.values[global])));
    }
  }
  return error / largest(expected.values);
}

using Precisions = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Gpt2, Precisions);

TYPED_TEST(Gpt2, LogitsEqualTheRecordedOnes) {
  this->on_every_cut([&](auto& training) {
    auto const logits = training.logits();
    if (logits.empty()) return;
    auto const& expected = this->recording_.logits.values;
    ASSERT_EQ(logits.size(), expected.size());
    double error = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) error = worse(error, std::abs(logits[i] - expected[i]));
    EXPECT_LT(error / largest(expected), this->tolerance);
  });
}

// The gradient of a key bias is zero but for rounding, so a tensor's error is measured against its largest
// element.
TYPED_TEST(Gpt2, EveryGradientEqualsTheRecordedOne) {
  this->on_every_cut([&](auto& training) {
    training.accumulate();
    auto const& store = training.store();
    for (params::ParameterId id = 0; id < static_cast<params::ParameterId>(store.parameters().size()); ++id) {
      auto const& parameter = store[id];
      if (parameter.role == params::Role::tied_gradient) continue;
      EXPECT_LT(gradient_error(store, id, this->recording_.gradients.at(parameter.spec.name)),
                this->tolerance)
          << parameter.spec.name << " on rank " << training.mesh().rank();
    }
  });
}

TYPED_TEST(Gpt2, TenLossesAndGradientNormsEqualTheRecordedOnes) {
  this->on_every_cut([&](auto& training) {
    for (int step = 0; step < this->recording_.config.steps; ++step) {
      auto const i = static_cast<std::size_t>(step);
      auto const result = training.accumulate();
      training.update(result.gradient_norm);
      EXPECT_NEAR(result.loss / this->recording_.losses[i], 1, this->tolerance) << "loss of step " << step;
      EXPECT_NEAR(result.gradient_norm / this->recording_.gradient_norms[i], 1, this->tolerance)
          << "gradient norm of step " << step;
    }
  });
}

/// The largest deviations of ten losses and gradient norms on `cut` from a recorded course, relative.
struct Deviation {
  double loss = 0, gradient_norm = 0;
};

template <class T>
std::optional<Deviation> deviation(recorded::Course const& course, Cut const& cut) {
  auto const group = support::group_of(cut.shape.size());
  if (!group) return std::nullopt;
  RecordedTraining<T> training(group->duplicate(), course.config, cut);
  Deviation result;
  for (std::size_t i = 0; i < course.losses.size(); ++i) {
    auto const step = training.accumulate();
    training.update(step.gradient_norm);
    result.loss = worse(result.loss, std::abs(step.loss / course.losses[i] - 1));
    result.gradient_norm =
        worse(result.gradient_norm, std::abs(step.gradient_norm / course.gradient_norms[i] - 1));
  }
  return result;
}

std::vector<Cut> some_cuts() { return {{{1, 1, 1}, false, 4}, {{2, 2, 1}, true, 4}, {{4, 1, 1}, false, 0}}; }

/// Ten steps in T on a few cuts, against a course; `least` tells T from float32.
template <class T>
void expect_close(std::string const& course, double loss, double gradient_norm, double least) {
  for (auto const& cut : some_cuts()) {
    SCOPED_TRACE(cut.name());
    auto const found = deviation<T>(recorded::read_course(course), cut);
    if (!found) continue;
    EXPECT_LT(found->loss, loss);
    EXPECT_LT(found->gradient_norm, gradient_norm);
    EXPECT_GT(found->loss, least) << "it was float32";
  }
}

// Rounded to 8 bits in other places: PyTorch's autocast keeps a float32 residual stream and multiplies in
// bf16 with its own roundings.
TEST(Gpt2InBf16, TenLossesAreCloseToThoseOfPytorchsAutocast) { expect_close<bf16>("bf16", 3e-3, 2e-2, 0); }
TEST(Gpt2InBf16, TenLossesAreCloseToThoseOfFloat32) { expect_close<bf16>("float32", 3e-3, 2e-2, 1e-6); }

// 11 bits, so 8 times as close.
TEST(Gpt2InFp16, TenLossesAreCloseToThoseOfPytorchWithProductsOfFp16) {
  expect_close<f16>("fp16", 4e-4, 2.5e-3, 0);
}
TEST(Gpt2InFp16, TenLossesAreCloseToThoseOfFloat32) { expect_close<f16>("float32", 4e-4, 2.5e-3, 1e-7); }

}  // namespace
}  // namespace tessera::model::test
