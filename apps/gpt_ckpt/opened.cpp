// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "opened.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "tessera/base/error.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/steps.hpp"
#include "tessera/checkpoint/verify.hpp"

namespace gpt_ckpt {

std::string resolve(std::string const& path) { return checkpoint::candidates(path).front(); }

checkpoint::Reader open(std::string const& path) {
  auto const directory = resolve(path);
  auto manifest = checkpoint::read_manifest(directory);
  auto const problems = checkpoint::verify_checkpoint(directory);
  if (!problems.empty()) {
    auto text = fmt::format("{} is damaged", checkpoint::in_quotes(directory));
    for (auto const& problem : problems) text += "\n  " + to_string(problem);
    throw tessera::DataError(text);
  }
  return {directory, std::move(manifest)};
}

std::vector<std::byte> read(checkpoint::Reader const& reader, checkpoint::TensorEntry const& tensor,
                            checkpoint::Box const& box) {
  std::vector<std::byte> elements(static_cast<std::size_t>(element_count(box)) * size_bytes(tensor.dtype));
  std::array const slices{
      checkpoint::Slice{tensor.name, tensor.dtype, tensor.shape, row_major(elements.data(), box)}};
  reader.read(slices);
  return elements;
}

void for_each_block(checkpoint::TensorEntry const& tensor, std::int64_t bytes,
                    std::function<void(checkpoint::Piece const&)> const& visit) {
  auto const everything = checkpoint::whole(tensor.shape);
  auto const most = std::max<std::int64_t>(bytes / static_cast<std::int64_t>(size_bytes(tensor.dtype)), 1);
  checkpoint::for_each_piece(everything, everything, most, 0, visit);
}

std::int64_t bytes_of(checkpoint::TensorEntry const& tensor) {
  return element_count(checkpoint::whole(tensor.shape)) * static_cast<std::int64_t>(size_bytes(tensor.dtype));
}

std::int64_t bytes_of_files(checkpoint::Manifest const& manifest) {
  return std::accumulate(manifest.files.begin(), manifest.files.end(), std::int64_t{0},
                         [](std::int64_t sum, auto const& file) { return sum + file.bytes; });
}

std::string human(std::int64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::array units{"KiB", "MiB", "GiB", "TiB"};
  double number = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; number >= 1024 && unit + 1 < units.size(); ++unit) number /= 1024;
  return fmt::format("{:.1f} {}", number, units[unit]);
}

std::string shape_text(std::vector<std::int64_t> const& shape) {
  std::string text;
  for (auto const extent : shape) text += fmt::format("{}{}", text.empty() ? "(" : ", ", extent);
  return text + ")";
}

}  // namespace gpt_ckpt
