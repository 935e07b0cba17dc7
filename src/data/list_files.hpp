// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tessera::data {

/// The files that `path` stands for, as open_tokens promises, sorted byte by byte, at least one: the file
/// itself, those under a directory whose names end in `suffix`, or the matches of a pattern. Whether they can
/// be read is not looked at. Throws DataError or IoError when there is nothing, or a directory cannot be
/// read.
std::vector<std::string> list_files(std::string const& path, std::string_view suffix = "");

}  // namespace tessera::data
