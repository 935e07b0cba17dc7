// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace tessera::checkpoint {

/// "1.10.8", of the HDF5 that is linked now, which may be another than the one compiled against.
[[nodiscard]] std::string hdf5_version();

}  // namespace tessera::checkpoint
