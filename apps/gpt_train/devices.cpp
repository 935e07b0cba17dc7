// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "devices.hpp"

#include <algorithm>
#include <array>

#include "tessera/base/kokkos.hpp"

namespace gpt_train {

std::unique_ptr<tessera::comm::DeviceSession> open_devices(tessera::comm::Communicator& world,
                                                           tessera::train::ParallelConfig const& config) {
  if (tessera::tensors_on_host || world.size() == 1) return nullptr;
  std::array const choices{config.tp_backend, config.dp_backend, config.pp_backend};
  bool const asked = std::ranges::count(choices, "nccl") > 0;
  bool const welcome = std::ranges::count(choices, "mpi") < 3;
  auto const table = tessera::comm::device_communicator_backends();
  if (!asked && (table.empty() || !welcome)) return nullptr;
  return tessera::comm::open_device_session(table, table.empty() ? "nccl" : table.front().name, world);
}

}  // namespace gpt_train
