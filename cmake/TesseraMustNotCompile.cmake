# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0

# tessera_must_not_compile(NAME SOURCE file CASES k... LINKS target... [LABELS label...])
# A test that misuse of an interface is refused by the compiler. SOURCE has one section `#if CASE == k` for
# each case, and a section for CASE == 0, the correct use, which is compiled as a part of the ordinary
# build. A misuse must fail with an error whose text contains what its section says after `// error: `, so
# that a typing error does not pass.
function(tessera_must_not_compile name)
  cmake_parse_arguments(PARSE_ARGV 1 TEST "" "SOURCE" "CASES;LINKS;LABELS")
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  if(NOT TEST_LABELS)
    set(TEST_LABELS quick)
  endif()
  add_library(compile_${name} OBJECT ${TEST_SOURCE})
  target_link_libraries(compile_${name} PRIVATE ${TEST_LINKS})
  target_compile_definitions(compile_${name} PRIVATE CASE=0)
  set_target_properties(compile_${name} PROPERTIES UNITY_BUILD OFF)  # its command is taken from the database
  cmake_path(ABSOLUTE_PATH TEST_SOURCE NORMALIZE)
  add_test(NAME ${name}
           COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/architecture/must_not_compile.py
                   ${PROJECT_BINARY_DIR}/compile_commands.json ${TEST_SOURCE} ${TEST_CASES})
  tessera_test_properties(${name} 300 "${TEST_LABELS}" 1)
endfunction()
