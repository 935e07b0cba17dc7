// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace tessera {

struct bf16;  // base/bf16.hpp
struct f16;   // base/f16.hpp

/// Element types that cross an untyped interface: communicators, matrix-product providers, files.
enum class DType : std::uint8_t { u8, i32, i64, u64, f32, f64, bf16, f16 };

/// Size of one element in bytes.
constexpr std::size_t size_bytes(DType type) {
  switch (type) {
    case DType::u8: return 1;
    case DType::bf16:
    case DType::f16: return 2;
    case DType::i32:
    case DType::f32: return 4;
    case DType::i64:
    case DType::u64:
    case DType::f64: return 8;
  }
  return 0;
}

/// Whether it is a type of 16 bits, to store and to move only.
constexpr bool is_narrow(DType type) { return type == DType::bf16 || type == DType::f16; }

constexpr std::string_view to_string(DType type) {
  switch (type) {
    case DType::u8: return "u8";
    case DType::i32: return "i32";
    case DType::i64: return "i64";
    case DType::u64: return "u64";
    case DType::f32: return "f32";
    case DType::f64: return "f64";
    case DType::bf16: return "bf16";
    case DType::f16: return "f16";
  }
  return "?";
}

namespace detail {
template <class T>
struct DTypeOf;
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<std::uint64_t> {
  static constexpr DType value = DType::u64;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<bf16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<f16> {
  static constexpr DType value = DType::f16;
};
}  // namespace detail

/// The DType of a C++ element type; a type without one does not compile.
template <class T>
inline constexpr DType dtype_of = detail::DTypeOf<std::remove_cv_t<T>>::value;

}  // namespace tessera
