// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/dtype.hpp"

#include <gtest/gtest.h>

#include <type_traits>

#include "tessera/base/compute_types.hpp"

namespace tessera {
namespace {

template <class T>
void expect_described(char const* name) {
  EXPECT_EQ(size_bytes(dtype_of<T>), sizeof(T));
  EXPECT_EQ(to_string(dtype_of<T>), name);
  EXPECT_EQ(dtype_of<T const>, dtype_of<T>);
}

TEST(DType, DescribesItsElementType) {
  expect_described<std::uint8_t>("u8");
  expect_described<std::int32_t>("i32");
  expect_described<std::int64_t>("i64");
  expect_described<std::uint64_t>("u64");
  expect_described<float>("f32");
  expect_described<double>("f64");
  expect_described<bf16>("bf16");
  expect_described<f16>("f16");
}

}  // namespace
}  // namespace tessera
