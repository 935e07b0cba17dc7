// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/matmul.hpp"

#include <string>
#include <utility>
#include <vector>

#include "kernels/plain_matmul.hpp"
#include "kernels/widened_matmul.hpp"
#include "tessera/base/error.hpp"
#include "tessera/kernels/launch.hpp"

namespace tessera::kernels {

namespace {

/// From the fastest to the one that always works.
constexpr std::string_view order_of_choice[] = {"cublas", "onednn", "cblas", "plain"};

using Table = std::span<MatmulBackend const>;

std::unique_ptr<MatmulProvider> make_by_name(Table table, std::string_view name) {
  if (name == "plain") return make_plain_matmul();
  for (MatmulBackend const& backend : table) {
    if (backend.name == name) return backend.make();
  }
  return nullptr;
}

/// The first provider of the order that supports `type`, leaving out `unwanted`.
std::unique_ptr<MatmulProvider> make_fastest(Table table, DType type, std::string_view unwanted) {
  for (std::string_view const name : order_of_choice) {
    if (name == unwanted) continue;
    if (auto provider = make_by_name(table, name); provider && provider->supports(type)) return provider;
  }
  return make_plain_matmul();
}

std::string known_names(Table table) {
  std::string names = "auto, plain";
  for (MatmulBackend const& backend : table) names += ", " + std::string(backend.name);
  return names;
}

/// Hands the types that the chosen provider lacks to another one.
class WithFallback final : public MatmulProvider {
 public:
  WithFallback(std::unique_ptr<MatmulProvider> chosen, std::unique_ptr<MatmulProvider> other)
      : chosen_(std::move(chosen)), other_(std::move(other)) {}
  [[nodiscard]] std::string_view name() const noexcept override { return chosen_->name(); }
  [[nodiscard]] bool supports(DType type) const noexcept override {
    return chosen_->supports(type) || other_->supports(type);
  }
  void multiply(StreamRef stream, DType operands, DType result, MatmulShape const& shape, void const* a,
                void const* b, double beta, void* c) const override {
    MatmulProvider const& provider = chosen_->supports(operands) ? *chosen_ : *other_;
    provider.multiply(stream, operands, result, shape, a, b, beta, c);
  }

 private:
  std::unique_ptr<MatmulProvider> chosen_;
  std::unique_ptr<MatmulProvider> other_;
};

}  // namespace

bool MatmulProvider::fuses(DType, DType, MatmulShape const&, Ending) const { return false; }

void MatmulProvider::multiply_ending(StreamRef, DType, DType, MatmulShape const&, void const*, void const*,
                                     Ending, EndingOperands const&, void*) const {
  throw InternalError(std::string(name()) + " has no products with an ending");
}

std::unique_ptr<MatmulProvider> make_matmul_provider(Table table, std::string_view name, DType type) {
  if (runs_on_host && is_narrow(type)) return make_widened(make_matmul_provider(table, name, DType::f32));
  if (name == "auto") return make_fastest(table, type, "");
  auto chosen = make_by_name(table, name);
  if (!chosen) {
    throw ConfigError({"parallel.matmul = \"" + std::string(name) +
                       "\" is no matrix-product provider of this build; there are: " + known_names(table)});
  }
  if (chosen->supports(type)) return chosen;
  return std::make_unique<WithFallback>(std::move(chosen), make_fastest(table, type, name));
}

std::size_t matmul_scratch_bytes(std::string_view provider, DType operands) {
  std::size_t const plain = provider == "plain" ? plain_scratch_bytes(operands) : 0;
  return plain + (runs_on_host && is_narrow(operands) ? widened_scratch_bytes() : 0);
}

}  // namespace tessera::kernels
