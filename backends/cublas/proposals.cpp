// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "proposals.hpp"

#include <array>

#include "error.hpp"
#include "tessera/base/unique_handle.hpp"

namespace tessera::cublas {

namespace {

struct PreferenceTraits {
  using Handle = cublasLtMatmulPreference_t;
  static Handle null() noexcept { return nullptr; }
  static void free(Handle handle) noexcept { cublasLtMatmulPreferenceDestroy(handle); }
};
using Preference = UniqueHandle<PreferenceTraits>;

template <class Value>
void set(Preference const& preference, cublasLtMatmulPreferenceAttributes_t which, Value value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference.get(), which, &value, sizeof value),
        "state what an algorithm may use");
}

Preference make_preference(Described const& described, std::uint32_t reductions) {
  cublasLtMatmulPreference_t handle = nullptr;
  check(cublasLtMatmulPreferenceCreate(&handle), "state what an algorithm may use");
  Preference preference(handle);
  auto const operand_bytes = size_bytes(described.operands);
  std::uint32_t const c_alignment = alignment_of(described.shape.ldc, size_bytes(described.result));
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
      std::uint32_t{alignment_of(described.shape.lda, operand_bytes)});
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
      std::uint32_t{alignment_of(described.shape.ldb, operand_bytes)});
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, c_alignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, c_alignment);
  return preference;
}

}  // namespace

std::vector<Proposal> proposals(Described const& product, std::uint32_t reductions) {
  auto const preference = make_preference(product, reductions);
  std::array<cublasLtMatmulHeuristicResult_t, 16> found{};
  int count = 0;
  auto const status = cublasLtMatmulAlgoGetHeuristic(product.handle, product.product, product.a, product.b,
                                                     product.c, product.c, preference.get(),
                                                     static_cast<int>(found.size()), found.data(), &count);
  std::vector<Proposal> usable;
  for (int i = 0; status == CUBLAS_STATUS_SUCCESS && i < count; ++i) {
    auto const& result = found[static_cast<std::size_t>(i)];
    if (result.state == CUBLAS_STATUS_SUCCESS) usable.push_back({result.algo, result.wavesCount});
  }
  return usable;
}

std::optional<Proposal> with_tile(Described const& product, Proposal proposal, std::uint32_t tile) {
  if (cublasLtMatmulAlgoConfigSetAttribute(&proposal.algorithm, CUBLASLT_ALGO_CONFIG_TILE_ID, &tile,
                                           sizeof tile) != CUBLAS_STATUS_SUCCESS)
    return std::nullopt;
  cublasLtMatmulHeuristicResult_t result{};
  if (cublasLtMatmulAlgoCheck(product.handle, product.product, product.a, product.b, product.c, product.c,
                              &proposal.algorithm, &result) != CUBLAS_STATUS_SUCCESS)
    return std::nullopt;
  if (result.workspaceSize > workspace_bytes) return std::nullopt;
  return Proposal{proposal.algorithm, result.wavesCount};
}

std::uint32_t attribute(cublasLtMatmulAlgo_t const& algorithm, cublasLtMatmulAlgoConfigAttributes_t which,
                        std::size_t bytes) {
  std::uint32_t value = 0;
  std::size_t written = 0;
  auto const status = cublasLtMatmulAlgoConfigGetAttribute(&algorithm, which, &value, bytes, &written);
  return status == CUBLAS_STATUS_SUCCESS ? value : 0;
}

}  // namespace tessera::cublas
