// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tessera::optim {

/// The largest scale, 2^60: what 1 / scale multiplies is far from underflow in float32.
inline constexpr std::int64_t largest_loss_scale = std::int64_t{1} << 60;

/// Scales are powers of two, so that scaling and unscaling round nothing: where no gradient under- or
/// overflows, any scale gives the weights that no scale gives, to the last bit.
struct LossScaleOptions {
  std::int64_t initial = 1;
  std::int64_t minimum = 1;  ///< below which overflows do not bring it
  std::int64_t window = 0;   ///< updates without an overflow after which it doubles; 0: it never changes
};

/// What of a LossScale changes, and is kept with a run.
struct LossScaleState {
  std::int64_t scale = 1;
  std::int64_t clean_updates = 0;  ///< since the scale changed, or since an overflow

  bool operator==(LossScaleState const&) const = default;
};

/// What the loss is multiplied with before gradients are made of it, so that small ones do not vanish in a
/// narrow type, and the gradients divided by before they are used. Static, or as large as overflows let it be
/// (Micikevicius et al., "Mixed Precision Training", 2018). All ranks tell it the same, so all hold the same.
class LossScale {
 public:
  explicit LossScale(LossScaleOptions const& options) : options_(options), state_{options.initial, 0} {}

  [[nodiscard]] double factor() const { return static_cast<double>(state_.scale); }
  [[nodiscard]] bool dynamic() const { return options_.window > 0; }

  /// A step was made.
  void updated();
  /// The gradients of a step were not finite, and it was left out. True if a smaller scale may cure that:
  /// the scale is halved.
  bool overflowed();

  [[nodiscard]] LossScaleState const& state() const { return state_; }
  /// Goes on from a state that state() gave. A static scale stays what its options say.
  void resume(LossScaleState const& state);

 private:
  LossScaleOptions options_;
  LossScaleState state_;
};

}  // namespace tessera::optim
