// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gpt_train {

/// What the metrics file of a run has told so far.
class LiveRun {
 public:
  /// Takes a line of the file. One that is no JSON object is counted, and otherwise ignored: other programs
  /// may write such files too.
  void line(std::string_view text);

  /// A step was seen since the last beginning.
  [[nodiscard]] bool begun() const noexcept { return !recent_.empty(); }
  /// There are lines, and none of them is a JSON object.
  [[nodiscard]] bool foreign() const noexcept { return strange_ > 0 && objects_ == 0; }
  /// The run wrote its last line.
  [[nodiscard]] bool ended() const noexcept { return end_.has_value(); }
  /// How the run stands, in lines without newlines. `age_s` is how long ago the file grew.
  [[nodiscard]] std::vector<std::string> text(double age_s) const;

 private:
  struct Begin {
    std::string model, layout;
    std::int64_t steps = 0;
  };
  struct Step {
    std::int64_t step = 0;
    double loss = 0, grad_norm = 0, lr = 0, tokens = 0, step_s = 0, mfu = 0;
    double exposed_comm_s = 0, bubble_s = 0, ratio = 0;
  };
  struct Validation {
    std::int64_t step = 0;
    double loss = 0;
  };
  struct Save {
    std::int64_t step = 0;
    double seconds = 0;
  };
  struct End {
    int code = 0;
    std::string weights;
  };

  /// The middle one of `of(step)` over the latest steps.
  template <class Of>
  [[nodiscard]] double typical(Of const& of) const;
  [[nodiscard]] std::string place_text() const;
  [[nodiscard]] std::string speed_text() const;
  [[nodiscard]] std::string time_text() const;
  [[nodiscard]] std::string ending_text(double age_s) const;

  std::optional<Begin> begin_;
  std::deque<Step> recent_;
  std::optional<Validation> validation_;
  std::optional<Save> save_;
  std::optional<End> end_;
  std::int64_t skipped_ = 0, strange_ = 0, objects_ = 0;
};

}  // namespace gpt_train
