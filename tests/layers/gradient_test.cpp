// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Every layer's gradients on one rank, in double: against finite differences, and how microbatches add up.
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "layers/cases.hpp"
#include "tessera/comm/session.hpp"
#include "tessera/kernels/bias.hpp"
#include "tessera/kernels/gelu.hpp"

namespace tessera::layers::test {
namespace {

/// One rank of the loopback backend, for all tests of this program.
comm::Communicator& alone() {
  static int argc = 0;
  static char** argv = nullptr;
  static auto const session = comm::open_session("loopback", argc, argv);
  static auto const world = session->world();
  return *world;
}

constexpr Layout four_tiles{4, false};

template <template <class> class Case>
Recording<double> run_alone(Problem const& problem) {
  return run<Case, double>(problem, four_tiles, alone());
}

/// sum(cotangent * y), after tensor `shifted` was moved by `shift` along its direction.
template <template <class> class Case>
double objective(Problem problem, std::string const& shifted, double shift) {
  problem.shifted = shifted;
  problem.shift = shift;
  auto const recording = run_alone<Case>(problem);
  auto const& y = recording.at("y");
  double sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (y.knows(i)) sum += y[i] * Case<double>::cotangent(static_cast<std::int64_t>(i));
  }
  return sum;
}

/// The derivative of the objective along the direction, to fourth order in the step.
template <template <class> class Case>
double finite_difference(Problem const& problem, std::string const& tensor) {
  constexpr double h = 1e-3;
  auto const f = [&](double shift) { return objective<Case>(problem, tensor, shift); };
  return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
}

/// Every recorded gradient d<tensor>, projected on the direction of the tensor, is the finite difference.
template <template <class> class Case>
void expect_finite_differences(double dropout) {
  Problem problem;
  problem.positions = 12;
  problem.hidden = 24;
  problem.heads = 4;
  problem.ffn = 32;
  problem.dropout = dropout;
  auto const recording = run_alone<Case>(problem);
  int gradients = 0;
  for (auto const& [name, gradient] : recording) {
    if (!name.starts_with('d')) continue;
    ++gradients;
    auto const tensor = name.substr(1);
    double projected = 0, size = 0;
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      if (!gradient.knows(i)) continue;
      double const term = gradient[i] * direction(tensor, static_cast<std::int64_t>(i));
      projected += term;
      size += std::abs(term);
    }
    EXPECT_GT(size, 0.0) << Case<double>::name << ": gradient of " << tensor;
    EXPECT_NEAR(projected, finite_difference<Case>(problem, tensor), 1e-9 * size)
        << Case<double>::name << ": gradient of " << tensor << ", dropout " << dropout;
  }
  EXPECT_GE(gradients, 2);
}

template <template <class> class Case>
void expect_finite_differences() {
  expect_finite_differences<Case>(0.0);
  expect_finite_differences<Case>(0.2);
}

TEST(Gradients, OfColumnLinearAreItsFiniteDifferences) { expect_finite_differences<ColumnLinearCase>(); }
TEST(Gradients, OfRowLinearAreItsFiniteDifferences) { expect_finite_differences<RowLinearCase>(); }
TEST(Gradients, OfNormAreItsFiniteDifferences) { expect_finite_differences<NormCase>(); }
TEST(Gradients, OfNormWithSkipAreItsFiniteDifferences) { expect_finite_differences<NormWithSkipCase>(); }
TEST(Gradients, OfAttentionAreItsFiniteDifferences) { expect_finite_differences<AttentionCase>(); }
TEST(Gradients, OfMlpAreItsFiniteDifferences) { expect_finite_differences<MlpCase>(); }
TEST(Gradients, OfVocabEmbeddingAreItsFiniteDifferences) { expect_finite_differences<VocabEmbeddingCase>(); }
TEST(Gradients, OfVocabHeadAreItsFiniteDifferences) { expect_finite_differences<VocabHeadCase>(); }

/// The gradients of parameters after `microbatches`.
template <template <class> class Case>
Recording<double> parameter_gradients(std::vector<Microbatch> microbatches) {
  Problem problem;
  problem.microbatches = std::move(microbatches);
  auto recording = run_alone<Case>(problem);
  std::erase_if(recording,
                [](auto const& entry) { return !entry.first.starts_with('d') || entry.first == "dx"; });
  return recording;
}

/// Microbatch 2 is overwritten by 0, to which 1 is added.
template <template <class> class Case>
void expect_overwrites_then_adds() {
  auto const zero = parameter_gradients<Case>({{0, false}}), one = parameter_gradients<Case>({{1, false}});
  Recording<double> sum;
  for (auto const& [name, elements] : zero) {
    for (std::size_t i = 0; i < elements.size(); ++i) {
      sum[name].set(static_cast<std::int64_t>(i), elements[i] + one.at(name)[i]);
    }
  }
  auto const both = parameter_gradients<Case>({{2, false}, {0, false}, {1, true}});
  expect_same(Case<double>::name, alone(), both, sum, Near{1e-14});
  auto const again = parameter_gradients<Case>({{2, false}, {0, false}});
  expect_same(Case<double>::name, alone(), again, zero, SameBits());
}

TEST(Microbatches, TheFirstOverwritesGradientsAndLaterOnesAdd) {
  expect_overwrites_then_adds<ColumnLinearCase>();
  expect_overwrites_then_adds<RowLinearCase>();
  expect_overwrites_then_adds<NormCase>();
  expect_overwrites_then_adds<AttentionCase>();
  expect_overwrites_then_adds<MlpCase>();
  expect_overwrites_then_adds<VocabEmbeddingCase>();
  expect_overwrites_then_adds<VocabHeadCase>();
}

/// Fuses every ending, by the separate steps that layers take without it, and counts them.
class EveryEnding final : public kernels::MatmulProvider {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "every ending"; }
  [[nodiscard]] bool supports(DType) const noexcept override { return true; }
  void multiply(StreamRef stream, DType operands, DType result, kernels::MatmulShape const& shape,
                void const* a, void const* b, double beta, void* c) const override {
    plain_->multiply(stream, operands, result, shape, a, b, beta, c);
  }
  [[nodiscard]] bool fuses(DType, DType, kernels::MatmulShape const&, kernels::Ending) const override {
    return true;
  }
  void multiply_ending(StreamRef stream, DType operands, DType result, kernels::MatmulShape const& shape,
                       void const* a, void const* b, kernels::Ending ending,
                       kernels::EndingOperands const& more, void* c) const override {
    ++calls[ending];
    bool const has_gelu = ending == kernels::Ending::bias_gelu;
    multiply(stream, operands, result, shape, a, b, 0, has_gelu ? more.before : c);
    auto const matrix = [&](void* data) {
      return Matrix<double>(static_cast<double*>(data), static_cast<std::size_t>(shape.m),
                            static_cast<std::size_t>(shape.n));
    };
    ConstVector<double> const bias(static_cast<double const*>(more.bias), static_cast<std::size_t>(shape.n));
    if (ending == kernels::Ending::bias) kernels::add_bias<double>({}, matrix(c), bias);
    if (has_gelu) kernels::bias_gelu_forward<double>({}, matrix(more.before), bias, matrix(c));
    if (ending == kernels::Ending::gelu_slope)
      kernels::gelu_backward<double>({}, matrix(c), matrix(more.before), matrix(c));
  }

  mutable std::map<kernels::Ending, int> calls;

 private:
  std::unique_ptr<kernels::MatmulProvider> plain_ =
      kernels::make_matmul_provider(kernels::matmul_backends(), "auto", DType::f64);
};

/// A layer's results with every ending fused are those without, and each tile's products have had `expected`.
template <template <class> class Case>
void expect_endings(std::map<kernels::Ending, int> const& expected) {
  Problem const problem;
  EveryEnding const provider;
  Rig<double> rig(problem, four_tiles, alone());
  rig.context.matmul = &provider;
  Case<double> layer(rig);
  rig.begin(problem.microbatches.front());
  layer.step(rig);
  rig.record_gradients();
  expect_same(Case<double>::name, alone(), rig.recording, run_alone<Case>(problem), SameBits());
  EXPECT_EQ(provider.calls, expected);
}

TEST(Endings, OfProductsAreUsedWhereTheProviderOffersThem) {
  expect_endings<AttentionCase>({{kernels::Ending::bias, 4}});
  expect_endings<MlpCase>({{kernels::Ending::bias_gelu, 4}, {kernels::Ending::gelu_slope, 4}});
}

TEST(Dropout, IsOffInEvaluationAndOnInTraining) {
  Context context;
  EXPECT_EQ(context.dropout(0.5), 0.5);
  context.mode = Mode::evaluation;
  EXPECT_EQ(context.dropout(0.5), 0.0);
}

}  // namespace
}  // namespace tessera::layers::test
