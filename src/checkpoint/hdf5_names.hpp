// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What an HDF5 file holds, by name; nothing that a name leads to is opened.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/hdf5.hpp"

namespace tessera::checkpoint::hdf5 {

/// Throws DataError unless each attribute of an object is one of `known`. `where` names the object.
void expect_only_attributes(hid_t object, std::set<std::string_view> const& known, std::string const& where);

/// Throws DataError unless everything in a file is one of `datasets` or a group on the way to one, reached by
/// hard links, and groups have no attributes.
void expect_only_datasets(hid_t file, std::set<std::string> const& datasets, std::string const& where);

}  // namespace tessera::checkpoint::hdf5
