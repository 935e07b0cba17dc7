// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// model.h5, for people and their tools: h5dump, h5ls, h5py, MATLAB. Each tensor appears whole under its name,
// as an HDF5 virtual dataset over the boxes in the shard files. Readers of this library never open it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tessera/checkpoint/manifest.hpp"

namespace tessera::checkpoint {

/// Writes `directory`/model.h5 over the files and tensors of `manifest`, syncs it, and returns its entry to
/// be added to the manifest's files. Sources are bare names, so the directory may be moved and renamed as
/// one.
///
/// HDF5 reads the fill value, without an error, where a source is missing; so the fill value is NaN, and for
/// whole numbers the largest one (u8: 255). Throws IoError; a failure removes the file.
FileEntry write_virtual_file(std::string const& directory, Manifest const& manifest, std::string writer);

}  // namespace tessera::checkpoint
