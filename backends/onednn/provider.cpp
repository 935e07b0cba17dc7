// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Matrix products by oneDNN's sgemm: its row-major C interface, one thread a call. sgemm rather than the
// matmul primitive because column splits keep its bits and no shape falls behind.
#include <dlfcn.h>
#include <dnnl.h>

#include <string>

#include "tessera/base/error.hpp"
#include "tessera/kernels/matmul.hpp"

namespace tessera::onednn {

namespace {

/// Holds oneDNN's OpenMP runtime, whichever it was built with, to one thread while it lives, whatever
/// OMP_NUM_THREADS says. The setting belongs to the calling thread and is put back.
class OneThread {
 public:
  OneThread() : threads_(runtime().get != nullptr ? runtime().get() : 1) { set(1); }
  ~OneThread() { set(threads_); }
  OneThread(OneThread const&) = delete;
  OneThread& operator=(OneThread const&) = delete;

 private:
  struct Runtime {
    int (*get)();
    void (*set)(int);
  };
  static Runtime const& runtime() {
    static Runtime const found{reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads")),
                               reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"))};
    return found;
  }
  void set(int threads) const {
    if (threads_ != 1 && runtime().set != nullptr) runtime().set(threads);
  }

  int threads_;
};

char code(kernels::Transpose transpose) { return transpose == kernels::Transpose::yes ? 'T' : 'N'; }

class Provider final : public kernels::MatmulProvider {
 public:
  Provider() {
    dnnl_version_t const* const version = dnnl_version();
    name_ = "onednn " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
            std::to_string(version->patch);
  }
  [[nodiscard]] std::string_view name() const noexcept override { return name_; }
  [[nodiscard]] bool supports(DType type) const noexcept override { return type == DType::f32; }

  void multiply(StreamRef, DType type, DType, kernels::MatmulShape const& s, void const* a, void const* b,
                double beta, void* c) const override {
    require(type == DType::f32, "the onednn product takes f32 only");
    OneThread const one_thread;
    dnnl_status_t const status = dnnl_sgemm(code(s.transpose_a), code(s.transpose_b), s.m, s.n, s.k, 1.0F,
                                            static_cast<float const*>(a), s.lda, static_cast<float const*>(b),
                                            s.ldb, static_cast<float>(beta), static_cast<float*>(c), s.ldc);
    if (status == dnnl_out_of_memory) {
      throw MemoryError("oneDNN has no memory for a product of " + describe(s) +
                        ": use fewer ranks on this machine");
    }
    if (status != dnnl_success) throw InternalError("oneDNN refused a product of " + describe(s));
  }

 private:
  static std::string describe(kernels::MatmulShape const& s) {
    return "(" + std::to_string(s.m) + ", " + std::to_string(s.n) + ", " + std::to_string(s.k) + ")";
  }

  std::string name_;
};

}  // namespace

std::unique_ptr<kernels::MatmulProvider> make_provider() { return std::make_unique<Provider>(); }

}  // namespace tessera::onednn
