// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/data/loader.hpp"

#include <fmt/format.h>

#include "tessera/base/error.hpp"

namespace tessera::data {

BatchLoader::BatchLoader(Dataset const& dataset, std::int64_t global_batch, std::int64_t micro_batch)
    : dataset_(&dataset), global_batch_(global_batch), micro_batch_(micro_batch) {
  if (global_batch < 1 || micro_batch < 1 || global_batch % micro_batch != 0) {
    throw ConfigError(
        {fmt::format("batch.global_batch_size = {} must be a multiple of batch.micro_batch_size = {}, "
                     "both at least 1",
                     global_batch, micro_batch)});
  }
  sample_.resize(static_cast<std::size_t>(dataset.seq_length()) + 1);
}

void BatchLoader::resume(std::int64_t step, std::int64_t position) {
  require(step >= 0 && position >= 0, "steps and positions are counted from 0");
  step_ = step;
  position_ = position;
}

/// Sequence b of the microbatch is what read_sample(b, sample) puts into its second argument.
template <class ReadSample>
void BatchLoader::fill(std::span<std::int32_t> tokens, std::span<std::int32_t> targets,
                       ReadSample const& read_sample) {
  auto const batch = static_cast<std::size_t>(micro_batch_);
  std::size_t const rows = (sample_.size() - 1) * batch;
  require(tokens.size() == rows && targets.size() == rows, "tokens and targets have shape (S*B)");
  for (std::size_t b = 0; b < batch; ++b) {
    read_sample(static_cast<std::int64_t>(b), std::span(sample_));
    for (std::size_t s = 0; s + 1 < sample_.size(); ++s) {
      tokens[s * batch + b] = sample_[s];
      targets[s * batch + b] = sample_[s + 1];
    }
  }
}

void BatchLoader::training_microbatch(std::int64_t step, std::int64_t microbatch,
                                      std::span<std::int32_t> tokens, std::span<std::int32_t> targets) {
  require(microbatch >= 0 && microbatch < microbatches(), "a step has microbatches 0 to M-1");
  std::int64_t const first = position(step) + microbatch * micro_batch_;
  fill(tokens, targets,
       [&](std::int64_t b, std::span<std::int32_t> sample) { dataset_->read_training(first + b, sample); });
}

void BatchLoader::validation_microbatch(std::int64_t index, std::span<std::int32_t> tokens,
                                        std::span<std::int32_t> targets) {
  fill(tokens, targets, [&](std::int64_t b, std::span<std::int32_t> sample) {
    dataset_->read_validation(index * micro_batch_ + b, sample);
  });
}

}  // namespace tessera::data
