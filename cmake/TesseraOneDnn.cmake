# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Read here and by the installed package: makes DNNL::dnnl where oneDNN is installed. Debian's own package
# file is not used: it demands the OpenCL headers, which its library's host interface does not need.
if(NOT TARGET DNNL::dnnl)
  find_path(TESSERA_DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.h)
  find_library(TESSERA_DNNL_LIBRARY NAMES dnnl)
  mark_as_advanced(TESSERA_DNNL_INCLUDE_DIR TESSERA_DNNL_LIBRARY)
  if(TESSERA_DNNL_INCLUDE_DIR AND TESSERA_DNNL_LIBRARY)
    add_library(DNNL::dnnl UNKNOWN IMPORTED)
    set_target_properties(DNNL::dnnl PROPERTIES
      IMPORTED_LOCATION ${TESSERA_DNNL_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${TESSERA_DNNL_INCLUDE_DIR})
  endif()
endif()
