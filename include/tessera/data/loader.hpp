// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tessera/data/dataset.hpp"

namespace tessera::data {

/// Cuts the samples of a Dataset into the microbatches of steps. A step consumes `global_batch` samples, its
/// microbatch m = 0 .. M-1 those numbered m*B .. m*B + B-1 of them, whichever rank asks and in whatever
/// order: a rank reads the microbatches it works on and no others, and no layout changes which sample is
/// where.
///
/// Tensors lie in host memory and are sequence-major, shape (S*B): row s*B + b is position s of sequence b.
/// The target of a row is the token after it.
class BatchLoader {
 public:
  /// Borrows `dataset`, which must outlive it. `global_batch` = M*B sequences, a multiple of `micro_batch` =
  /// B. Throws ConfigError when it is not.
  BatchLoader(Dataset const& dataset, std::int64_t global_batch, std::int64_t micro_batch);

  /// Makes `step` the one whose first sample is at `position`: where a run goes on that was saved there, also
  /// with another batch size. Without it step 0 is at position 0.
  void resume(std::int64_t step, std::int64_t position);

  /// Samples consumed before `step` (0-based), counted from the start of training: what a checkpoint keeps.
  [[nodiscard]] std::int64_t position(std::int64_t step) const noexcept {
    return position_ + (step - step_) * global_batch_;
  }

  /// M
  [[nodiscard]] std::int64_t microbatches() const noexcept { return global_batch_ / micro_batch_; }

  /// Fills `tokens` and `targets`, both (S*B), with microbatch 0 .. M-1 of `step`. Allocates nothing. Throws
  /// as Dataset::read_training does.
  void training_microbatch(std::int64_t step, std::int64_t microbatch, std::span<std::int32_t> tokens,
                           std::span<std::int32_t> targets);

  /// The same for validation samples index*B .. index*B + B-1, a list that is the same at every validation.
  /// It starts again from the first sample when it reaches the end.
  void validation_microbatch(std::int64_t index, std::span<std::int32_t> tokens,
                             std::span<std::int32_t> targets);

 private:
  template <class ReadSample>
  void fill(std::span<std::int32_t> tokens, std::span<std::int32_t> targets, ReadSample const& read_sample);

  Dataset const* dataset_;
  std::int64_t global_batch_;
  std::int64_t micro_batch_;
  std::int64_t step_ = 0;
  std::int64_t position_ = 0;         // of step_
  std::vector<std::int32_t> sample_;  // (S+1)
};

}  // namespace tessera::data
