# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Compiler settings. The arithmetic flags are rule 4 of docs/numerics.md: results must not depend on whether
# the compiler vectorised an element or left it to a scalar tail. -ffast-math and its parts are never used.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O3")
# For what does no arithmetic that takes time: half the time to compile.
set(TESSERA_LIGHT_OPTIMISATION "$<$<CONFIG:Release>:-O1>")
# For rooms whose loops take time, where nothing else is optimised: sanitizers make all code slow to optimise.
if(TESSERA_SANITIZE)
  set(TESSERA_INNER_LOOPS "$<$<CONFIG:Debug>:-O1>")
endif()

add_library(tessera_compiler INTERFACE)
target_compile_features(tessera_compiler INTERFACE cxx_std_20)
target_compile_options(tessera_compiler INTERFACE
  $<BUILD_INTERFACE:-ffp-contract=off;-fno-math-errno;-fno-trapping-math;-Wall;-Wextra;-Wpedantic;-Wshadow>)
# GCC 12 warns of overlaps in its own std::string (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(tessera_compiler INTERFACE $<BUILD_INTERFACE:-Wno-restrict>)
endif()
# In a unity build what lies in an unnamed namespace of one source is seen by the next ones, and taken for a header's.
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  target_compile_options(tessera_compiler INTERFACE $<BUILD_INTERFACE:-Wno-subobject-linkage;-Wno-shadow>)
endif()
# A target with the property TESSERA_ANY_PROCESSOR runs on the oldest processor of the kind.
if(TESSERA_LEVEL)
  set(tessera_processor "-march=${TESSERA_LEVEL};-mprefer-vector-width=512")
elseif(TESSERA_NATIVE)
  set(tessera_processor "-march=native;-mprefer-vector-width=512")
endif()
if(tessera_processor)
  set(tessera_any "$<BOOL:$<TARGET_PROPERTY:TESSERA_ANY_PROCESSOR>>")
  target_compile_options(tessera_compiler INTERFACE
    "$<BUILD_INTERFACE:$<$<NOT:${tessera_any}>:${tessera_processor}>>")
endif()
if(TESSERA_WARNINGS_AS_ERRORS)
  target_compile_options(tessera_compiler INTERFACE $<BUILD_INTERFACE:-Werror>)
endif()
if(TESSERA_SANITIZE)
  target_compile_options(tessera_compiler INTERFACE
    $<BUILD_INTERFACE:-fsanitize=${TESSERA_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=undefined>)
  target_link_options(tessera_compiler INTERFACE $<BUILD_INTERFACE:-fsanitize=${TESSERA_SANITIZE}>)
endif()
