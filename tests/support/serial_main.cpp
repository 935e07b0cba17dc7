// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// main of the tests that need one process and no communication library.
#include <gtest/gtest.h>

#include "device.hpp"
#include "tessera/base/kokkos.hpp"

int main(int argc, char** argv) {
  tessera::support::let_the_host_read_tensors();
  ::testing::InitGoogleTest(&argc, argv);
  Kokkos::ScopeGuard const kokkos(argc, argv);
  return RUN_ALL_TESTS();
}
