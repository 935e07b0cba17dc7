// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tessera/checkpoint/manifest.hpp"

namespace tessera::checkpoint {

std::int64_t Dataset::bytes() const noexcept {
  return element_count(shard->box) * static_cast<std::int64_t>(size_bytes(tensor->dtype));
}

std::vector<FileContent> contents_of(Manifest const& manifest) {
  std::vector<FileContent> contents;
  contents.reserve(manifest.files.size());
  for (auto const& file : manifest.files) contents.push_back({&file, {}});
  for (auto const& [tensor, shards] : manifest.tensors) {
    for (auto const& shard : shards) {
      contents.at(static_cast<std::size_t>(shard.file)).datasets.push_back({&tensor, &shard});
    }
  }
  for (auto& content : contents) {
    std::ranges::sort(content.datasets, {}, [](Dataset const& dataset) { return dataset.shard->position; });
  }
  return contents;
}

}  // namespace tessera::checkpoint
