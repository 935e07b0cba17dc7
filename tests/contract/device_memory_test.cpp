// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Which way tensors of a device take to MPI.
#include <gtest/gtest.h>

#include "tessera/backends/mpi_device_memory.hpp"
#include "tessera/base/error.hpp"
#include "tessera/base/kokkos.hpp"

namespace tessera::backends::mpi {
namespace {

TEST(DeviceMemory, GoesThroughTheHostWhereMpiCannotReadIt) {
  EXPECT_EQ(tensor_way("", true, false), TensorWay::staged);
  EXPECT_EQ(tensor_way("auto", true, false), TensorWay::staged);
  EXPECT_EQ(tensor_way("", true, true), TensorWay::sums_staged) << "sums that do not block cannot";
  EXPECT_EQ(tensor_way("auto", false, false), TensorWay::direct) << "tensors lie in host memory";
}

TEST(DeviceMemory, GoesTheWayThatIsForced) {
  for (bool const aware : {false, true}) {
    EXPECT_EQ(tensor_way("direct", true, aware), TensorWay::direct);
    EXPECT_EQ(tensor_way("staged", true, aware), TensorWay::staged);
    EXPECT_EQ(tensor_way("staged", false, aware), TensorWay::staged) << "to try it on a host";
  }
}

TEST(DeviceMemory, AThreadOfItsOwnIsAskedFor) {
  EXPECT_FALSE(threads(""));
  EXPECT_TRUE(threads("on"));
  EXPECT_FALSE(threads("off"));
  EXPECT_THROW((void)threads("yes"), ConfigError);
}

TEST(DeviceMemory, RefusesAnotherWord) { EXPECT_THROW((void)tensor_way("pinned", true, true), ConfigError); }

TEST(DeviceMemory, WhatIsChosenIsToldUnlessThereWasNoChoice) {
  EXPECT_EQ(describe(TensorWay::direct, false).empty(), tensors_on_host);
  EXPECT_NE(describe(TensorWay::staged, true).find("pinned host memory"), std::string::npos);
  EXPECT_NE(describe(TensorWay::direct, true).find("a thread of its own calls it"), std::string::npos);
}

}  // namespace
}  // namespace tessera::backends::mpi
