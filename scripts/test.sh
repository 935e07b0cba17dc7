#!/usr/bin/env bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing, builds, tests.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/test.sh [--all | --soak] [--help]

  (no option)  release build and its quick tests: every feature once, at most 15 minutes on 2 cores
  --all        what continuous integration runs, about 40 minutes on 2 cores: warnings are errors, all tests
               of the release build (with benchmarks, outside consumers and each public header alone), the quick tests
               under AddressSanitizer and UndefinedBehaviorSanitizer, those with MPICH, and, as root where the machine
               allows network namespaces, job scripts on a Slurm and runs over several hosts
  --soak       the full counts of what the others do a few times: 200 kills while saving, 10,000 flipped bits ...; the
               portable Debian package, installed on a bare system; the long tests under the sanitizers; and ten
               minutes of libFuzzer for each reader of checkpoints
TEXT
}

what=quick
for argument in "$@"; do
  case ${argument} in
    --all) what=all ;;
    --soak) what=soak ;;
    --help) usage; exit 0 ;;
    *) echo "test.sh: unknown option '${argument}'" >&2; usage >&2; exit 64 ;;
  esac
done
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"

# build_and_test PRESET TEST_PRESET [CMake option...]
build_and_test() {
  local preset=$1 tests=$2
  shift 2
  stage "Configure ${preset}" cmake --preset "${preset}" --log-level=NOTICE "$@"
  stage "Build ${preset}" cmake --build --preset "${preset}" --parallel "${jobs}"
  # Tests count half processors, since some wait much; but MPICH's ranks spin while they wait.
  local halves=$((2 * jobs))
  [[ ${preset} != mpich ]] || halves=${jobs}
  stage "Test ${tests}" ctest --preset "${tests}" --parallel "${halves}"
}

# Says why where this machine cannot have them: they are part of the whole.
test_cluster() {
  local reason
  if reason=$(TESSERA_CLUSTER=/tmp/tessera-check-$$ tests/support/cluster/hosts.sh check 2>&1); then
    stage "Test cluster" ctest --preset cluster --parallel 10
  else
    left_out+="; NOT RUN: job scripts on a Slurm and runs over several hosts (${reason##*hosts.sh: })"
    printf '\n== Test cluster\n-- not run: %s\n' "${reason##*hosts.sh: }"
  fi
}

# The backends of NVIDIA's libraries are built and tested where the toolkit is, a GPU or not.
name_missing_backends() {
  ctest --preset release-all --show-only -R '^nccl' | grep --quiet '^Total Tests: 0$' || return 0
  left_out+="; NOT RUN: the backends of cuBLAS and NCCL (no CUDA toolkit with NCCL was found)"
}

# Tests of some features use tools that only --all installs.
name_missing_tools() {
  local tool missing=
  for tool in h5dump fiu-run xxhsum; do command -v "${tool}" >/dev/null || missing+=" ${tool}"; done
  left_out=${missing:+"; NOT RUN: tests that use${missing}, which --all installs and runs"}
}

left_out=
case ${what} in
  all)
    stage "Packages" scripts/install_dependencies.sh --all
    # The release build with MPICH has the same options, so that ccache has nearly all of it.
    build_and_test release release-all -DTESSERA_WARNINGS_AS_ERRORS=ON -DTESSERA_BUILD_BENCHMARKS=ON
    name_missing_backends
    test_cluster
    build_and_test asan asan
    build_and_test mpich mpich -DTESSERA_WARNINGS_AS_ERRORS=ON
    ;;
  soak)
    stage "Packages" scripts/install_dependencies.sh --all --fuzz
    build_and_test release soak
    build_and_test asan asan-long
    build_and_test fuzz fuzz
    ;;
  quick)
    stage "Packages" scripts/install_dependencies.sh
    build_and_test release release -DTESSERA_WARNINGS_AS_ERRORS=OFF
    name_missing_tools
    ;;
esac
printf '\nAll tests passed in %d min %d s%s.\n' $((SECONDS / 60)) $((SECONDS % 60)) "${left_out}"
