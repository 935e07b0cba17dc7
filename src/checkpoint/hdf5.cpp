// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/hdf5.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "checkpoint/join.hpp"
#include "tessera/checkpoint/box.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/hdf5_version.hpp"

namespace tessera::checkpoint::hdf5 {

namespace {

struct Words {
  std::string innermost;
  std::string outermost;
  std::string system;     // the operating system's own text, where a call of it failed
  bool unclosed = false;  // the file is marked as being written
};

/// What the operating system said, which HDF5 puts between its own numbers and addresses.
std::string system_text(std::string_view words) {
  constexpr std::string_view mark = "error message = '";
  auto const place = words.find(mark);
  if (place == words.npos) return "";
  words.remove_prefix(place + mark.size());
  return std::string(words.substr(0, words.find('\'')));
}

herr_t collect_words(unsigned /*number*/, H5E_error2_t const* entry, void* collected) {
  auto& words = *static_cast<Words*>(collected);
  std::string const text = entry->desc == nullptr ? "" : entry->desc;
  if (words.innermost.empty()) words.innermost = text;
  words.outermost = text;
  if (words.system.empty()) words.system = system_text(text);
  words.unclosed = words.unclosed || text.find("h5clear") != text.npos;
  return 0;
}

/// Of the last failed call. Any further call of HDF5 forgets them.
Words last_words() {
  Words words;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, &collect_words, &words);
  return words;
}

std::string to_text(Words const& words) {
  if (!words.system.empty()) return words.system;
  if (words.unclosed)
    return "it was never closed, so what wrote it died: it is damaged, take an earlier step";
  if (words.innermost.empty()) return "HDF5 gave no reason";
  if (words.innermost == words.outermost) return "HDF5: " + printable(words.innermost);
  return fmt::format("HDF5: {}: {}", printable(words.outermost), printable(words.innermost));
}

Id text_type(std::size_t bytes, std::string const& path) {
  Id type(wrote(H5Tcopy(H5T_C_S1), "describe a text of", path));
  wrote(H5Tset_size(type.get(), std::max<std::size_t>(bytes, 1)), "describe a text of", path);
  wrote(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), "describe a text of", path);
  return type;
}

void write_attribute_of(hid_t object, char const* name, hid_t type, Id const& space, void const* value,
                        std::string const& path) {
  auto const action = fmt::format("write attribute '{}' of", name);
  Id const attribute(
      wrote(H5Acreate2(object, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT), action, path));
  wrote(H5Awrite(attribute.get(), type, value), action, path);
}

/// An attribute and its type and extent, to compare with what is expected before anything is read.
struct Found {
  Found(hid_t object, char const* name, std::string const& path)
      : action(fmt::format("read attribute '{}' of", name)),
        attribute(read(H5Aopen(object, name, H5P_DEFAULT), action, path)),
        type(read(H5Aget_type(attribute.get()), action, path)),
        space(read(H5Aget_space(attribute.get()), action, path)) {}

  /// Fills `value`, of `bytes`, if the attribute has just this type and number of elements.
  bool fetch(hid_t expected, std::int64_t count, void* value, std::string const& path) const {
    bool const fits = read(H5Tequal(type.get(), expected), action, path) > 0 &&
                      read(H5Sget_simple_extent_npoints(space.get()), action, path) == count;
    if (fits) read(H5Aread(attribute.get(), expected, value), action, path);
    return fits;
  }

  std::string action;
  Id attribute;
  Id type;
  Id space;
};

[[noreturn]] void throw_other_value(char const* name, std::string const& expected, std::string const& path) {
  throw DataError(fmt::format("{}: attribute '{}' is not {} as the manifest says", path, name, expected));
}

}  // namespace

void enter() {
  static bool const once = [] {
    H5dont_atexit();
    H5open();
    H5PLset_loading_state(0);
    return true;
  }();
  static_cast<void>(once);
  thread_local bool const silent = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  static_cast<void>(silent);
}

void throw_write_error(std::string_view action, std::string const& path) {
  auto const words = last_words();
  throw IoError(fmt::format("cannot {} {}: {}", action, in_quotes(path), to_text(words)));
}

void throw_read_error(std::string_view action, std::string const& path) {
  auto const words = last_words();
  throw DataError(fmt::format("cannot {} {}: {}", action, in_quotes(path), to_text(words)),
                  words.system.empty() ? ExitCode::data : ExitCode::io);
}

namespace {

/// Sign, `exponent` bits of exponent, the other of 16 of mantissa, little-endian: readers without such a type
/// get floats. Lives as long as the process, as the predefined types do.
hid_t make_half(std::size_t exponent) {
  hid_t const type = H5Tcopy(H5T_IEEE_F32LE);
  std::size_t const mantissa = 15 - exponent;
  bool const made = type >= 0 && H5Tset_fields(type, 15, mantissa, exponent, 0, mantissa) >= 0 &&
                    H5Tset_size(type, 2) >= 0 &&
                    H5Tset_ebias(type, (std::size_t{1} << (exponent - 1)) - 1) >= 0 && H5Tlock(type) >= 0;
  return made ? type : H5I_INVALID_HID;
}

}  // namespace

hid_t type_in_file(DType type) {
  static hid_t const bf16_in_file = make_half(8);
  static hid_t const f16_in_file = make_half(5);
  switch (type) {
    case DType::u8: return H5T_STD_U8LE;
    case DType::i32: return H5T_STD_I32LE;
    case DType::i64: return H5T_STD_I64LE;
    case DType::u64: return H5T_STD_U64LE;
    case DType::f32: return H5T_IEEE_F32LE;
    case DType::f64: return H5T_IEEE_F64LE;
    case DType::bf16: return bf16_in_file;
    case DType::f16: return f16_in_file;
  }
  return H5I_INVALID_HID;
}

Id make_space(std::span<std::int64_t const> extent, std::string const& path) {
  std::array<hsize_t, max_ndim> dims{};
  std::ranges::copy(extent, dims.begin());
  return Id(wrote(H5Screate_simple(static_cast<int>(extent.size()), dims.data(), nullptr), "describe", path));
}

Id make_properties(hid_t of_class, std::string const& path) {
  Id properties(wrote(H5Pcreate(of_class), "set up", path));
  wrote(H5Pset_obj_track_times(properties.get(), false), "set up", path);
  return properties;
}

void make_groups(hid_t file, std::string const& name, std::string const& path) {
  for (auto slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
    auto const group = name.substr(0, slash);
    if (wrote(H5Lexists(file, group.c_str(), H5P_DEFAULT), "look into", path) > 0) continue;
    Id const properties = make_properties(H5P_GROUP_CREATE, path);
    Id const made(wrote(H5Gcreate2(file, group.c_str(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
                        fmt::format("make group '{}' in", group), path));
  }
}

void write_attribute(hid_t object, char const* name, std::string_view text, std::string const& path) {
  Id const type = text_type(text.size(), path);
  Id const space(wrote(H5Screate(H5S_SCALAR), "describe", path));
  write_attribute_of(object, name, type.get(), space, text.empty() ? "" : text.data(), path);
}

void write_attribute(hid_t object, char const* name, std::span<std::int64_t const> numbers,
                     std::string const& path) {
  std::array<std::int64_t, 1> const length{std::ssize(numbers)};
  write_attribute_of(object, name, H5T_STD_I64LE, make_space(length, path), numbers.data(), path);
}

void expect_attribute(hid_t object, char const* name, std::string_view text, std::string const& path) {
  Found const found(object, name, path);
  std::vector<char> value(std::max<std::size_t>(text.size(), 1));
  bool const same = found.fetch(text_type(text.size(), path).get(), 1, value.data(), path) &&
                    std::string_view(value.data(), text.size()) == text;
  if (!same) throw_other_value(name, in_quotes(text), path);
}

void expect_attribute(hid_t object, char const* name, std::span<std::int64_t const> numbers,
                      std::string const& path) {
  Found const found(object, name, path);
  std::vector<std::int64_t> value(numbers.size());
  bool const same = found.fetch(H5T_STD_I64LE, std::ssize(numbers), value.data(), path) &&
                    std::ranges::equal(value, numbers);
  if (!same) throw_other_value(name, fmt::format("[{}]", join(numbers)), path);
}

}  // namespace tessera::checkpoint::hdf5

namespace tessera::checkpoint {

std::string hdf5_version() {
  hdf5::enter();
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace tessera::checkpoint
