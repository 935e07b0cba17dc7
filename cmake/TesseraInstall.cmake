# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# The installed package: find_package(tessera) and pkg-config. Libraries say what they link to once, in
# their own CMakeLists.txt; what a consumer must find and link is computed from that here. Its components are
# `programs`, `data` (what goes with them) and `development`.
include(CMakePackageConfigHelpers)

# One target that stands for all libraries of the project.
get_property(TESSERA_ALL_LIBRARIES GLOBAL PROPERTY TESSERA_LIBRARIES)
add_library(tessera INTERFACE)
add_library(tessera::tessera ALIAS tessera)
target_link_libraries(tessera INTERFACE ${TESSERA_ALL_LIBRARIES})

# How a consumer finds each outside library: its target and the lines of tesseraConfig.cmake. A room that
# links to another library adds its row here.
set(tessera_beside "include(\${CMAKE_CURRENT_LIST_DIR}")
set(TESSERA_FINDERS
  "Kokkos::kokkos|find_dependency(Kokkos)\n${tessera_beside}/TesseraKokkos.cmake)"
  "MPI::MPI_CXX|find_dependency(MPI COMPONENTS CXX)"
  "fmt::fmt|find_dependency(fmt)"
  "Threads::Threads|find_dependency(Threads)"
  "hdf5::hdf5|${tessera_beside}/TesseraHdf5.cmake)"
  "nlohmann_json::nlohmann_json|find_dependency(nlohmann_json)"
  "CUDA::cublasLt|find_dependency(CUDAToolkit)"
  "CUDA::cudart|find_dependency(CUDAToolkit)"
  "DNNL::dnnl|${tessera_beside}/TesseraOneDnn.cmake)"
  "BLAS::BLAS|find_dependency(BLAS)")

# tessera_outside_links(RESULT TARGET...): the targets and files outside the project that TARGETs link to,
# in link order, each once.
function(tessera_outside_links result)
  set(seen "")
  set(outside "")
  set(queue ${ARGN})
  while(queue)
    list(POP_FRONT queue link)
    string(REGEX REPLACE "^\\$<LINK_ONLY:(.*)>$" "\\1" link "${link}")
    if(link IN_LIST seen OR NOT link OR link MATCHES "^\\$<|^::@")
      continue()
    endif()
    list(APPEND seen ${link})
    if(TARGET ${link})
      get_target_property(real ${link} ALIASED_TARGET)
      if(NOT real)
        set(real ${link})
      endif()
    endif()
    if(TARGET ${link} AND real MATCHES "^tessera(_|$)")
      get_target_property(links ${real} INTERFACE_LINK_LIBRARIES)
      if(links)
        list(APPEND queue ${links})
      endif()
    else()
      list(APPEND outside ${link})
    endif()
  endwhile()
  set(${result} ${outside} PARENT_SCOPE)
endfunction()

# tessera_link_files(RESULT LINK...): what stands on a linker's command line for these targets and files.
function(tessera_link_files result)
  set(files "")
  foreach(link IN LISTS ARGN)
    if(NOT TARGET ${link})
      if(NOT link MATCHES "^[-/]")
        set(link "-l${link}")
      endif()
      list(APPEND files ${link})
      continue()
    endif()
    get_target_property(type ${link} TYPE)
    if(NOT type STREQUAL INTERFACE_LIBRARY)
      list(APPEND files "$<TARGET_LINKER_FILE:${link}>")
    endif()
    get_target_property(links ${link} INTERFACE_LINK_LIBRARIES)
    if(links)
      tessera_outside_links(outside ${links})
      tessera_link_files(deeper ${outside})
      list(APPEND files ${deeper})
    endif()
  endforeach()
  set(${result} ${files} PARENT_SCOPE)
endfunction()

tessera_outside_links(tessera_outside ${TESSERA_ALL_LIBRARIES})
set(TESSERA_FIND_DEPENDENCIES "")
foreach(link IN LISTS tessera_outside)
  if(NOT TARGET ${link})
    continue()
  endif()
  set(finder ${TESSERA_FINDERS})
  list(FILTER finder INCLUDE REGEX "^${link}\\|")
  if(NOT finder)
    message(FATAL_ERROR "A library of Tessera links to ${link}; add how a consumer finds it to "
                        "TESSERA_FINDERS in cmake/TesseraInstall.cmake.")
  endif()
  string(REGEX REPLACE "^[^|]*\\|" "" finder "${finder}")
  string(APPEND TESSERA_FIND_DEPENDENCIES "${finder}\n")
endforeach()

# Libraries, headers, targets.
foreach(library IN LISTS TESSERA_ALL_LIBRARIES)
  get_target_property(header_sets ${library} HEADER_SETS)
  set(headers "")
  foreach(header_set IN LISTS header_sets)
    if(header_set)
      list(APPEND headers FILE_SET ${header_set} COMPONENT development)
    endif()
  endforeach()
  install(TARGETS ${library} EXPORT tesseraTargets ARCHIVE COMPONENT development ${headers})
endforeach()
set_target_properties(tessera_compiler PROPERTIES EXPORT_NAME compiler)
install(TARGETS tessera_compiler tessera EXPORT tesseraTargets)
set(TESSERA_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/tessera)
install(EXPORT tesseraTargets NAMESPACE tessera:: DESTINATION ${TESSERA_PACKAGE_DIR} COMPONENT development)

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/tesseraConfig.cmake.in
  ${PROJECT_BINARY_DIR}/package/tesseraConfig.cmake INSTALL_DESTINATION ${TESSERA_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/tesseraConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/package/tesseraConfig.cmake
  ${PROJECT_BINARY_DIR}/package/tesseraConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/TesseraHdf5.cmake
  ${PROJECT_SOURCE_DIR}/cmake/TesseraKokkos.cmake
  ${PROJECT_SOURCE_DIR}/cmake/TesseraOneDnn.cmake
  DESTINATION ${TESSERA_PACKAGE_DIR} COMPONENT development)

# pkg-config. The libraries are static and refer to each other, so they stand in one group, and what they
# link to follows it in Libs: with or without `--static` the line is the same.
list(TRANSFORM TESSERA_ALL_LIBRARIES REPLACE "^tessera" "-ltessera" OUTPUT_VARIABLE archives)
list(JOIN archives " " TESSERA_PC_ARCHIVES)
tessera_link_files(link_files ${tessera_outside})
list(REMOVE_DUPLICATES link_files)
list(JOIN link_files " " TESSERA_PC_LINK_FILES)
get_target_property(kokkos_includes Kokkos::kokkos INTERFACE_INCLUDE_DIRECTORIES)
list(TRANSFORM kokkos_includes PREPEND "-isystem " OUTPUT_VARIABLE kokkos_includes)
list(JOIN kokkos_includes " " TESSERA_PC_KOKKOS_INCLUDES)
file(RELATIVE_PATH TESSERA_PC_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
cmake_path(APPEND TESSERA_PC_INCLUDEDIR "\${prefix}" ${CMAKE_INSTALL_INCLUDEDIR})
cmake_path(APPEND TESSERA_PC_LIBDIR "\${prefix}" ${CMAKE_INSTALL_LIBDIR})
configure_file(${PROJECT_SOURCE_DIR}/cmake/tessera.pc.in ${PROJECT_BINARY_DIR}/package/tessera.pc.in @ONLY)
file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/package/tessera.pc
     INPUT ${PROJECT_BINARY_DIR}/package/tessera.pc.in)
install(FILES ${PROJECT_BINARY_DIR}/package/tessera.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT development)

# Programs, the run configurations they read, job scripts, scaling plans and their driver, the module file. It says nothing of its own place, so that
# one file fits every prefix.
get_property(TESSERA_ALL_PROGRAMS GLOBAL PROPERTY TESSERA_PROGRAMS)
if(TESSERA_ALL_PROGRAMS)
  install(TARGETS ${TESSERA_ALL_PROGRAMS} RUNTIME DESTINATION ${TESSERA_PROGRAM_DIR} COMPONENT programs)
endif()
if(TESSERA_ALL_PROGRAMS AND TESSERA_LEVELS)
  list(TRANSFORM TESSERA_ALL_PROGRAMS PREPEND launch_ OUTPUT_VARIABLE launchers)
  install(TARGETS ${launchers} RUNTIME COMPONENT programs)
  tessera_further_levels()
endif()
set(TESSERA_SHARE_DIR ${CMAKE_INSTALL_DATADIR}/tessera)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/inputs DESTINATION ${TESSERA_SHARE_DIR} COMPONENT data
        FILES_MATCHING PATTERN "*.toml")
# Not the job that runs the tests of a build tree, which an installation has not.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/slurm DESTINATION ${TESSERA_SHARE_DIR} COMPONENT data
        USE_SOURCE_PERMISSIONS PATTERN parallel_tests.py EXCLUDE PATTERN tests.sbatch EXCLUDE)
# Started as `python3 run.py`: nothing that is installed needs Python by itself.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/bench/scaling DESTINATION ${TESSERA_SHARE_DIR}/bench COMPONENT data
        PATTERN __pycache__ EXCLUDE)
set(TESSERA_MODULE_DIR ${TESSERA_SHARE_DIR}/modulefiles/tessera)
string(REPLACE "-" "%-" TESSERA_MODULE_DIR_PATTERN ${TESSERA_MODULE_DIR})
configure_file(${PROJECT_SOURCE_DIR}/cmake/modulefile.lua.in
               ${PROJECT_BINARY_DIR}/package/${PROJECT_VERSION}.lua @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/package/${PROJECT_VERSION}.lua DESTINATION ${TESSERA_MODULE_DIR} COMPONENT data)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT licence)
