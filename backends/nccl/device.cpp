// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "device.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agreement.hpp"
#include "clique.hpp"
#include "error.hpp"
#include "stream.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::backends::nccl {

namespace {

/// Room for "domain:bus:device.function" and its end.
using BusId = std::array<std::uint8_t, 32>;

Device device_of_place(int place) {
  int count = 0;
  check_device(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
  if (count == 0) throw DeviceError("no GPU is visible to this process");
  Device device{kokkos_device().value_or(place % count)};
  check_device(cudaSetDevice(device.number), "cudaSetDevice");
  std::array<char, std::tuple_size_v<BusId>> bus_id{};
  check_device(cudaDeviceGetPCIBusId(bus_id.data(), static_cast<int>(bus_id.size()), device.number),
               "cudaDeviceGetPCIBusId");
  device.bus_id = bus_id.data();
  return device;
}

/// The devices of the ranks of `node`, in its order.
std::vector<std::string> bus_ids(comm::Communicator& node, std::string const& own) {
  BusId bytes{};
  std::copy_n(own.begin(), std::min(own.size(), bytes.size() - 1), bytes.begin());
  std::vector<std::uint8_t> all(bytes.size() * static_cast<std::size_t>(node.size()));
  comm::all_gather(node, bytes, all).wait_host();
  std::vector<std::string> ids;
  for (std::size_t first = 0; first < all.size(); first += bytes.size())
    ids.emplace_back(reinterpret_cast<char const*>(&all[first]));
  return ids;
}

/// `ranks`: the world ranks of the node, beside `ids`.
void expect_distinct(std::vector<std::string> const& ids, std::vector<int> const& ranks) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    auto const other = std::find(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(i), ids[i]);
    if (other == ids.begin() + static_cast<std::ptrdiff_t>(i)) continue;
    auto const first = static_cast<std::size_t>(other - ids.begin());
    throw DeviceError(
        fmt::format("ranks {} and {} of one node have the same GPU {}: start as many ranks on a node as it "
                    "has GPUs and let "
                    "each see all of them, or one of its own (srun --gpus-per-task=1)",
                    ranks[first], ranks[i], ids[i]));
  }
}

}  // namespace

Device take_device(comm::Communicator& world) {
  auto const node = world.split_by_node();
  Device device;
  together(world, [&] { device = device_of_place(node->rank()); });
  auto const ids = bus_ids(*node, device.bus_id);
  auto const ranks = comm::all_gather_values(*node, world.rank());
  together(world, [&] { expect_distinct(ids, ranks); });
  return device;
}

void DeviceContext::add(Clique& clique) {
  std::lock_guard const lock(mutex_);
  cliques_.push_back(&clique);
}

void DeviceContext::remove(Clique& clique) noexcept {
  std::lock_guard const lock(mutex_);
  std::erase(cliques_, &clique);
}

std::optional<comm::DeviceFailure> DeviceContext::failure() noexcept {
  std::lock_guard const lock(mutex_);
  for (auto* const clique : cliques_) {
    if (auto reason = clique->failure()) return comm::DeviceFailure{clique->name(), *std::move(reason)};
  }
  return std::nullopt;
}

void DeviceContext::cancel(std::string_view reason) noexcept {
  std::vector<ncclComm_t> comms;
  {
    std::lock_guard const lock(mutex_);
    for (auto* const clique : cliques_) comms.push_back(clique->give_up(reason));
  }
  end_now(std::move(comms));
}

}  // namespace tessera::backends::nccl
