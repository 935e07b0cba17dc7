// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Making, watching and ending communicators in NCCL's part of the double (control.hpp).
#include "support/cuda_double/nccl_comm.hpp"

#include <algorithm>
#include <cstring>
#include <set>

#include "support/cuda_double/control.hpp"
#include "support/cuda_double/machine.hpp"

namespace tessera::support::cuda_double {

namespace {

/// Meetings by unique id, and the communicators there are.
class Registry {
 public:
  static Registry& instance() {
    static Registry registry;
    return registry;
  }

  ncclUniqueId new_id() {
    std::lock_guard const lock(mutex_);
    ncclUniqueId id{};
    ++ids_;
    std::memcpy(id.internal, &ids_, sizeof(ids_));
    return id;
  }
  std::shared_ptr<Meeting> meeting(ncclUniqueId const& id, int ranks) {
    std::lock_guard const lock(mutex_);
    long number = 0;
    std::memcpy(&number, id.internal, sizeof(number));
    auto& known = meetings_[number];
    auto meeting = known.lock();
    if (!meeting) known = meeting = std::make_shared<Meeting>(ranks);
    return meeting;
  }
  void add(std::shared_ptr<CommState> const& state) {
    std::lock_guard const lock(mutex_);
    states_.push_back(state);
  }
  void break_all(int device) {
    std::lock_guard const lock(mutex_);
    for (auto const& known : states_) {
      auto const state = known.lock();
      if (state && state->device == device) state->failure = ncclRemoteError;
    }
  }

 private:
  std::mutex mutex_;
  long ids_ = 0;
  std::map<long, std::weak_ptr<Meeting>> meetings_;
  std::vector<std::weak_ptr<CommState>> states_;
};

void meet(CommState& state) {
  auto& meeting = *state.meeting;
  auto const ranks = static_cast<std::size_t>(meeting.exchange.size());
  std::unique_lock lock(meeting.mutex);
  if (!Machine::instance().is_held(state.device)) meeting.devices.push_back({state.node, state.device});
  meeting.changed.notify_all();
  meeting.changed.wait(lock, [&] { return meeting.devices.size() == ranks || state.aborted; });
  std::set<std::pair<int, int>> const distinct(meeting.devices.begin(), meeting.devices.end());
  if (!state.aborted && (distinct.size() != ranks || Machine::instance().one_address) && ranks > 1)
    state.failure = ncclInvalidUsage;
}

void close(CommState& state) {
  auto& meeting = *state.meeting;
  std::unique_lock lock(meeting.mutex);
  ++meeting.closed;
  meeting.changed.notify_all();
  meeting.changed.wait(lock, [&] { return meeting.closed == meeting.exchange.size() || state.aborted; });
}

/// A blocking communicator's calls return when the background has done them.
ncclResult_t answer(ncclComm_t comm) {
  if (!comm->blocking) return ncclInProgress;
  comm->background.drain();
  return static_cast<ncclResult_t>(comm->state->failure.load());
}

void destroy(ncclComm_t comm) {
  delete comm;
  --Machine::instance().alive;
}

}  // namespace

void break_communicators(int device) { Registry::instance().break_all(device); }

}  // namespace tessera::support::cuda_double

using namespace tessera::support::cuda_double;

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  if (must_fail(__func__)) return ncclSystemError;
  *id = Registry::instance().new_id();
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (must_fail(__func__)) return ncclSystemError;
  auto state = std::make_shared<CommState>();
  state->meeting = Registry::instance().meeting(id, ranks);
  state->rank = rank;
  state->node = current_node();
  state->device = current_device();
  Registry::instance().add(state);
  *comm = new ncclComm{state, config->blocking != 0, {}};
  ++Machine::instance().alive;
  (*comm)->background.push([state] { meet(*state); });
  return answer(*comm);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  if (must_fail(__func__)) return ncclInvalidArgument;
  *error = static_cast<ncclResult_t>(comm->state->failure.load());
  if (*error == ncclSuccess && !comm->background.idle()) *error = ncclInProgress;
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  if (must_fail(__func__)) return ncclSystemError;
  if (!comm->background.idle()) return ncclInvalidUsage;
  comm->background.push([state = comm->state] { close(*state); });
  return answer(comm);
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  destroy(comm);
  return must_fail(__func__) ? ncclSystemError : ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  Machine::instance().aborts_held.wait(true);
  comm->state->aborted = true;
  comm->state->meeting->wake();
  destroy(comm);
  return must_fail(__func__) ? ncclSystemError : ncclSuccess;
}

ncclResult_t ncclGetVersion(int* version) {
  *version = 22803;
  return must_fail(__func__) ? ncclSystemError : ncclSuccess;
}

char const* ncclGetErrorString(ncclResult_t error) {
  switch (error) {
    case ncclSuccess: return "no error";
    case ncclSystemError: return "unhandled system error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    case ncclRemoteError: return "remote process exited or there was a network error";
    default: return "an error of the double";
  }
}

char const* ncclGetLastError(ncclComm_t) { return ""; }
