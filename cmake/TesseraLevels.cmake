# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# A portable build (TESSERA_LEVELS): this tree, libraries and tests included, is of the lowest level; the programs
# of each further level are built in a tree of their own below it. In bin/ stand launchers (apps/launcher), which
# start the program of the highest level that the processor has. Levels below x86-64-v3 have no fused multiply-add,
# without which the kernels would be many times slower (docs/numerics.md, rule 4): they are refused.
set(TESSERA_LEVELS_DIR ${CMAKE_INSTALL_LIBEXECDIR}/tessera)
set(TESSERA_PROGRAM_DIR ${CMAKE_INSTALL_BINDIR})
if(NOT TESSERA_LEVELS)
  return()
endif()

if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$" OR NOT CMAKE_SYSTEM_NAME STREQUAL Linux)
  message(FATAL_ERROR "TESSERA_LEVELS is for Linux on x86-64; this is ${CMAKE_SYSTEM_NAME} on "
                      "${CMAKE_SYSTEM_PROCESSOR}. Use the preset release.")
endif()
if(NOT TESSERA_LEVELS MATCHES "^(x86-64-v3|x86-64-v4|x86-64-v3;x86-64-v4)$")
  message(FATAL_ERROR "TESSERA_LEVELS is \"${TESSERA_LEVELS}\"; it is x86-64-v3, x86-64-v4 or both in this order.")
endif()
list(GET TESSERA_LEVELS 0 TESSERA_LEVEL)
set(TESSERA_PROGRAM_DIR ${TESSERA_LEVELS_DIR}/${TESSERA_LEVEL})

# tessera_further_levels(): builds and installs the programs of all levels but the lowest, after this tree's own.
function(tessera_further_levels)
  include(ExternalProject)
  set(settings "")
  foreach(name IN ITEMS CMAKE_BUILD_TYPE CMAKE_CXX_COMPILER CMAKE_CXX_COMPILER_LAUNCHER CMAKE_CXX_FLAGS
                        CMAKE_EXE_LINKER_FLAGS CMAKE_PREFIX_PATH CMAKE_UNITY_BUILD CMAKE_INSTALL_LIBEXECDIR
                        Kokkos_ROOT HDF5_ROOT MPI_CXX_COMPILER MPIEXEC_EXECUTABLE TESSERA_WARNINGS_AS_ERRORS)
    if(DEFINED ${name})
      list(APPEND settings "-D${name}:STRING=${${name}}")
    endif()
  endforeach()
  get_property(programs GLOBAL PROPERTY TESSERA_PROGRAMS)
  set(levels ${TESSERA_LEVELS})
  list(REMOVE_AT levels 0)
  foreach(level IN LISTS levels)
    set(tree ${PROJECT_BINARY_DIR}/${level})
    ExternalProject_Add(programs_of_${level}
      SOURCE_DIR ${PROJECT_SOURCE_DIR}
      BINARY_DIR ${tree}
      PREFIX ${PROJECT_BINARY_DIR}/levels
      DEPENDS ${programs}
      CMAKE_CACHE_ARGS ${settings}
        "-DTESSERA_LEVEL:STRING=${level}" "-DTESSERA_LEVELS:STRING=" "-DTESSERA_BUILD_TESTS:BOOL=OFF"
        "-DCMAKE_INSTALL_BINDIR:STRING=${TESSERA_LEVELS_DIR}/${level}"
      BUILD_COMMAND ${CMAKE_COMMAND} --build ${tree}
      BUILD_ALWAYS ON
      USES_TERMINAL_BUILD ON
      INSTALL_COMMAND "")
    install(CODE "
      set(strip \"\")
      if(CMAKE_INSTALL_DO_STRIP)
        set(strip --strip)
      endif()
      execute_process(COMMAND \"${CMAKE_COMMAND}\" --install \"${tree}\" --prefix \"\${CMAKE_INSTALL_PREFIX}\"
                              --component programs \${strip} COMMAND_ERROR_IS_FATAL ANY)"
      COMPONENT programs)
  endforeach()
endfunction()
