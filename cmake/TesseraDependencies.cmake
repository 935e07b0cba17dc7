# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# The libraries the project stands on (DESIGN: "Outside what the project exists for, a library").
# Each is wrapped in one target here, so that no room deals with the oddities of a distribution.

find_package(Kokkos REQUIRED)
include(TesseraKokkos)
if("CUDA" IN_LIST Kokkos_DEVICES)
  set(TESSERA_CUDA TRUE CACHE INTERNAL "")  # kernels run on NVIDIA GPUs, and nvcc compiles every file
  # fmt before 11 takes nvcc for a compiler without constexpr functions.
  target_compile_definitions(tessera_compiler INTERFACE $<BUILD_INTERFACE:FMT_USE_CONSTEXPR=1>)
else()
  set(TESSERA_CUDA FALSE CACHE INTERNAL "")
endif()
# ccache, but not before nvcc: it compares what the preprocessor makes of a file for the host, and the code for the
# device may differ where that is the same.
find_program(TESSERA_CCACHE ccache)
mark_as_advanced(TESSERA_CCACHE)
if(TESSERA_CCACHE AND NOT TESSERA_CUDA AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${TESSERA_CCACHE})
endif()
find_package(MPI REQUIRED COMPONENTS CXX)
find_package(fmt REQUIRED)
find_package(Threads REQUIRED)

# Checkpoints.
include(TesseraHdf5)
find_package(nlohmann_json REQUIRED)

# Matrix-product providers: each is built where its library is found; the plain Kokkos one always is.
find_package(CUDAToolkit QUIET)
include(TesseraOneDnn)
find_package(BLAS QUIET)
find_path(TESSERA_CBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES x86_64-linux-gnu openblas)
mark_as_advanced(TESSERA_CBLAS_INCLUDE_DIR)

# xxHash, compiled into the one file that uses it; nothing to link or to export.
find_path(TESSERA_XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
mark_as_advanced(TESSERA_XXHASH_INCLUDE_DIR)
