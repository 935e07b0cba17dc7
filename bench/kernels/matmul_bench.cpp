// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Every matrix-product provider at the products of GPT-2 124M (S*B = 1024), beside the fastest provider's
// large square product in the same run.
#include <string>

#include "measure.hpp"
#include "tessera/kernels/matmul.hpp"

namespace tessera::bench {

namespace {

struct Product {
  char const* name;
  kernels::Transpose a, b;
  std::ptrdiff_t m, n, k;
};

constexpr auto no = kernels::Transpose::no;
constexpr auto yes = kernels::Transpose::yes;
constexpr Product products[] = {
    {"qkv_forward", no, yes, 1024, 2304, 768},   {"qkv_input", no, no, 1024, 768, 2304},
    {"qkv_weight", yes, no, 2304, 768, 1024},    {"out_forward", no, yes, 1024, 768, 768},
    {"up_forward", no, yes, 1024, 3072, 768},    {"up_weight", yes, no, 3072, 768, 1024},
    {"down_forward", no, yes, 1024, 768, 3072},  {"down_input", no, no, 1024, 3072, 768},
    {"head_forward", no, yes, 1024, 50304, 768}, {"head_input", no, no, 1024, 768, 50304},
    {"large", no, no, 2048, 2048, 2048},
};

/// The operands of one product.
class Call {
 public:
  explicit Call(Product const& p)
      : shape_{p.a, p.b, p.m, p.n, p.k, p.a == yes ? p.m : p.k, p.b == yes ? p.k : p.n, p.n},
        a_(values(static_cast<std::size_t>(p.m * p.k))),
        b_(values(static_cast<std::size_t>(p.k * p.n))),
        c_(static_cast<std::size_t>(p.m * p.n)) {}

  void run(kernels::MatmulProvider const& provider) {
    kernels::matmul<float>(provider, ExecutionSpace(), shape_, a_.data(), b_.data(), 0.0F, c_.data());
  }
  [[nodiscard]] double flops() const {
    return 2.0 * static_cast<double>(shape_.m * shape_.n) * static_cast<double>(shape_.k);
  }

 private:
  kernels::MatmulShape shape_;
  std::vector<float> a_, b_, c_;
};

void multiply(benchmark::State& state, std::string const& name, Product const& product) {
  auto const provider = kernels::make_matmul_provider(name, DType::f32);
  auto const fastest = kernels::make_matmul_provider("auto", DType::f32);
  Call own(product);
  Call large(products[std::size(products) - 1]);
  auto const best = measure(
      state, [&] { own.run(*provider); }, [&] { large.run(*fastest); });
  state.counters["GF/s"] = own.flops() / best.own / 1e9;
  state.counters["of_large"] = own.flops() / best.own / (large.flops() / best.limit);
}

[[maybe_unused]] bool const registered = [] {
  std::vector<std::string> names{"plain"};
  for (kernels::MatmulBackend const& backend : kernels::matmul_backends()) names.emplace_back(backend.name);
  for (std::string const& name : names) {
    for (Product const& product : products) {
      benchmark::RegisterBenchmark(
          ("matmul/" + name + "/" + product.name).c_str(),
          [name, &product](benchmark::State& state) { multiply(state, name, product); })
          ->UseManualTime()
          ->Iterations(product.n > 10000 || product.k > 10000 ? 3 : 10);
    }
  }
  return true;
}();

}  // namespace

}  // namespace tessera::bench
