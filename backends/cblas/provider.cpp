// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Matrix products by the CBLAS of the system, one thread a call. OpenBLAS, where that is it, is asked for its
// thread count and its processor model by name at run time, so that any CBLAS links.
#include <cblas.h>
#include <dlfcn.h>

#include <string>

#include "tessera/base/error.hpp"
#include "tessera/base/log.hpp"
#include "tessera/kernels/matmul.hpp"

namespace tessera::cblas {

namespace {

template <class Function>
Function* find(char const* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

bool processor_has_avx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") != 0;
#else
  return false;
#endif
}

/// An OpenBLAS that does not know a processor falls back to kernels of twenty years ago, silently.
void warn_of_generic_kernels(std::string const& core) {
  bool const generic = core == "Prescott" || core == "Core2" || core == "Nehalem" || core == "Generic" ||
                       core == "Sandybridge" || core == "Haswell" || core == "Zen";
  if (!generic || !processor_has_avx512()) return;
  log(LogLevel::warning,
      "OpenBLAS took this processor for a \"" + core +
          "\" and does not use its AVX-512: set OPENBLAS_CORETYPE=SkylakeX in the environment, "
          "or choose another matrix-product provider");
}

CBLAS_TRANSPOSE code(kernels::Transpose transpose) {
  return transpose == kernels::Transpose::yes ? CblasTrans : CblasNoTrans;
}

/// BLAS counts in int.
int count(std::ptrdiff_t n) {
  require(n == static_cast<int>(n), "a product too large for a BLAS with 32-bit sizes");
  return static_cast<int>(n);
}

class Provider final : public kernels::MatmulProvider {
 public:
  Provider() {
    if (auto* const set_threads = find<void(int)>("openblas_set_num_threads")) set_threads(1);
    if (auto* const version = find<char*()>("openblas_get_config"))
      name_ = "cblas (" + std::string(version()) + ")";
    if (auto* const core = find<char*()>("openblas_get_corename")) warn_of_generic_kernels(core());
  }
  [[nodiscard]] std::string_view name() const noexcept override { return name_; }
  [[nodiscard]] bool supports(DType type) const noexcept override {
    return type == DType::f32 || type == DType::f64;
  }

  void multiply(StreamRef, DType type, DType, kernels::MatmulShape const& s, void const* a, void const* b,
                double beta, void* c) const override {
    if (type == DType::f32) {
      cblas_sgemm(CblasRowMajor, code(s.transpose_a), code(s.transpose_b), count(s.m), count(s.n), count(s.k),
                  1.0F, static_cast<float const*>(a), count(s.lda), static_cast<float const*>(b),
                  count(s.ldb), static_cast<float>(beta), static_cast<float*>(c), count(s.ldc));
    } else {
      require(type == DType::f64, "the cblas product takes f32 and f64");
      cblas_dgemm(CblasRowMajor, code(s.transpose_a), code(s.transpose_b), count(s.m), count(s.n), count(s.k),
                  1.0, static_cast<double const*>(a), count(s.lda), static_cast<double const*>(b),
                  count(s.ldb), beta, static_cast<double*>(c), count(s.ldc));
    }
  }

 private:
  std::string name_ = "cblas";
};

}  // namespace

std::unique_ptr<kernels::MatmulProvider> make_provider() { return std::make_unique<Provider>(); }

}  // namespace tessera::cblas
