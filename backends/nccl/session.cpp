// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "communicator.hpp"
#include "tessera/backends/nccl.hpp"
#include "vendor.hpp"

namespace tessera::backends::nccl {

namespace {

class NcclSession final : public comm::DeviceSession {
 public:
  NcclSession(comm::Communicator& world, comm::DeviceLimits const& limits)
      : context_(std::make_shared<DeviceContext>(take_device(world), limits)) {}

  [[nodiscard]] std::unique_ptr<comm::Communicator> over(std::unique_ptr<comm::Communicator> group,
                                                         std::string_view name) override {
    return std::make_unique<NcclCommunicator>(context_, std::move(group), name);
  }
  [[nodiscard]] std::string device() const override {
    return fmt::format("GPU {} ({})", context_->device().number, context_->device().bus_id);
  }
  [[nodiscard]] std::optional<comm::DeviceFailure> failure() noexcept override { return context_->failure(); }
  void cancel(std::string_view reason) noexcept override { context_->cancel(reason); }

 private:
  std::shared_ptr<DeviceContext> context_;
};

}  // namespace

std::unique_ptr<comm::DeviceSession> open(comm::Communicator& world, comm::DeviceLimits const& limits) {
  return std::make_unique<NcclSession>(world, limits);
}

std::string library_version() {
  int number = 0;
  if (ncclGetVersion(&number) != ncclSuccess) return fmt::format("{}: of unknown version", shown_name);
  int const major = number < 10000 ? number / 1000 : number / 10000;  // 2.9 began to count otherwise
  int const minor = number < 10000 ? number / 100 % 10 : number / 100 % 100;
  return fmt::format("{}: {}.{}.{}", shown_name, major, minor, number % 100);
}

}  // namespace tessera::backends::nccl
