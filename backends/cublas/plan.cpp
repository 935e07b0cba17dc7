// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "plan.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <array>
#include <tuple>
#include <vector>

#include "choice.hpp"
#include "error.hpp"
#include "tessera/base/error.hpp"

namespace tessera::cublas {

namespace {

auto key(Problem const& p) {
  auto const& s = p.shape;
  return std::tuple(p.operands, p.result, p.tf32, s.transpose_a, s.transpose_b, s.m, s.n, s.k, s.lda, s.ldb,
                    s.ldc);
}

cudaDataType_t code(DType type) {
  switch (type) {
    case DType::f32: return CUDA_R_32F;
    case DType::f64: return CUDA_R_64F;
    case DType::bf16: return CUDA_R_16BF;
    default: throw InternalError(fmt::format("no cuBLASLt products of {}", to_string(type)));
  }
}

cublasComputeType_t compute_type(Problem const& p) {
  if (p.operands == DType::f64) return CUBLAS_COMPUTE_64F;
  return p.tf32 && p.operands == DType::f32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

/// What alpha and beta are given in.
cudaDataType_t scale_type(Problem const& p) { return p.operands == DType::f64 ? CUDA_R_64F : CUDA_R_32F; }

std::string described(Problem const& p) {
  auto const& s = p.shape;
  auto const letter = [](kernels::Transpose t) { return t == kernels::Transpose::yes ? 't' : 'n'; };
  return fmt::format("({}, {}, {}) {}{} to {} {}{}", s.m, s.n, s.k, to_string(p.operands),
                     p.tf32 ? " as tf32" : "", to_string(p.result), letter(s.transpose_a),
                     letter(s.transpose_b));
}

cublasLtMatrixLayout_t make_layout(DType type, std::ptrdiff_t rows, std::ptrdiff_t columns,
                                   std::ptrdiff_t ld) {
  cublasLtMatrixLayout_t layout = nullptr;
  check(cublasLtMatrixLayoutCreate(&layout, code(type), static_cast<std::uint64_t>(rows),
                                   static_cast<std::uint64_t>(columns), ld),
        "describe a matrix");
  return layout;
}

/// A stored (rows, columns) of op(A), which is transposed in memory where the product transposes it back.
cublasLtMatrixLayout_t make_operand(DType type, bool transposed, std::ptrdiff_t rows, std::ptrdiff_t columns,
                                    std::ptrdiff_t ld) {
  return transposed ? make_layout(type, columns, rows, ld) : make_layout(type, rows, columns, ld);
}

void set_transpose(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t which, bool transposed) {
  cublasOperation_t const operation = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  check(cublasLtMatmulDescSetAttribute(product, which, &operation, sizeof operation), "transpose an operand");
}

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

Preference make_preference(Problem const& problem, ColumnMajor const& product, std::uint32_t reductions) {
  cublasLtMatmulPreference_t handle = nullptr;
  check(cublasLtMatmulPreferenceCreate(&handle), "state what an algorithm may use");
  Preference preference(handle);
  auto const operand_bytes = size_bytes(problem.operands);
  std::uint32_t const c_alignment = alignment_of(product.ldc, size_bytes(problem.result));
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
      std::uint32_t{alignment_of(product.lda, operand_bytes)});
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
      std::uint32_t{alignment_of(product.ldb, operand_bytes)});
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, c_alignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, c_alignment);
  return preference;
}

/// An attribute of an algorithm; 0 where it has none of the kind.
std::uint32_t attribute(cublasLtMatmulAlgo_t const& algorithm, cublasLtMatmulAlgoConfigAttributes_t which,
                        std::size_t bytes = sizeof(std::uint32_t)) {
  std::uint32_t value = 0;
  std::size_t written = 0;
  auto const status = cublasLtMatmulAlgoConfigGetAttribute(&algorithm, which, &value, bytes, &written);
  return status == CUBLAS_STATUS_SUCCESS ? value : 0;
}

/// False where it has no such attribute.
bool set_tile(cublasLtMatmulAlgo_t& algorithm, std::uint32_t tile) {
  return cublasLtMatmulAlgoConfigSetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_TILE_ID, &tile, sizeof tile) ==
         CUBLAS_STATUS_SUCCESS;
}

int family_of(cublasLtMatmulAlgo_t const& algorithm) {
  return static_cast<int>(attribute(algorithm, CUBLASLT_ALGO_CONFIG_ID));
}

bool on_tensor_cores(Problem const& p) { return p.operands == DType::bf16 || p.tf32; }

/// Elements of the product for each processor of the GPU.
double results_of_processor(ColumnMajor const& product) {
  int device = 0, processors = 1;
  check(cudaGetDevice(&device), "ask for the device");
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device), "count processors");
  return static_cast<double>(product.m) * static_cast<double>(product.n) / processors;
}

}  // namespace

bool operator<(Problem const& a, Problem const& b) { return key(a) < key(b); }

Plan::Plan(cublasLtHandle_t library, Problem const& problem) : problem_(problem) {
  ColumnMajor const p = column_major(problem.shape);
  cublasLtMatmulDesc_t product = nullptr;
  check(cublasLtMatmulDescCreate(&product, compute_type(problem), scale_type(problem)), "describe a product");
  product_ = UniqueHandle<DescriptorTraits>(product);
  set_transpose(product, CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_a);
  set_transpose(product, CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_b);
  a_ = UniqueHandle<LayoutTraits>(make_operand(problem.operands, p.transpose_a, p.m, p.k, p.lda));
  b_ = UniqueHandle<LayoutTraits>(make_operand(problem.operands, p.transpose_b, p.k, p.n, p.ldb));
  c_ = UniqueHandle<LayoutTraits>(make_layout(problem.result, p.m, p.n, p.ldc));
  choose_algorithm(library, p);
}

std::vector<Plan::Proposal> Plan::proposals(cublasLtHandle_t library, ColumnMajor const& product,
                                            std::uint32_t reductions) const {
  auto const preference = make_preference(problem_, product, reductions);
  std::array<cublasLtMatmulHeuristicResult_t, 16> found{};
  int count = 0;
  auto const status =
      cublasLtMatmulAlgoGetHeuristic(library, product_.get(), a_.get(), b_.get(), c_.get(), c_.get(),
                                     preference.get(), static_cast<int>(found.size()), found.data(), &count);
  std::vector<Proposal> usable;
  for (int i = 0; status == CUBLAS_STATUS_SUCCESS && i < count; ++i) {
    auto const& result = found[static_cast<std::size_t>(i)];
    if (result.state == CUBLAS_STATUS_SUCCESS) usable.push_back({result.algo, result.wavesCount});
  }
  return usable;
}

void Plan::choose_algorithm(cublasLtHandle_t library, ColumnMajor const& product) {
  std::vector<Proposal> whole;
  std::vector<Candidate> candidates;
  for (auto const& proposal : proposals(library, product, CUBLASLT_REDUCTION_SCHEME_NONE)) {
    if (attribute(proposal.algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM) > 1) continue;
    whole.push_back(proposal);
    candidates.push_back({family_of(proposal.algorithm), proposal.waves});
  }
  if (whole.empty())
    throw InternalError(fmt::format("cuBLASLt has no algorithm for a product of {}", described(problem_)));
  algorithm_ = whole.front().algorithm;
  if (!on_tensor_cores(problem_)) return;
  auto const preferred = proposals(library, product, CUBLASLT_REDUCTION_SCHEME_MASK);
  if (preferred.empty()) return;
  auto const& choice =
      whole[choose(candidates, family_of(preferred.front().algorithm), results_of_processor(product))];
  algorithm_ = choice.algorithm;
  cut_finer(library, choice.waves);
}

void Plan::cut_finer(cublasLtHandle_t library, double waves) {
  for (std::uint32_t const tile : {CUBLASLT_MATMUL_TILE_128x128, CUBLASLT_MATMUL_TILE_128x64}) {
    if (!leaves_half_idle(waves)) return;
    auto finer = algorithm_;
    cublasLtMatmulHeuristicResult_t result{};
    if (!set_tile(finer, tile) ||
        cublasLtMatmulAlgoCheck(library, product_.get(), a_.get(), b_.get(), c_.get(), c_.get(), &finer,
                                &result) != CUBLAS_STATUS_SUCCESS)
      continue;
    if (result.workspaceSize > workspace_bytes || result.wavesCount <= waves) continue;
    algorithm_ = finer;
    waves = result.wavesCount;
  }
}

void Plan::run(cublasLtHandle_t library, void const* a, void const* b, double beta, void* c, void* workspace,
               cudaStream_t stream) const {
  double const one = 1, beta_double = beta;
  float const one_single = 1, beta_single = static_cast<float>(beta);
  bool const is_double = problem_.operands == DType::f64;
  auto const pick = [&](double const& wide, float const& narrow) {
    return is_double ? static_cast<void const*>(&wide) : static_cast<void const*>(&narrow);
  };
  auto const status = cublasLtMatmul(library, product_.get(), pick(one, one_single), b, a_.get(), a, b_.get(),
                                     pick(beta_double, beta_single), c, c_.get(), c, c_.get(), &algorithm_,
                                     workspace, workspace_bytes, stream);
  if (status != CUBLAS_STATUS_SUCCESS) check(status, "multiply " + described(problem_));
}

std::string Plan::description() const {
  auto const value = [&](cublasLtMatmulAlgoConfigAttributes_t which, std::size_t bytes) {
    return attribute(algorithm_, which, bytes);
  };
  return fmt::format(
      "{}: algorithm {}, tile {}, stages {}, inner shape {}, cluster shape {}, custom {}",
      described(problem_), value(CUBLASLT_ALGO_CONFIG_ID, 4), value(CUBLASLT_ALGO_CONFIG_TILE_ID, 4),
      value(CUBLASLT_ALGO_CONFIG_STAGES_ID, 4), value(CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, 2),
      value(CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, 2), value(CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, 4));
}

}  // namespace tessera::cublas
