// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "plan.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <string_view>
#include <tuple>
#include <vector>

#include "choice.hpp"
#include "error.hpp"
#include "proposals.hpp"
#include "tessera/base/error.hpp"

namespace tessera::cublas {

namespace {

auto key(Problem const& p) {
  auto const& s = p.shape;
  return std::tuple(p.operands, p.result, p.tf32, s.transpose_a, s.transpose_b, s.m, s.n, s.k, s.lda, s.ldb,
                    s.ldc, p.ending);
}

cudaDataType_t code(DType type) {
  switch (type) {
    case DType::f32: return CUDA_R_32F;
    case DType::f64: return CUDA_R_64F;
    case DType::bf16: return CUDA_R_16BF;
    case DType::f16: return CUDA_R_16F;
    default: throw InternalError(fmt::format("no cuBLASLt products of {}", to_string(type)));
  }
}

cublasComputeType_t compute_type(Problem const& p) {
  if (p.operands == DType::f64) return CUBLAS_COMPUTE_64F;
  return p.tf32 && p.operands == DType::f32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

/// What alpha and beta are given in.
cudaDataType_t scale_type(Problem const& p) { return p.operands == DType::f64 ? CUDA_R_64F : CUDA_R_32F; }

std::string_view name(kernels::Ending ending) {
  switch (ending) {
    case kernels::Ending::bias: return " + bias";
    case kernels::Ending::bias_gelu: return " + bias, gelu";
    case kernels::Ending::gelu_slope: return " * gelu'";
    default: return "";
  }
}

cublasLtEpilogue_t epilogue(kernels::Ending ending) {
  switch (ending) {
    case kernels::Ending::bias: return CUBLASLT_EPILOGUE_BIAS;
    case kernels::Ending::bias_gelu: return CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
    case kernels::Ending::gelu_slope: return CUBLASLT_EPILOGUE_DGELU;
    default: return CUBLASLT_EPILOGUE_DEFAULT;
  }
}

std::string described(Problem const& p) {
  auto const& s = p.shape;
  auto const letter = [](kernels::Transpose t) { return t == kernels::Transpose::yes ? 't' : 'n'; };
  return fmt::format("({}, {}, {}) {}{} to {} {}{}{}", s.m, s.n, s.k, to_string(p.operands),
                     p.tf32 ? " as tf32" : "", to_string(p.result), letter(s.transpose_a),
                     letter(s.transpose_b), name(p.ending));
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

template <class Value>
void set(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t which, Value value) {
  check(cublasLtMatmulDescSetAttribute(product, which, &value, sizeof value), "describe a product");
}

void set_transpose(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t which, bool transposed) {
  set(product, which, transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
}

int family_of(cublasLtMatmulAlgo_t const& algorithm) {
  return static_cast<int>(attribute(algorithm, CUBLASLT_ALGO_CONFIG_ID));
}

bool on_tensor_cores(Problem const& p) { return is_narrow(p.operands) || p.tf32; }

/// Elements of the product for each processor of the GPU.
double results_of_processor(ColumnMajor const& product) {
  int device = 0, processors = 1;
  check(cudaGetDevice(&device), "ask for the device");
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device), "count processors");
  return static_cast<double>(product.m) * static_cast<double>(product.n) / processors;
}

/// Gives the proposal smaller tiles, if it has them, while it leaves half of the GPU idle.
Proposal cut_finer(Described const& product, Proposal proposal) {
  for (std::uint32_t const tile : {CUBLASLT_MATMUL_TILE_128x128, CUBLASLT_MATMUL_TILE_128x64}) {
    if (!leaves_half_idle(proposal.waves)) break;
    auto const finer = with_tile(product, proposal, tile);
    if (finer && finer->waves > proposal.waves) proposal = *finer;
  }
  return proposal;
}

}  // namespace

bool operator<(Problem const& a, Problem const& b) { return key(a) < key(b); }

Plan::Plan(cublasLtHandle_t library, Problem const& problem, void* placeholder) : problem_(problem) {
  ColumnMajor const p = column_major(problem.shape);
  cublasLtMatmulDesc_t product = nullptr;
  check(cublasLtMatmulDescCreate(&product, compute_type(problem), scale_type(problem)), "describe a product");
  product_ = UniqueHandle<DescriptorTraits>(product);
  set_transpose(product, CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_a);
  set_transpose(product, CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_b);
  a_ = UniqueHandle<LayoutTraits>(make_operand(problem.operands, p.transpose_a, p.m, p.k, p.lda));
  b_ = UniqueHandle<LayoutTraits>(make_operand(problem.operands, p.transpose_b, p.k, p.n, p.ldb));
  c_ = UniqueHandle<LayoutTraits>(make_layout(problem.result, p.m, p.n, p.ldc));
  describe_ending();
  place_ending({placeholder, placeholder});
  choose_algorithm({library, product, a_.get(), b_.get(), c_.get(), p, problem.operands, problem.result});
}

/// Row-major rows are the library's columns, so its bias, one number a row, is ours, one a column.
void Plan::describe_ending() const {
  if (problem_.ending == kernels::Ending::none) return;
  set(product_.get(), CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue(problem_.ending));
  if (problem_.ending != kernels::Ending::gelu_slope)
    set(product_.get(), CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, code(problem_.result));
  if (problem_.ending == kernels::Ending::bias) return;
  set(product_.get(), CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, code(problem_.result));
  set(product_.get(), CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{problem_.shape.ldc});
}

void Plan::place_ending(kernels::EndingOperands const& more) const {
  auto const ending = problem_.ending;
  if (ending == kernels::Ending::bias || ending == kernels::Ending::bias_gelu)
    set(product_.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, more.bias);
  if (ending == kernels::Ending::bias_gelu || ending == kernels::Ending::gelu_slope)
    set(product_.get(), CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, more.before);
}

void Plan::choose_algorithm(Described const& product) {
  std::vector<Proposal> whole;
  std::vector<Candidate> candidates;
  for (auto const& proposal : proposals(product, CUBLASLT_REDUCTION_SCHEME_NONE)) {
    if (attribute(proposal.algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM) > 1) continue;
    whole.push_back(proposal);
    candidates.push_back({family_of(proposal.algorithm), proposal.waves});
  }
  if (whole.empty()) return;
  possible_ = true;
  algorithm_ = whole.front().algorithm;
  if (!on_tensor_cores(problem_)) return;
  auto const preferred = proposals(product, CUBLASLT_REDUCTION_SCHEME_MASK);
  if (preferred.empty()) return;
  int const family = family_of(preferred.front().algorithm);
  auto const& choice = whole[choose(candidates, family, results_of_processor(product.shape))];
  algorithm_ = cut_finer(product, choice).algorithm;
}

void Plan::run(cublasLtHandle_t library, void const* a, void const* b, double beta, void* c,
               kernels::EndingOperands const& more, void* workspace, cudaStream_t stream) const {
  if (!possible_)
    throw InternalError(fmt::format("cuBLASLt has no algorithm for a product of {}", described(problem_)));
  place_ending(more);
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
  if (!possible_) return described(problem_) + ": no algorithm";
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
