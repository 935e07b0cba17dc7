// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Which way tensors of a device take to MPI.
#include <gtest/gtest.h>

#include "tessera/backends/mpi_device_memory.hpp"
#include "tessera/base/error.hpp"

namespace tessera::backends::mpi {
namespace {

TEST(DeviceMemory, GoesThroughTheHostWhereMpiCannotReadIt) {
  EXPECT_TRUE(stages("", true, false));
  EXPECT_TRUE(stages("auto", true, false));
  EXPECT_FALSE(stages("", true, true));
  EXPECT_FALSE(stages("auto", false, false)) << "tensors lie in host memory";
}

TEST(DeviceMemory, GoesTheWayThatIsForced) {
  for (bool const aware : {false, true}) {
    EXPECT_FALSE(stages("direct", true, aware));
    EXPECT_TRUE(stages("staged", true, aware));
    EXPECT_TRUE(stages("staged", false, aware)) << "to try it on a host";
  }
}

TEST(DeviceMemory, AThreadOfItsOwnIsAskedFor) {
  EXPECT_FALSE(threads(""));
  EXPECT_TRUE(threads("on"));
  EXPECT_FALSE(threads("off"));
  EXPECT_THROW((void)threads("yes"), ConfigError);
}

TEST(DeviceMemory, RefusesAnotherWord) { EXPECT_THROW((void)stages("pinned", true, true), ConfigError); }

}  // namespace
}  // namespace tessera::backends::mpi
