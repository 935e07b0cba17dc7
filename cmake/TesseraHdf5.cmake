# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Read here and by the installed package: makes hdf5::hdf5, the C library of HDF5. CMake's own module wants the C
# language enabled, here and in each consumer. The serial build is enough; Debian keeps it apart from those of the
# MPIs. HDF5_ROOT or CMAKE_PREFIX_PATH leads to another one.
if(NOT TARGET hdf5::hdf5)
  find_path(TESSERA_HDF5_INCLUDE_DIR hdf5.h HINTS ${HDF5_ROOT} ENV HDF5_ROOT PATH_SUFFIXES include hdf5/serial REQUIRED)
  find_library(TESSERA_HDF5_LIBRARY NAMES hdf5_serial hdf5 HINTS ${HDF5_ROOT} ENV HDF5_ROOT PATH_SUFFIXES lib REQUIRED)
  mark_as_advanced(TESSERA_HDF5_INCLUDE_DIR TESSERA_HDF5_LIBRARY)
  add_library(hdf5::hdf5 UNKNOWN IMPORTED)
  set_target_properties(hdf5::hdf5 PROPERTIES
    IMPORTED_LOCATION ${TESSERA_HDF5_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${TESSERA_HDF5_INCLUDE_DIR})
endif()
