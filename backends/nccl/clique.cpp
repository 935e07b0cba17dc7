// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "clique.hpp"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "error.hpp"
#include "tessera/base/error.hpp"
#include "tessera/base/run_within.hpp"
#include "tessera/comm/progress.hpp"

namespace tessera::backends::nccl {

namespace {

using Clock = std::chrono::steady_clock;

double seconds(std::chrono::milliseconds time) { return std::chrono::duration<double>(time).count(); }

/// False if `done` did not come true in time.
template <class Done>
bool wait_for(std::chrono::milliseconds limit, Done const& done) {
  auto const deadline = Clock::now() + limit;
  bool in_time = true;
  comm::wait_until([&] {
    if (done()) return true;
    in_time = Clock::now() < deadline;
    return !in_time;
  });
  return in_time;
}

}  // namespace

Clique::Clique(std::shared_ptr<DeviceContext> context, std::string_view name)
    : context_(std::move(context)), name_(name) {
  context_->add(*this);
}

Clique::~Clique() {
  context_->remove(*this);
  if (comm_ == nullptr) return;
  if (!open_ || std::uncaught_exceptions() > 0) {
    abort("closed by a failure");
    return;
  }
  try {
    finalize();
  } catch (std::exception const& error) {
    abort(error.what());
  }
}

void Clique::start(ncclUniqueId const& id, int ranks, int rank) {
  std::lock_guard const lock(mutex_);
  expect_alive();
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  check_library(ncclCommInitRankConfig(&comm_, ranks, id, rank, &config), "ncclCommInitRankConfig", nullptr);
}

void Clique::await_others(int ranks) {
  auto const limit = context_->limits().opening;
  if (!wait_for(limit, [this] { return settled(); })) {
    auto const reason = fmt::format(
        "ncclCommInitRankConfig has not met all {} ranks within {} s; NCCL_DEBUG=INFO in the environment "
        "tells "
        "how far each came",
        ranks, seconds(limit));
    abort(reason);
    throw CommError(reason);
  }
  open_ = true;
}

/// All operations have ended (Channel sees to it), so a rank whose others do not come soon loses nothing by
/// aborting.
void Clique::finalize() {
  constexpr auto patience = std::chrono::seconds(2);
  check_library(ncclCommFinalize(comm_), "ncclCommFinalize", comm_);
  if (!wait_for(patience, [this] { return settled(); }))
    throw CommError("ncclCommFinalize: the other ranks do not close the communicator");
  check_library(ncclCommDestroy(std::exchange(comm_, nullptr)), "ncclCommDestroy", nullptr);
}

bool Clique::settled() {
  std::lock_guard const lock(mutex_);
  expect_alive();
  return background_done();
}

bool Clique::background_done() {
  ncclResult_t state = ncclSuccess;
  check_library(ncclCommGetAsyncError(comm_, &state), "ncclCommGetAsyncError", comm_);
  check_library(state, "an operation in the background", comm_);
  return state != ncclInProgress;
}

void Clique::use(std::function<void(ncclComm_t)> const& action) {
  std::lock_guard const lock(mutex_);
  expect_alive();
  action(comm_);
}

void Clique::expect_alive() const {
  if (!aborted_.empty()) throw CommError(aborted_);
}

void Clique::abort(std::string_view reason) noexcept { end_now({give_up(reason)}); }

ncclComm_t Clique::give_up(std::string_view reason) noexcept {
  std::lock_guard const lock(mutex_);
  if (aborted_.empty()) aborted_ = reason;
  return std::exchange(comm_, nullptr);
}

void end_now(std::vector<ncclComm_t> comms) noexcept {
  std::erase(comms, nullptr);
  if (comms.empty()) return;
  std::vector<std::function<void()>> actions;
  actions.reserve(comms.size());
  for (auto* const comm : comms) actions.emplace_back([comm] { static_cast<void>(ncclCommAbort(comm)); });
  run_within(std::chrono::seconds(1), std::move(actions));
}

std::optional<std::string> Clique::failure() noexcept {
  try {
    std::unique_lock const lock(mutex_, std::try_to_lock);
    if (!lock) return std::nullopt;
    expect_alive();
    if (comm_ != nullptr) static_cast<void>(background_done());
    return std::nullopt;
  } catch (std::exception const& error) {
    return error.what();
  }
}

}  // namespace tessera::backends::nccl
