// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/hdf5_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "tessera/checkpoint/files.hpp"

namespace tessera::checkpoint::hdf5 {

namespace {

using Names = std::vector<std::string>;

herr_t collect_attribute(hid_t /*object*/, char const* name, H5A_info_t const* /*info*/, void* names) {
  static_cast<Names*>(names)->emplace_back(name);
  return 0;
}

herr_t collect_link(hid_t /*group*/, char const* name, H5L_info_t const* /*info*/, void* names) {
  static_cast<Names*>(names)->emplace_back(name);
  return 0;
}

/// The names in a group. `prefix` is the group's own, with a slash at its end; empty for the root.
Names names_in(hid_t group, std::string const& prefix, std::string const& where) {
  Names names;
  read(H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, &collect_link, &names), "list", where);
  for (auto& name : names) name.insert(0, prefix);
  return names;
}

/// Whether a dataset lies below this prefix.
bool leads_to_one(std::string const& prefix, std::set<std::string> const& datasets) {
  auto const next = datasets.lower_bound(prefix);
  return next != datasets.end() && next->starts_with(prefix);
}

void expect_hard(hid_t file, std::string const& name, std::string const& where) {
  H5L_info_t info{};
  read(H5Lget_info(file, name.c_str(), &info, H5P_DEFAULT), "look into", where);
  if (info.type == H5L_TYPE_HARD) return;
  throw DataError(fmt::format("{}: {} is a link to elsewhere", in_quotes(where), in_quotes(name)));
}

}  // namespace

void expect_only_attributes(hid_t object, std::set<std::string_view> const& known, std::string const& where) {
  Names names;
  read(H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, &collect_attribute, &names),
       "list the attributes of", where);
  auto const stranger =
      std::ranges::find_if_not(names, [&](auto const& name) { return known.contains(name); });
  if (stranger == names.end()) return;
  throw DataError(fmt::format("{}: attribute {} is none of a checkpoint's", where, in_quotes(*stranger)));
}

void expect_only_datasets(hid_t file, std::set<std::string> const& datasets, std::string const& where) {
  for (Names left = names_in(file, "", where); !left.empty();) {
    auto const name = std::move(left.back());
    left.pop_back();
    expect_hard(file, name, where);
    if (datasets.contains(name)) continue;
    if (!leads_to_one(name + "/", datasets)) {
      throw DataError(fmt::format("{}: the manifest says nothing of {}", in_quotes(where), in_quotes(name)));
    }
    Id const group(read(H5Gopen2(file, name.c_str(), H5P_DEFAULT), "open a group of", where));
    expect_only_attributes(group.get(), {}, fmt::format("{}: group {}", in_quotes(where), in_quotes(name)));
    std::ranges::move(names_in(group.get(), name + "/", where), std::back_inserter(left));
  }
}

}  // namespace tessera::checkpoint::hdf5
