# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Read after find_package(Kokkos), here and by the installed package. The Kokkos::kokkos of Debian's
# Trilinos copy names an include path that does not exist and links to more than it has; its headers lie
# beside the other Trilinos headers.
get_target_property(tessera_kokkos_include_dirs Kokkos::kokkos INTERFACE_INCLUDE_DIRECTORIES)
foreach(dir IN LISTS tessera_kokkos_include_dirs)
  if(TARGET trilinos_kokkoscore AND NOT dir MATCHES "^\\$<" AND NOT EXISTS "${dir}")
    find_path(TESSERA_KOKKOS_INCLUDE_DIR Kokkos_Core.hpp PATH_SUFFIXES trilinos REQUIRED)
    mark_as_advanced(TESSERA_KOKKOS_INCLUDE_DIR)
    set_target_properties(Kokkos::kokkos PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES ${TESSERA_KOKKOS_INCLUDE_DIR}
      INTERFACE_LINK_LIBRARIES trilinos_kokkoscore)
  endif()
endforeach()
