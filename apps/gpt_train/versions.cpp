// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "versions.hpp"

#include <fmt/format.h>

#include "tessera/base/version.hpp"
#include "tessera/checkpoint/hdf5_version.hpp"
#include "tessera/comm/device_session.hpp"
#include "tessera/comm/session.hpp"
#include "tessera/kernels/matmul.hpp"

namespace gpt_train {

std::string versions_text() {
  auto text = fmt::format("gpt_train of Tessera {}\n{}\n", tessera::version(), tessera::build_options());
  for (auto const& backend : tessera::comm::communicator_backends()) {
    if (backend.version != nullptr) text += fmt::format("{}: {}\n", backend.name, backend.version());
  }
  for (auto const& backend : tessera::comm::device_communicator_backends()) {
    if (backend.version != nullptr) text += backend.version() + "\n";
  }
  text += fmt::format("hdf5: {}\n", tessera::checkpoint::hdf5_version());
  for (auto const& backend : tessera::kernels::matmul_backends())
    text += fmt::format("matrix products: {}\n", backend.make()->name());
  return text;
}

}  // namespace gpt_train
