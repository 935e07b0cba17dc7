// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/optim/adamw.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <map>

#include "optim/gradients.hpp"

namespace tessera::optim::test {
namespace {

using params::ParameterId;
using params::ParameterStore;
using params::TileRange;

/// Any fixed numbers that differ between tensors, elements and steps.
double number(ParameterId id, std::int64_t index, std::int64_t step) {
  return std::sin(1.0 + 0.37 * id + 0.11 * static_cast<double>(index) + 2.3 * static_cast<double>(step));
}

/// AdamW of one parameter, as in the paper, in double.
struct PlainAdamw {
  double value = 0, m = 0, v = 0;

  void update(AdamwOptions const& options, double gradient, double rate, double decay, std::int64_t step) {
    m = options.beta1 * m + (1 - options.beta1) * gradient;
    v = options.beta2 * v + (1 - options.beta2) * gradient * gradient;
    double const m_hat = m / (1 - std::pow(options.beta1, static_cast<double>(step)));
    double const v_hat = v / (1 - std::pow(options.beta2, static_cast<double>(step)));
    value -= rate * (decay * value + m_hat / (std::sqrt(v_hat) + options.epsilon));
  }
};

/// A padded table in 8 tiles of which this rank has all, a norm, and the gradient of the table's second role.
template <class T>
struct Model {
  Model() {
    table = store.add(cut_tensor("table", 41, 3, 8), TileRange::all(8));
    norm = store.add(replicated_tensor("norm", 50), TileRange::all(1));
    second = store.add(cut_tensor("table", 41, 3, 8), TileRange::all(8), params::Role::tied_gradient);
    store.allocate(arena, 1, 1);
    for (ParameterId id : {table, norm}) {
      for_each_element(store, id, [&](int tile, std::size_t i, std::int64_t index) {
        store.value(id, tile)(i) = static_cast<T>(number(id, index, 0));
      });
    }
  }
  void set_gradients(std::int64_t step) {
    for (ParameterId id : {table, norm}) {
      for_each_element(store, id, [&](int tile, std::size_t i, std::int64_t index) {
        store.gradient(id, tile, 0)(i) = static_cast<T>(number(id, index, step));
      });
    }
  }

  Arena arena{"model"};
  ParameterStore<T> store;
  ParameterId table = 0, norm = 0, second = 0;

  /// An array, since nvcc loses the braces of a list in a loop of a template.
  [[nodiscard]] std::array<ParameterId, 2> both() const { return {table, norm}; }
};

/// Five steps of the store and of the plain loop.
template <class T>
void expect_equals_plain_loop(double tolerance) {
  AdamwOptions const options{0.9, 0.95, 1e-8, 0.1};
  constexpr double rate = 1e-2, scale = 0.5;
  Model<T> model;
  std::map<std::pair<ParameterId, std::int64_t>, PlainAdamw> plain;
  for (std::int64_t step = 1; step <= 5; ++step) {
    model.set_gradients(step);
    Adamw<T>(options).update(ExecutionSpace(), reduced(model.store), rate, scale, step);
    for (ParameterId const id : model.both()) {
      double const decay = id == model.table ? options.weight_decay : 0.0;
      for_each_element(model.store, id, [&](int tile, std::size_t i, std::int64_t index) {
        auto& expected = plain[{id, index}];
        if (step == 1) expected.value = static_cast<double>(static_cast<T>(number(id, index, 0)));
        double const gradient = scale * static_cast<double>(static_cast<T>(number(id, index, step)));
        expected.update(options, gradient, rate, decay, step);
        EXPECT_NEAR(static_cast<double>(model.store.value(id, tile)(i)), expected.value, tolerance)
            << model.store[id].spec.name << ", element " << index << ", step " << step;
      });
    }
  }
}

TEST(Adamw, EqualsAPlainLoopInDouble) { expect_equals_plain_loop<double>(1e-14); }
TEST(Adamw, EqualsAPlainLoopInFloat) { expect_equals_plain_loop<float>(5e-7); }

TEST(Adamw, WithoutGradientOnlyDecaysWhatMayDecay) {
  Model<double> model;
  Adamw<double>({0.9, 0.95, 1e-8, 0.1}).update(ExecutionSpace(), reduced(model.store), 0.5, 1.0, 1);
  for (ParameterId const id : model.both()) {
    double const kept = id == model.table ? 0.95 : 1.0;
    for_each_element(model.store, id, [&](int tile, std::size_t i, std::int64_t index) {
      EXPECT_DOUBLE_EQ(model.store.value(id, tile)(i), kept * number(id, index, 0)) << "element " << index;
    });
  }
}

/// True for +0 alone.
template <class T>
bool is_zero(T value) {
  T const zero = 0;
  return std::memcmp(&value, &zero, sizeof(T)) == 0;
}

TEST(Adamw, PaddingStaysZero) {
  Model<float> model;
  std::vector<char> real(model.store.values().extent(0), 0);
  for (ParameterId const id : model.both()) {
    for_each_element(model.store, id, [&](int tile, std::size_t i, std::int64_t) {
      real[static_cast<std::size_t>(model.store.value(id, tile).data() - model.store.values().data()) + i] =
          1;
    });
  }
  for (std::int64_t step = 1; step <= 3; ++step) {
    model.set_gradients(step);
    Adamw<float>(AdamwOptions{}).update(ExecutionSpace(), reduced(model.store), 1e-2, 1.0, step);
  }
  for (auto const& flat : {model.store.values(), model.store.first_moments(), model.store.second_moments()}) {
    for (std::size_t i = 0; i < real.size(); ++i) {
      ASSERT_TRUE(real[i] != 0 || is_zero(flat(i))) << "element " << i << " of the store";
    }
  }
}

}  // namespace
}  // namespace tessera::optim::test
