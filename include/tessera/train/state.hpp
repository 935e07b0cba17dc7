// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A training run as named tensors and back: what a checkpoint holds of it.
//
//   NAME                          weights, under the names of TensorSpec
//   optimizer/exp_avg/NAME        first moments of Adam
//   optimizer/exp_avg_sq/NAME     second moments
//
// All are float32, also of a bf16 or fp16 run, whose weights they are the masters of; float64 of a float64
// run. All have the tensor's true global shape; the padding of tiles is nowhere. A rank writes boxes: of a
// cut tensor the run of its tiles, of a replicated one the whole or some rows. What several ranks hold alike
// is written by one of them. So the files say nothing about tiles, and any layout reads what any other wrote.
//
// Beside the tensors: the step, the updates made (fewer, where steps were skipped), the position in the data,
// and a loss scale that changes. Random numbers are functions of seed and step, so there is no generator to
// keep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tessera/checkpoint/reader.hpp"
#include "tessera/checkpoint/saver.hpp"
#include "tessera/train/trainer.hpp"

namespace tessera::train {

/// Three times as many tensors as the model has: weights, then first, then second moments, each in canonical
/// order.
[[nodiscard]] std::vector<checkpoint::TensorEntry> saved_tensors(std::vector<params::TensorSpec> const& specs,
                                                                 DType dtype);

/// What a rank writes of one tensor of its stage.
struct SavedBox {
  params::ParameterId parameter = 0;  ///< in the store of the stage
  int kind = 0;                       ///< 0 the weights, 1 the first moments, 2 the second
  checkpoint::Box box;
};

/// The boxes of the rank at `place` out of those of its whole stage, which has `parameters`. Every rank works
/// out the same deal from the same arguments: the largest box first, each to the rank with least so far among
/// those that hold it (the dp replicas of a tensor-parallel part; for a tensor replicated over tp, all ranks
/// of the stage). A box that several ranks hold, of more than a quarter of a rank's fair share and of more
/// than `smallest` elements, is first cut into slabs of rows. Ordered as the snapshot's tensors are.
[[nodiscard]] std::vector<SavedBox> saved_boxes(std::vector<params::Parameter> const& parameters,
                                                Layout const& layout, Place place,
                                                std::int64_t smallest = std::int64_t{1} << 16);

/// Elements of all boxes.
[[nodiscard]] std::int64_t element_count(std::vector<SavedBox> const& boxes);

/// What a run is by its configuration, `section.key` to text: everything of the model, and what fixes the
/// arithmetic of a step. Values that follow from others (feed-forward size, end of the decay) are the derived
/// ones. `training_samples` is the size of an epoch, which stands for the data.
[[nodiscard]] checkpoint::Values saved_config(RunConfig const& config, Layout const& layout,
                                              std::int64_t training_samples);

/// How a run that begins from a checkpoint differs from the one that was saved.
struct Differences {
  /// Of the model, and float64 against another precision: such a run does not go on.
  std::vector<std::string> impossible;
  /// Of batch, optimiser, seed, data, and float32 against bf16 or fp16: it goes on, but is another run.
  std::vector<std::string> allowed;
};
/// Each a sentence "model.hidden_size: 64 when saved, now 128". `allow_model_changes`: values of the model
/// that change no tensor (dropout, the epsilon of norms) are among those allowed.
[[nodiscard]] Differences differences(checkpoint::Values const& saved, checkpoint::Values const& now,
                                      bool allow_model_changes = false);

/// Not collective. The state of training as this rank's share of a checkpoint. It points into the trainer's
/// tensors, which have to be in host memory and may not change until the snapshot has been handed over.
template <class T>
[[nodiscard]] checkpoint::Snapshot make_snapshot(Trainer<T>& trainer);

/// Not collective, but all ranks call it. Fills the trainer's tensors, copies of tied ones included, from the
/// slices that this rank owns, and sets step, updates and position. A checkpoint of any layout will do; no
/// more memory is taken than one bounded buffer. Throws DataError where the checkpoint does not fit; see
/// `differences` and Reader::differences, which are to be asked before.
template <class T>
void restore(Trainer<T>& trainer, checkpoint::Reader const& from);

#define TESSERA_DECLARE(T)                                         \
  extern template checkpoint::Snapshot make_snapshot(Trainer<T>&); \
  extern template void restore(Trainer<T>&, checkpoint::Reader const&);
TESSERA_FOR_COMPUTE_TYPES(TESSERA_DECLARE)
#undef TESSERA_DECLARE

}  // namespace tessera::train
