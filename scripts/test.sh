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
  --all        what continuous integration runs, at most 40 minutes on 2 cores: warnings are errors, all tests
               of the release build (with benchmarks, outside consumers and each public header alone), the quick tests
               under AddressSanitizer and UndefinedBehaviorSanitizer, and those with MPICH
  --soak       the full counts of what the others do a few times: 200 kills while saving, 10,000 flipped bits ...; the
               portable Debian package, installed on a bare system; and ten minutes of libFuzzer for each reader of
               checkpoints
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
  stage "Test ${tests}" ctest --preset "${tests}" --parallel "${jobs}"
}

case ${what} in
  all)
    stage "Packages" scripts/install_dependencies.sh --all
    # The release build with MPICH has the same options, so that ccache has nearly all of it.
    build_and_test release release-all -DTESSERA_WARNINGS_AS_ERRORS=ON -DTESSERA_BUILD_BENCHMARKS=ON
    build_and_test asan asan
    build_and_test mpich mpich -DTESSERA_WARNINGS_AS_ERRORS=ON
    ;;
  soak)
    stage "Packages" scripts/install_dependencies.sh --all --fuzz
    build_and_test release soak
    build_and_test fuzz fuzz
    ;;
  quick)
    stage "Packages" scripts/install_dependencies.sh
    build_and_test release release -DTESSERA_WARNINGS_AS_ERRORS=OFF
    ;;
esac
printf '\nAll tests passed in %d min %d s.\n' $((SECONDS / 60)) $((SECONDS % 60))
