// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Matrix products by cuBLASLt on the stream of the caller: f32, f64, and bf16 and f16 with a result of the
// same type or f32.
#include "provider.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "error.hpp"
#include "plan.hpp"
#include "tessera/base/error.hpp"
#include "tessera/base/log.hpp"

namespace tessera::cublas {

namespace {

struct LibraryTraits {
  using Handle = cublasLtHandle_t;
  static Handle null() noexcept { return nullptr; }
  static void free(Handle handle) noexcept { cublasLtDestroy(handle); }
};
struct MemoryTraits {
  using Handle = void*;
  static Handle null() noexcept { return nullptr; }
  static void free(Handle memory) noexcept { cudaFree(memory); }
};

/// The CUDA stream of an execution space, where it has one.
template <class Exec>
cudaStream_t stream_of(Exec const* exec) {
  if constexpr (requires { exec->cuda_stream(); }) {
    return exec != nullptr ? exec->cuda_stream() : Exec().cuda_stream();
  } else {
    return nullptr;
  }
}

/// Whether products add biases and apply GELU themselves: TESSERA_CUBLAS_ENDINGS=on in the environment.
bool endings_are_on() {
  char const* const value = std::getenv("TESSERA_CUBLAS_ENDINGS");
  if (value == nullptr || std::string_view(value) == "off") return false;
  if (std::string_view(value) == "on") return true;
  throw ConfigError(
      {fmt::format("TESSERA_CUBLAS_ENDINGS = \"{}\" in the environment: it is on or off", value)});
}

class Provider final : public kernels::MatmulProvider {
 public:
  explicit Provider(SinglePrecision single) : single_(single) {
    cublasLtHandle_t library = nullptr;
    check(cublasLtCreate(&library), "open the library");
    library_ = UniqueHandle<LibraryTraits>(library);
    void* memory = nullptr;
    check(cudaMalloc(&memory, workspace_bytes), "allocate its workspace");
    workspace_ = UniqueHandle<MemoryTraits>(memory);
    auto const version = cublasLtGetVersion();
    name_ = fmt::format("cublas{} {}.{}.{}{}", tf32() ? "_tf32" : "", version / 10000, version / 100 % 100,
                        version % 100, endings_ ? " with endings" : "");
  }

  [[nodiscard]] std::string_view name() const noexcept override { return name_; }
  [[nodiscard]] bool supports(DType operands) const noexcept override {
    return operands == DType::f32 || operands == DType::f64 || is_narrow(operands);
  }

  void multiply(StreamRef stream, DType operands, DType result, kernels::MatmulShape const& shape,
                void const* a, void const* b, double beta, void* c) const override {
    multiply({operands, result, tf32(), shape}, stream, a, b, beta, c, {});
  }

  [[nodiscard]] bool fuses(DType operands, DType result, kernels::MatmulShape const& shape,
                           kernels::Ending ending) const override {
    bool const on_tensor_cores = is_narrow(operands) || (operands == DType::f32 && tf32());
    if (!endings_ || !on_tensor_cores || result != operands || shape.m == 0 || shape.n == 0) return false;
    return plan_of({operands, result, tf32(), shape, ending}).possible();
  }
  void multiply_ending(StreamRef stream, DType operands, DType result, kernels::MatmulShape const& shape,
                       void const* a, void const* b, kernels::Ending ending,
                       kernels::EndingOperands const& more, void* c) const override {
    multiply({operands, result, tf32(), shape, ending}, stream, a, b, 0, c, more);
  }

 private:
  void multiply(Problem const& problem, StreamRef stream, void const* a, void const* b, double beta, void* c,
                kernels::EndingOperands const& more) const {
    if (problem.shape.m == 0 || problem.shape.n == 0) return;
    require(problem.shape.k > 0, "a product has something to add up");
    plan_of(problem).run(library_.get(), a, b, beta, c, more, workspace_.get(), stream_of(stream.exec()));
  }
  [[nodiscard]] bool tf32() const { return single_ == SinglePrecision::tf32; }

  [[nodiscard]] Plan const& plan_of(Problem const& problem) const {
    std::lock_guard const lock(mutex_);
    auto const known = plans_.find(problem);
    if (known != plans_.end()) return known->second;
    auto const& plan = plans_.try_emplace(problem, library_.get(), problem, workspace_.get()).first->second;
    log(LogLevel::debug, "cuBLASLt product " + plan.description());
    return plan;
  }

  SinglePrecision single_;
  bool endings_ = endings_are_on();
  std::string name_;
  UniqueHandle<LibraryTraits> library_;
  UniqueHandle<MemoryTraits> workspace_;
  mutable std::mutex mutex_;
  mutable std::map<Problem, Plan> plans_;
};

}  // namespace

std::unique_ptr<kernels::MatmulProvider> make(SinglePrecision single) {
  return std::make_unique<Provider>(single);
}

std::unique_ptr<kernels::MatmulProvider> make_provider() { return make(SinglePrecision::exact); }

}  // namespace tessera::cublas
