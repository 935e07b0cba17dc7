// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The backend with the real libraries, as a user without a GPU meets it.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <string>

#include "support/threads/communicator.hpp"
#include "tessera/backends/nccl.hpp"
#include "tessera/base/error.hpp"

namespace tessera::backends::nccl {
namespace {

TEST(WithoutAGpu, OneClearErrorSaysSo) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0)
    GTEST_SKIP() << "this machine has a GPU, so that opening succeeds: what is tested is the error where "
                    "there is none";
  support::run_ranks_well(2, 0, [](comm::Communicator& world) {
    try {
      (void)open(world, {});
      ADD_FAILURE() << "opened";
    } catch (DeviceError const& error) {
      EXPECT_NE(std::string(error.what()).find("cudaGetDeviceCount failed: "), std::string::npos)
          << error.what();
    }
  });
}

}  // namespace
}  // namespace tessera::backends::nccl
