// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// An operation between devices that is cut off lets their queues go on: nothing may be made of what they
// compute then.
#include <gtest/gtest.h>

#include "layouts.hpp"
#include "support/parallel.hpp"
#include "tessera/base/error.hpp"

namespace tessera::train::test {
namespace {

/// A library whose communicators fail when it is told to, and that notes who asks.
class FailingSession final : public comm::DeviceSession {
 public:
  std::unique_ptr<comm::Communicator> over(std::unique_ptr<comm::Communicator> group,
                                           std::string_view) override {
    return group;
  }
  std::string device() const override { return "a device"; }
  std::optional<comm::DeviceFailure> failure() noexcept override {
    ++asked;
    asked_in_wait += record.waits % 2 == 1;
    return failed ? std::optional(comm::DeviceFailure{"dp", "it was cut off"}) : std::nullopt;
  }
  void cancel(std::string_view) noexcept override { failed = true; }

  comm::ProcessRecord record;
  bool failed = false;
  int asked = 0, asked_in_wait = 0;
};

std::vector<float> weights_of(Trainer<float>& trainer) {
  auto const& values = trainer.stage().store().values();
  return {values.data(), values.data() + values.extent(0)};
}

TEST(CutOff, WhatDevicesComputeBehindAnOperationThatWasCutOffIsNotUsed) {
  TokenFile const tokens(64, 20'000);
  auto const session = std::make_unique<FailingSession>();
  LayoutCase const layout{{2, 1, 2}, true};
  auto const group = support::group_of(layout.shape.size());
  if (!group) return;
  TrainingRun<float> run(group->duplicate(), layout.applied_to(small_run(tokens)), {},
                         {&session->record, session.get()});
  auto& trainer = run.trainer();
  trainer.step();
  EXPECT_EQ(session->asked, 1);
  EXPECT_EQ(session->asked_in_wait, 1) << "a host at its fence waits for the device";
  static_cast<void>(trainer.validate());
  EXPECT_GT(session->asked, 1);
  EXPECT_EQ(session->asked_in_wait, session->asked);
  EXPECT_EQ(session->record.waits % 2, 0u) << "between steps nobody waits";

  auto const weights = weights_of(trainer);
  session->cancel("");
  EXPECT_THROW(static_cast<void>(trainer.step()), CommError);
  EXPECT_EQ(trainer.steps_done(), 1);
  EXPECT_TRUE(weights_of(trainer) == weights);
  EXPECT_THROW(static_cast<void>(trainer.validate()), CommError);
  EXPECT_THROW(static_cast<void>(trainer.sample({1, 2}, 1, 0)), CommError);
}

}  // namespace
}  // namespace tessera::train::test
