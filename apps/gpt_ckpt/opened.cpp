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

namespace {

/// Damage goes before what could not be looked at, which may be whole.
tessera::ExitCode verdict(std::vector<checkpoint::Problem> const& problems) {
  bool const unreadable =
      std::ranges::all_of(problems, checkpoint::is_unreadable, &checkpoint::Problem::code);
  return unreadable ? problems.front().code : tessera::ExitCode::data;
}

}  // namespace

std::string resolve(std::string const& path) { return checkpoint::candidates(path).front(); }

checkpoint::Reader open(std::string const& path) {
  auto const directory = resolve(path);
  auto manifest = checkpoint::read_manifest(directory);
  auto const problems = checkpoint::verify_checkpoint(directory);
  if (!problems.empty()) {
    auto const code = verdict(problems);
    auto text = fmt::format("{} {}", checkpoint::in_quotes(directory),
                            code == tessera::ExitCode::data ? "is damaged" : "cannot be read");
    for (auto const& problem : problems) text += "\n  " + to_string(problem);
    throw tessera::DataError(text, code);
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

std::int64_t bytes_of_checkpoint(std::string const& directory, checkpoint::Manifest const& manifest) {
  auto const path = checkpoint::path_in(directory, checkpoint::manifest_name);
  auto const own = checkpoint::file_size(checkpoint::open_to_read(path), path);
  return std::accumulate(manifest.files.begin(), manifest.files.end(), own,
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
