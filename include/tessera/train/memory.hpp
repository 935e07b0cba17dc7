// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// How much memory a rank needs, before it takes any. The tensors are counted by the very code that takes
// them, run over counting arenas; what libraries take for themselves is listed with a name.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "tessera/train/plan.hpp"
#include "tessera/train/run_config.hpp"

namespace tessera::train {

struct MemoryItem {
  std::string_view name;
  std::size_t bytes = 0;

  bool operator==(MemoryItem const&) const = default;
};

struct MemoryPrediction {
  std::vector<MemoryItem> items;

  [[nodiscard]] std::size_t total_bytes() const;
  /// Of the item of this name; 0 where there is none.
  [[nodiscard]] std::size_t bytes_of(std::string_view name) const;
};

/// The item for the copies that asynchronous saves write from. With several ranks per file it is that of a
/// rank which holds those of its group, each as large as its own.
inline constexpr std::string_view checkpoint_copies = "copy for checkpoints";

/// The item for the spans of a timeline, where one is recorded.
inline constexpr std::string_view trace_spans = "spans of the timeline";

/// What the rank of `plan` will hold at its peak: parameters, gradients and moments; activations; token and
/// loss buffers; buffers of tree sums, of the attention kernel and of products of bf16 and f16; copies for
/// checkpoints, spans of the timeline. In the precision of `config`.
[[nodiscard]] MemoryPrediction predict_memory(RunConfig const& config, Plan const& plan);

/// Counts the Kokkos allocations of this process from its construction on, through the Kokkos Tools
/// interface. One may exist at a time.
class AllocationMeter {
 public:
  AllocationMeter();
  AllocationMeter(AllocationMeter const&) = delete;
  AllocationMeter& operator=(AllocationMeter const&) = delete;
  ~AllocationMeter();

  /// Counts from now on; what is alive stays counted.
  void restart() noexcept;
  /// Largest sum of views alive at one time.
  [[nodiscard]] std::size_t peak_bytes() const noexcept;
  /// Allocations made so far.
  [[nodiscard]] std::size_t allocations() const noexcept;
};

}  // namespace tessera::train
