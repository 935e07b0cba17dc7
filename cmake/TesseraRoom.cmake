# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0

# tessera_room(NAME SOURCES file... [LINKS target...] [PRIVATE_LINKS target...])
# One static library per room: tessera_<NAME>, alias tessera::<NAME>. LINKS are the rooms (and libraries) whose
# headers its own headers may include. Public headers are include/tessera/<NAME>/*.hpp.
function(tessera_room name)
  cmake_parse_arguments(PARSE_ARGV 1 ROOM "" "" "SOURCES;LINKS;PRIVATE_LINKS")
  add_library(tessera_${name} STATIC ${ROOM_SOURCES})
  add_library(tessera::${name} ALIAS tessera_${name})
  set_target_properties(tessera_${name} PROPERTIES
    EXPORT_NAME ${name}
    UNITY_BUILD_CODE_AFTER_INCLUDE "#undef TESSERA_INSTANTIATE")
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/tessera/${name}/*.hpp)
  target_sources(tessera_${name} PUBLIC
    FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${headers})
  target_include_directories(tessera_${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(tessera_${name} PUBLIC tessera_compiler ${ROOM_LINKS} PRIVATE ${ROOM_PRIVATE_LINKS})
  set_property(GLOBAL APPEND PROPERTY TESSERA_LIBRARIES tessera_${name})
endfunction()
