// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <functional>
#include <numeric>

#include "tessera/base/error.hpp"
#include "tessera/train/state.hpp"
#include "train/tile_box.hpp"

namespace tessera::train {

namespace {

constexpr int kinds = 3;

/// A box that is dealt, and the tensor-parallel part that holds it; -1: all of them do.
struct Item {
  SavedBox saved;
  int tp = 0;
  std::int64_t elements = 0;
};

/// `box` in slabs of rows along the first dim that can be cut, each of at most `most` elements if that dim is
/// long enough.
std::vector<checkpoint::Box> slabs(checkpoint::Box const& box, std::int64_t most) {
  auto const size = checkpoint::element_count(box);
  auto const wide = std::ranges::find_if(box.extent, [](std::int64_t extent) { return extent > 1; });
  if (size <= most || wide == box.extent.end()) return {box};
  auto const dim = static_cast<std::size_t>(wide - box.extent.begin());
  std::int64_t const rows = *wide, count = std::min(rows, (size + most - 1) / most);
  std::vector<checkpoint::Box> result;
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t const begin = i * rows / count, end = (i + 1) * rows / count;
    auto& slab = result.emplace_back(box);
    slab.offset[dim] += begin;
    slab.extent[dim] = end - begin;
  }
  return result;
}

/// What the tp rank `tp` holds of a tensor; `most` as in slabs.
std::vector<Item> items_of(params::ParameterId id, params::TensorSpec const& spec, params::TileRange tiles,
                           int tp, std::int64_t most) {
  std::vector<Item> items;
  auto const box = box_of_tiles(spec, tiles);
  if (!box) return items;
  for (auto const& slab : slabs(*box, most)) {
    for (int kind = 0; kind < kinds; ++kind)
      items.push_back({{id, kind, slab}, tp, checkpoint::element_count(slab)});
  }
  return items;
}

/// The boxes of a stage, from large to small.
std::vector<Item> items_of_stage(std::vector<params::Parameter> const& parameters, Layout const& layout,
                                 std::int64_t smallest) {
  std::int64_t all = 0;
  for (auto const& parameter : parameters) {
    if (parameter.role == params::Role::owner) all += parameter.spec.size();
  }
  std::int64_t const fair_share = kinds * all / (layout.tp * layout.dp);
  std::int64_t const most = std::max(smallest, fair_share / 4);
  std::vector<Item> result;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    auto const& parameter = parameters[i];
    auto const& spec = parameter.spec;
    if (parameter.role != params::Role::owner) continue;
    for (int tp = 0; tp < (spec.replicated() ? 1 : layout.tp); ++tp) {
      auto const tiles = spec.replicated() ? params::TileRange::all(spec.tiles)
                                           : params::TileRange::of_rank(spec.tiles, tp, layout.tp);
      auto const items =
          items_of(static_cast<params::ParameterId>(i), spec, tiles, spec.replicated() ? -1 : tp, most);
      result.insert(result.end(), items.begin(), items.end());
    }
  }
  std::ranges::stable_sort(result, std::greater<>(), &Item::elements);
  return result;
}

}  // namespace

std::vector<SavedBox> saved_boxes(std::vector<params::Parameter> const& parameters, Layout const& layout,
                                  Place place, std::int64_t smallest) {
  auto const dp = layout.dp;
  std::vector<std::int64_t> loads(static_cast<std::size_t>(layout.tp * dp), 0);  // (t, d)
  std::vector<SavedBox> own;
  for (auto const& item : items_of_stage(parameters, layout, smallest)) {
    auto const begin = item.tp < 0 ? loads.begin() : loads.begin() + item.tp * dp;
    auto const taker = std::min_element(begin, item.tp < 0 ? loads.end() : begin + dp);
    *taker += item.elements;
    if (taker - loads.begin() == place.tp * dp + place.dp) own.push_back(item.saved);
  }
  std::ranges::stable_sort(own, [](SavedBox const& a, SavedBox const& b) {
    return std::pair(a.kind, a.parameter) < std::pair(b.kind, b.parameter);
  });
  return own;
}

std::int64_t element_count(std::vector<SavedBox> const& boxes) {
  return std::transform_reduce(boxes.begin(), boxes.end(), std::int64_t{0}, std::plus<>(),
                               [](SavedBox const& one) { return checkpoint::element_count(one.box); });
}

}  // namespace tessera::train
