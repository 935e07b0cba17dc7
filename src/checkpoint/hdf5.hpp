// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// HDF5 as this room uses it: owned ids, return codes that are looked at, the library's own words in errors.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tessera/base/dtype.hpp"
#include "tessera/base/error.hpp"
#include "tessera/base/unique_handle.hpp"

namespace tessera::checkpoint::hdf5 {

struct IdTraits {
  using Handle = hid_t;
  static Handle null() noexcept { return -1; }
  static void free(Handle id) noexcept { H5Idec_ref(id); }
};
using Id = UniqueHandle<IdTraits>;

/// Before the first call of HDF5 on a thread: nothing at exit, no plugins, no printing.
void enter();

/// "cannot ACTION 'PATH': WHY", of the last failed call, as IoError for what is written, DataError for what
/// is read. WHY is the operating system's own text (then a DataError has the code io), or else HDF5's
/// innermost and outermost words.
[[noreturn]] void throw_write_error(std::string_view action, std::string const& path);
[[noreturn]] void throw_read_error(std::string_view action, std::string const& path);

/// Hands on the result of a call that writes; negative ones are thrown.
template <class Result>
Result wrote(Result result, std::string_view action, std::string const& path) {
  if (result < 0) throw_write_error(action, path);
  return result;
}
template <class Result>
Result read(Result result, std::string_view action, std::string const& path) {
  if (result < 0) throw_read_error(action, path);
  return result;
}

/// How an element type lies in files; owned by HDF5.
hid_t type_in_file(DType type);

Id make_space(std::span<std::int64_t const> extent, std::string const& path);
/// Properties of an object whose bytes do not depend on when it was made.
Id make_properties(hid_t of_class, std::string const& path);
/// Makes the groups on the way to `name` that are not there yet. (The ones HDF5 would make keep their times.)
void make_groups(hid_t file, std::string const& name, std::string const& path);

void write_attribute(hid_t object, char const* name, std::string_view text, std::string const& path);
void write_attribute(hid_t object, char const* name, std::span<std::int64_t const> numbers,
                     std::string const& path);

/// Throws DataError unless the object has this attribute with this value, stored as write_attribute does.
void expect_attribute(hid_t object, char const* name, std::string_view text, std::string const& path);
void expect_attribute(hid_t object, char const* name, std::span<std::int64_t const> numbers,
                      std::string const& path);

}  // namespace tessera::checkpoint::hdf5
