# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0

# tessera_backend(KIND NAME FACTORY function SOURCES file... [LINKS target...] [PRIVATE_LINKS target...])
# One backend: a static library tessera_backend_<NAME> and one row of the table of its KIND. KIND is
# `communicator` (FACTORY has the type of comm::CommunicatorBackend::open), `device_communicator`
# (comm::DeviceCommunicatorBackend::open) or `matmul` (kernels::MatmulBackend::make).
# The table is the only link to a backend: nothing includes one.
# VERSION name: of a communicator of either kind, a function of the type of comm::CommunicatorBackend::version beside
# FACTORY.
function(tessera_backend kind name)
  cmake_parse_arguments(PARSE_ARGV 2 BACKEND "" "FACTORY;VERSION" "SOURCES;LINKS;PRIVATE_LINKS")
  set(target tessera_backend_${name})
  add_library(${target} STATIC ${BACKEND_SOURCES})
  set_target_properties(${target} PROPERTIES EXPORT_NAME backend_${name})
  set(room_of_communicator comm)
  set(room_of_device_communicator comm)
  set(room_of_matmul kernels)
  target_link_libraries(${target} PUBLIC tessera_${room_of_${kind}} ${BACKEND_LINKS} PRIVATE ${BACKEND_PRIVATE_LINKS})
  set_property(GLOBAL APPEND PROPERTY TESSERA_LIBRARIES ${target})
  set_property(GLOBAL APPEND PROPERTY TESSERA_BACKENDS_${kind} "${name}=${BACKEND_FACTORY}=${BACKEND_VERSION}")
endfunction()

# tessera_backend_table(KIND HEADER STRUCT FACTORY_RESULT FACTORY_ARGUMENTS ACCESSOR TARGET ROOM)
# Writes the table of all backends of one kind, which may be none, and builds it as TARGET, which links to ROOM.
function(tessera_backend_table kind header struct result arguments accessor target room)
  get_property(backends GLOBAL PROPERTY TESSERA_BACKENDS_${kind})
  set(declarations "")
  set(rows "")
  set(libraries "")
  list(LENGTH backends count)
  foreach(backend IN LISTS backends)
    string(REGEX MATCH "^([^=]+)=(.*)::([^:=]+)=([^=]*)$" matched "${backend}")
    string(APPEND declarations
      "namespace ${CMAKE_MATCH_2} { ${result} ${CMAKE_MATCH_3}(${arguments}); }\n")
    set(version "")
    if(CMAKE_MATCH_4)
      string(APPEND declarations "namespace ${CMAKE_MATCH_2} { std::string ${CMAKE_MATCH_4}(); }\n")
      set(version ", &${CMAKE_MATCH_2}::${CMAKE_MATCH_4}")
    endif()
    string(APPEND rows "    {\"${CMAKE_MATCH_1}\", &${CMAKE_MATCH_2}::${CMAKE_MATCH_3}${version}},\n")
    list(APPEND libraries tessera_backend_${CMAKE_MATCH_1})
  endforeach()
  string(REGEX MATCH "^(.*)::([^:]+)$" matched "${accessor}")
  set(namespace ${CMAKE_MATCH_1})
  set(function ${CMAKE_MATCH_2})
  configure_file(${PROJECT_SOURCE_DIR}/cmake/backend_table.cpp.in
                 ${CMAKE_CURRENT_BINARY_DIR}/${kind}_table.cpp @ONLY)
  add_library(${target} STATIC ${CMAKE_CURRENT_BINARY_DIR}/${kind}_table.cpp)
  target_link_libraries(${target} PUBLIC ${room} ${libraries})
  string(REPLACE "tessera_" "" export_name ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${export_name})
  set_property(GLOBAL APPEND PROPERTY TESSERA_LIBRARIES ${target})
endfunction()
