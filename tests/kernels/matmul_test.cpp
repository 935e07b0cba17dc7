// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// One contract for all matrix-product providers of the build.
#include "tessera/kernels/matmul.hpp"

#include <dlfcn.h>

#include <filesystem>

#include "tensors.hpp"
#include "tessera/base/error.hpp"

namespace tessera::kernels::test {

namespace {

std::vector<std::string> provider_names() {
  std::vector<std::string> names{"plain"};
  for (MatmulBackend const& backend : matmul_backends()) names.emplace_back(backend.name);
  return names;
}

std::unique_ptr<MatmulProvider> make(std::string const& name) {
  if (name == "plain") return make_plain_matmul();
  for (MatmulBackend const& backend : matmul_backends()) {
    if (backend.name == name) return backend.make();
  }
  return nullptr;
}

class MatmulTest : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Providers, MatmulTest, ::testing::ValuesIn(provider_names()),
                         [](auto const& provider) { return provider.param; });

struct Sizes {
  std::ptrdiff_t m, n, k;
};

/// A shape without gaps between rows.
MatmulShape dense(bool ta, bool tb, Sizes const& s) {
  return {ta ? Transpose::yes : Transpose::no,
          tb ? Transpose::yes : Transpose::no,
          s.m,
          s.n,
          s.k,
          ta ? s.m : s.k,
          tb ? s.k : s.n,
          s.n};
}

/// Copies rows of `columns` to rows of `ld`, the gaps filled with NaN.
template <class T>
Buffer<T> with_gaps(Tensor const& dense_rows, std::ptrdiff_t columns, std::ptrdiff_t ld) {
  std::size_t const rows = dense_rows.size() / static_cast<std::size_t>(columns);
  Buffer<T> result(rows * static_cast<std::size_t>(ld), std::numeric_limits<T>::quiet_NaN());
  for (std::size_t i = 0; i < dense_rows.size(); ++i) {
    std::size_t const row = i / static_cast<std::size_t>(columns);
    result[row * static_cast<std::size_t>(ld) + i % static_cast<std::size_t>(columns)] =
        static_cast<T>(dense_rows[i]);
  }
  return result;
}

/// How much coarser than T's the operands' rounding is: tf32 keeps 10 of float's 23 bits of mantissa.
template <class T>
double rounding(MatmulProvider const& provider) {
  return sizeof(T) == 4 && provider.name().starts_with("cublas_tf32") ? 0x1p13 : 1.0;
}

/// One product against the reference, with `gap` elements between rows, and the gaps of C untouched.
template <class T>
void expect_product(MatmulProvider const& provider, bool ta, bool tb, Sizes const& s, double beta,
                    std::ptrdiff_t gap) {
  Tensor const a = random_tensor(static_cast<std::size_t>(s.m * s.k), 1);
  Tensor const b = random_tensor(static_cast<std::size_t>(s.k * s.n), 2);
  Tensor c = random_tensor(static_cast<std::size_t>(s.m * s.n), 3);
  MatmulShape shape = dense(ta, tb, s);
  auto const a_rows = with_gaps<T>(a, shape.lda, shape.lda + gap);
  auto const b_rows = with_gaps<T>(b, shape.ldb, shape.ldb + gap);
  auto c_rows = with_gaps<T>(c, s.n, s.n + gap);
  if (beta == 0) std::fill(c_rows.begin(), c_rows.end(), std::numeric_limits<T>::quiet_NaN());
  shape.lda += gap;
  shape.ldb += gap;
  shape.ldc += gap;
  matmul<T>(provider, ExecutionSpace(), shape, a_rows.data(), b_rows.data(), static_cast<T>(beta),
            c_rows.data());
  reference::matmul(ta, tb, static_cast<std::size_t>(s.m), static_cast<std::size_t>(s.n),
                    static_cast<std::size_t>(s.k), a, b, beta, c);
  Buffer<T> result;
  for (std::size_t i = 0; i < c_rows.size(); ++i) {
    auto const column = static_cast<std::ptrdiff_t>(i) % shape.ldc;
    if (column < s.n) {
      result.push_back(c_rows[i]);
    } else {
      EXPECT_TRUE(std::isnan(c_rows[i])) << "wrote into a gap";
    }
  }
  // The partial sums of k random products grow like sqrt(k) and are rounded k times.
  expect_near(result, c, rounding<T>(provider) * tolerance<T>(std::max(4.0, static_cast<double>(s.k))));
}

template <class T>
void expect_products(MatmulProvider const& provider) {
  for (Sizes const& s :
       {Sizes{1, 1, 1}, {3, 5, 7}, {64, 64, 64}, {67, 129, 31}, {130, 33, 600}, {9, 1100, 300}}) {
    for (int transposes = 0; transposes < 4; ++transposes) {
      for (double const beta : {0.0, 1.0}) {
        for (std::ptrdiff_t const gap : {0, 3}) {
          SCOPED_TRACE(::testing::Message() << s.m << " x " << s.n << " x " << s.k << ", transposes "
                                            << transposes << ", beta " << beta << ", gap " << gap);
          expect_product<T>(provider, (transposes & 1) != 0, (transposes & 2) != 0, s, beta, gap);
        }
      }
    }
  }
}

TEST_P(MatmulTest, FloatProductsEqualReference) {
  auto const provider = make(GetParam());
  if (!provider->supports(DType::f32)) GTEST_SKIP() << provider->name() << " has no float products";
  expect_products<float>(*provider);
}

TEST_P(MatmulTest, DoubleProductsEqualReference) {
  auto const provider = make(GetParam());
  if (!provider->supports(DType::f64)) GTEST_SKIP() << provider->name() << " has no double products";
  expect_products<double>(*provider);
}

TEST_P(MatmulTest, EqualCallsGiveEqualBitsWhereverTheOperandsLie) {
  auto const provider = make(GetParam());
  for (Sizes const& s : {Sizes{33, 65, 129}, {128, 96, 512}}) {
    MatmulShape const shape = dense(false, true, s);
    auto const a = as<float>(random_tensor(static_cast<std::size_t>(s.m * s.k), 4));
    auto const b = as<float>(random_tensor(static_cast<std::size_t>(s.k * s.n), 5));
    Buffer<float> first;
    // A device's products read operands that begin on multiples of 16 bytes, as those of an arena do.
    for (std::size_t shift = 0; shift < 20; shift += tensors_on_host ? 1 : 4) {
      Buffer<float> a_moved(a.size() + shift);
      Buffer<float> b_moved(b.size() + 2 * shift);
      Buffer<float> c(static_cast<std::size_t>(s.m * s.n) + shift);
      std::copy(a.begin(), a.end(), a_moved.begin() + static_cast<std::ptrdiff_t>(shift));
      std::copy(b.begin(), b.end(), b_moved.begin() + static_cast<std::ptrdiff_t>(2 * shift));
      matmul<float>(*provider, ExecutionSpace(), shape, a_moved.data() + shift, b_moved.data() + 2 * shift,
                    0.0F, c.data() + shift);
      c.erase(c.begin(), c.begin() + static_cast<std::ptrdiff_t>(shift));
      if (first.empty()) first = c;
      EXPECT_TRUE(same_bits(c, first)) << "shift " << shift;
    }
  }
}

/// A product with an ending against the reference's separate steps. False when the provider does not fuse it.
template <class T>
bool expect_ending(MatmulProvider const& provider, Sizes const& s, Ending ending) {
  bool const forward = ending != Ending::gelu_slope;
  auto const shape = dense(false, forward, s);
  if (!provider.fuses(dtype_of<T>, dtype_of<T>, shape, ending)) return false;
  auto const rounded = [](Tensor const& values) {
    Buffer<T> result;
    for (double const x : values) result.push_back(static_cast<T>(static_cast<float>(x)));
    return result;
  };
  auto const a = rounded(random_tensor(static_cast<std::size_t>(s.m * s.k), 1)),
             b = rounded(random_tensor(static_cast<std::size_t>(s.k * s.n), 2)),
             bias = rounded(random_tensor(static_cast<std::size_t>(s.n), 3));
  auto before = rounded(random_tensor(static_cast<std::size_t>(s.m * s.n), 4, 3));
  Tensor sums(before.size()), results(before.size());
  reference::matmul(false, forward, static_cast<std::size_t>(s.m), static_cast<std::size_t>(s.n),
                    static_cast<std::size_t>(s.k), widened(a), widened(b), 0, sums);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (forward) sums[i] += bias[i % bias.size()];
    results[i] = ending == Ending::bias        ? sums[i]
                 : ending == Ending::bias_gelu ? reference::gelu(sums[i])
                                               : sums[i] * reference::gelu_slope(before[i]);
  }
  Buffer<T> c(before.size());
  matmul_ending<T>(provider, ExecutionSpace(), shape, a.data(), b.data(), ending, bias.data(), before.data(),
                   c.data());
  fence(exec());
  double const near = 0x1p-7 * std::sqrt(static_cast<double>(s.k));
  expect_near(c, results, near);
  if (ending == Ending::bias_gelu) expect_near(before, sums, near);
  return true;
}

TEST_P(MatmulTest, EndingsAreTheStepsThatTheyStandFor) {
  auto const provider = make(GetParam());
  int fused = 0;
  for (Sizes const& s : {Sizes{64, 96, 128}, {256, 512, 384}}) {
    for (Ending const ending : {Ending::bias, Ending::bias_gelu, Ending::gelu_slope}) {
      SCOPED_TRACE(::testing::Message()
                   << s.m << " x " << s.n << " x " << s.k << ", ending " << static_cast<int>(ending));
      fused += expect_ending<float>(*provider, s, ending) ? 1 : 0;
      fused += expect_ending<bf16>(*provider, s, ending) ? 1 : 0;
      fused += expect_ending<f16>(*provider, s, ending) ? 1 : 0;
    }
  }
  if (fused == 0) GTEST_SKIP() << provider->name() << " fuses no endings";
}

/// Threads of this process.
std::ptrdiff_t threads() {
  std::filesystem::directory_iterator const tasks("/proc/self/task");
  return std::distance(begin(tasks), end(tasks));
}

TEST_P(MatmulTest, OneThreadMakesAProductWhateverOpenMpIsToldAndTheSettingStays) {
  auto* const set_threads = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  auto* const get_threads = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
  if (set_threads == nullptr) GTEST_SKIP() << "no OpenMP runtime in this process";
  auto const provider = make(GetParam());
  std::ptrdiff_t const before = threads();
  set_threads(4);
  expect_product<float>(*provider, false, true, {256, 256, 256}, 0, 0);
  EXPECT_EQ(threads(), before);
  EXPECT_EQ(get_threads(), 4);
  set_threads(1);
}

/// Numbers of a 16-bit type, and the same as the truth takes them.
template <class T>
Buffer<T> random_halves(std::ptrdiff_t count, unsigned seed, Tensor& exact) {
  Buffer<T> halves;
  for (double const x : random_tensor(static_cast<std::size_t>(count), seed)) {
    halves.emplace_back(static_cast<float>(x));
  }
  exact.assign(halves.begin(), halves.end());
  return halves;
}

/// A product of 16-bit numbers: in float32 as good as one of float32, in their type that one rounded.
template <class T>
void expect_narrow_product(MatmulProvider const& provider, bool ta, bool tb, Sizes const& s, double beta) {
  Tensor a, b;
  auto const a_half = random_halves<T>(s.m * s.k, 1, a), b_half = random_halves<T>(s.k * s.n, 2, b);
  Tensor c = random_tensor(static_cast<std::size_t>(s.m * s.n), 3);
  auto wide = as<float>(c);
  auto const shape = dense(ta, tb, s);
  matmul<T>(provider, ExecutionSpace(), shape, a_half.data(), b_half.data(), beta, wide.data());
  reference::matmul(ta, tb, static_cast<std::size_t>(s.m), static_cast<std::size_t>(s.n),
                    static_cast<std::size_t>(s.k), a, b, beta, c);
  expect_near(wide, c, tolerance<float>(std::max(4.0, static_cast<double>(s.k))));
  if (beta != 0) return;
  Buffer<T> narrow(wide.size());
  matmul<T>(provider, ExecutionSpace(), shape, a_half.data(), b_half.data(), 0, narrow.data());
  for (std::size_t i = 0; i < wide.size(); ++i) ASSERT_EQ(narrow[i].bits, T(wide[i]).bits) << i;
}

template <class T>
class NarrowMatmulTest : public ::testing::Test {};
using NarrowTypes = ::testing::Types<bf16, f16>;
TYPED_TEST_SUITE(NarrowMatmulTest, NarrowTypes);

TYPED_TEST(NarrowMatmulTest, EveryProviderWidensBeforeItMultiplies) {
  using T = TypeParam;
  for (std::string const& name : provider_names()) {
    SCOPED_TRACE(name);
    auto const provider = make_matmul_provider(name, dtype_of<T>);
    ASSERT_TRUE(provider->supports(dtype_of<T>));
    for (int transposes = 0; transposes < 4; ++transposes) {
      bool const ta = (transposes & 1) != 0, tb = (transposes & 2) != 0;
      expect_narrow_product<T>(*provider, ta, tb, {3, 5, 7}, 0);
      expect_narrow_product<T>(*provider, ta, tb, {67, 129, 31}, 1);
    }
    expect_product<float>(*provider, false, true, {5, 6, 7}, 0, 0);
  }
}

TYPED_TEST(NarrowMatmulTest, ProductsOfSeveralBlocksAreMadeOfAllOfThem) {
  using T = TypeParam;
  auto const provider = make_matmul_provider("auto", dtype_of<T>);
  for (int transposes = 0; transposes < 4; ++transposes) {
    bool const ta = (transposes & 1) != 0, tb = (transposes & 2) != 0;
    expect_narrow_product<T>(*provider, ta, tb, {520, 530, 9}, 0);
    expect_narrow_product<T>(*provider, ta, tb, {5, 520, 2060}, 0);
    expect_narrow_product<T>(*provider, ta, tb, {520, 5, 2060}, 1);
  }
}

TYPED_TEST(NarrowMatmulTest, EqualCallsGiveEqualBitsWhereverTheOperandsLieAndWhateverCameBefore) {
  using T = TypeParam;
  auto const provider = make_matmul_provider("auto", dtype_of<T>);
  Sizes const s{130, 65, 129};
  auto const shape = dense(false, true, s);
  Tensor exact;
  auto const a = random_halves<T>(s.m * s.k, 4, exact), b = random_halves<T>(s.k * s.n, 5, exact);
  Buffer<float> first;
  for (std::size_t shift = 0; shift < 20; ++shift) {
    Buffer<T> a_moved(a.size() + shift), b_moved(b.size() + 2 * shift);
    Buffer<float> c(static_cast<std::size_t>(s.m * s.n));
    std::copy(a.begin(), a.end(), a_moved.begin() + static_cast<std::ptrdiff_t>(shift));
    std::copy(b.begin(), b.end(), b_moved.begin() + static_cast<std::ptrdiff_t>(2 * shift));
    matmul<T>(*provider, ExecutionSpace(), shape, a_moved.data() + shift, b_moved.data() + 2 * shift, 0,
              c.data());
    if (first.empty()) first = c;
    EXPECT_TRUE(same_bits(c, first)) << "shift " << shift;
    expect_narrow_product<T>(*provider, true, false, {20, 30, 40}, 0);
  }
}

TEST(MatmulProviderTest, AutoTakesTheFirstThatSupportsTheType) {
  EXPECT_TRUE(make_matmul_provider("auto", DType::f32)->supports(DType::f32));
  EXPECT_TRUE(make_matmul_provider("auto", DType::f64)->supports(DType::f64));
}

TEST(MatmulProviderTest, EveryNameServesEveryType) {
  for (std::string const& name : provider_names()) {
    for (DType const type : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
      EXPECT_TRUE(make_matmul_provider(name, type)->supports(type)) << name << ' ' << to_string(type);
    }
    expect_product<double>(*make_matmul_provider(name, DType::f64), false, true, {5, 6, 7}, 0, 0);
  }
}

TEST(MatmulProviderTest, AnUnknownNameListsTheKnownOnes) {
  try {
    auto const provider = make_matmul_provider("onednnn", DType::f32);
    FAIL() << "made " << provider->name();
  } catch (ConfigError const& error) {
    std::string const text = error.what();
    for (std::string const& name : provider_names()) EXPECT_NE(text.find(name), std::string::npos) << text;
    EXPECT_NE(text.find("onednnn"), std::string::npos) << text;
  }
}

}  // namespace

}  // namespace tessera::kernels::test
