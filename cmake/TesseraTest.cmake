# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0

# tessera_test(NAME SOURCES file... LINKS target... [RANKS n...] [LABELS label...] [TIMEOUT seconds])
# One GoogleTest executable test_<NAME>. Without RANKS it runs alone; with RANKS it is started under mpirun once
# for each rank count, as <NAME>_<n>. LABELS default to `quick`; `full` tests run with scripts/test.sh --all only. Those
# without RANKS are `serial` besides: the MPI makes no difference to them.
function(tessera_test name)
  cmake_parse_arguments(PARSE_ARGV 1 TEST "" "TIMEOUT" "SOURCES;LINKS;RANKS;LABELS")
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 300)
  endif()
  if(NOT TEST_LABELS)
    set(TEST_LABELS quick)
  endif()
  add_executable(test_${name} ${TEST_SOURCES})
  if(TEST_RANKS)
    target_link_libraries(test_${name} PRIVATE ${TEST_LINKS} tessera_test_main_parallel)
    foreach(ranks IN LISTS TEST_RANKS)
      add_test(NAME ${name}_${ranks}
               COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} ${MPIEXEC_PREFLAGS}
                       $<TARGET_FILE:test_${name}>)
      tessera_test_properties(${name}_${ranks} ${TEST_TIMEOUT} "${TEST_LABELS}" ${ranks})
    endforeach()
  else()
    target_link_libraries(test_${name} PRIVATE ${TEST_LINKS} tessera_test_main_serial)
    add_test(NAME ${name} COMMAND test_${name})
    tessera_test_properties(${name} ${TEST_TIMEOUT} "${TEST_LABELS};serial" 1)
  endif()
endfunction()

# Processors are counted in halves, for the sake of tessera_test_waits: `ctest --parallel` is told twice the cores.
# Environment: a limit for a single test that ends before ctest's, so that the test main can say which one hangs; one
# library thread a rank; and the settings with which more ranks than cores stay fast under Open MPI.
function(tessera_test_properties test timeout labels ranks)
  math(EXPR limit "${timeout} * 5 / 6")
  math(EXPR halves "2 * ${ranks}")
  set_tests_properties(${test} PROPERTIES
    TIMEOUT ${timeout}
    LABELS "${labels}"
    PROCESSORS ${halves}
    ENVIRONMENT "TESSERA_TEST_LIMIT_S=${limit};OMP_NUM_THREADS=1;OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_rmaps_base_oversubscribe=1;OMPI_MCA_mpi_yield_when_idle=1;OMPI_MCA_hwloc_base_binding_policy=none")
endfunction()

# Of a test that starts programs one after another and waits much of its time, of whatever ranks these are: it takes half
# a processor, and begins before those that need all of them.
function(tessera_test_waits test)
  set_tests_properties(${test} PROPERTIES PROCESSORS 1 COST 100)
endfunction()
