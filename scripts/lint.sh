#!/usr/bin/env bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Static checks: shellcheck of every script, clang-tidy 16 (checks: .clang-tidy) of C++ sources.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/lint.sh [--all] [--since COMMIT] [--help]

  (no option)     all scripts, and the sources that differ from the last commit
  --since COMMIT  the sources that differ from COMMIT
  --all           all sources: about 8 seconds a file and core
TEXT
}

since=HEAD
all=false
while (($# > 0)); do
  case $1 in
    --all) all=true ;;
    --since) since=${2:?--since needs a commit}; shift ;;
    --help) usage; exit 0 ;;
    *) echo "lint.sh: unknown option '$1'" >&2; usage >&2; exit 64 ;;
  esac
  shift
done
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"

mapfile -d '' shell_files < <(grep --recursive --files-with-matches --null --max-count=1 \
  --extended-regexp '^#!.*\bbash$|^# shellcheck shell=' scripts .ci slurm tests)
shellcheck --external-sources "${shell_files[@]}"
echo "shellcheck: ${#shell_files[@]} scripts are in order."

if ${all}; then
  mapfile -t sources < <(find src backends apps -name '*.cpp')
else
  if ! git rev-parse --quiet --verify "${since}^{commit}" >/dev/null; then
    echo "clang-tidy: there is no commit ${since} to compare with; nothing was looked at (--all looks at everything)."
    exit 0
  fi
  mapfile -t sources < <(git diff --name-only --diff-filter=d "${since}" -- \
    'src/*.cpp' 'backends/*.cpp' 'apps/*.cpp')
fi
if ((${#sources[@]} == 0)); then
  echo "clang-tidy: no source differs from ${since}."
  exit 0
fi
# A tree of its own that is never built: in others several sources may be compiled as one.
cmake --preset release -B build/lint -DCMAKE_UNITY_BUILD=OFF --log-level=ERROR >/dev/null
# clang 14 lacks std::source_location; clang does not know all of GCC's warning options.
printf '%s\0' "${sources[@]}" | xargs --null --max-procs="${jobs}" --max-args=4 \
  clang-tidy-16 -p build/lint --quiet --warnings-as-errors='*' --extra-arg=-Wno-unknown-warning-option
echo "clang-tidy: ${#sources[@]} sources are in order."
