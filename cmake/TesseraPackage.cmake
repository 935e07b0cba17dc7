# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# The Debian package of the programs: `cpack` in the tree of the preset portable (docs/packages.md). From another tree it
# is a package for processors like this machine's.
if(NOT PROJECT_IS_TOP_LEVEL OR NOT TESSERA_ALL_PROGRAMS)
  return()
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tessera)
set(CPACK_PACKAGE_VENDOR "The Tessera developers")
set(CPACK_PACKAGE_CONTACT "The Tessera developers <tessera@tessera.example>")
set(CPACK_PACKAGE_HOMEPAGE_URL ${PROJECT_HOMEPAGE_URL})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "layout-invariant parallel training of transformer models")
set(CPACK_PACKAGE_DESCRIPTION
"gpt_train trains GPT models whose layers are split over the ranks of an MPI
job, by tensor, pipeline and data parallelism. The same run gives the same
bits on every such layout. gpt_ckpt looks at its checkpoints,
hello_collectives checks and times the collectives of an MPI.")
set(CPACK_PACKAGE_FILE_NAME tessera)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL programs data debian)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_STRICT_DEFAULT_DIRECTORY_PERMISSIONS ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
# The libraries alone do not bring what starts a job of several ranks.
if(MPI_CXX_LIBRARIES MATCHES "openmpi")
  set(CPACK_DEBIAN_PACKAGE_RECOMMENDS openmpi-bin)
elseif(MPI_CXX_LIBRARIES MATCHES "mpich")
  set(CPACK_DEBIAN_PACKAGE_RECOMMENDS mpich)
endif()
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "python3 (>= 3.11)")  # of the driver of scaling plans
include(CPack)

# What Debian wants to find beside the programs, in the package alone.
find_program(TESSERA_GZIP gzip)
mark_as_advanced(TESSERA_GZIP)
if(TESSERA_GZIP)
  set(debian ${PROJECT_BINARY_DIR}/package/debian)
  string(TIMESTAMP TESSERA_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/debian_copyright.in ${debian}/copyright @ONLY)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/debian_changelog.in ${debian}/changelog @ONLY)
  execute_process(COMMAND ${TESSERA_GZIP} --best --no-name --force ${debian}/changelog COMMAND_ERROR_IS_FATAL ANY)
  install(FILES ${debian}/copyright ${debian}/changelog.gz DESTINATION ${CMAKE_INSTALL_DOCDIR}
          COMPONENT debian EXCLUDE_FROM_ALL)
endif()
