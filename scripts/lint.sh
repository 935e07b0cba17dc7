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
  --since COMMIT  the sources that differ from COMMIT, committed or not. For a header that does, one source that
                  includes it: its own where there is one
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

# users_of HEADER: the files that include it, by its name from their own folder or from that of its room.
users_of() {
  local folder=${1%/*} base=${1##*/}
  base=${base//./\\.}
  {
    grep --files-with-matches --extended-regexp "^#include \"${base}\"" "${folder}"/*.[ch]pp || true
    grep --recursive --files-with-matches --include='*.[ch]pp' --extended-regexp \
      "^#include \"(.*/)?${folder##*/}/${base}\"" src backends apps include || true
  } | sort --unique
}

# source_of HEADER [LEVELS]: one source through which a header is looked at, through so many others at most. Nothing
# where only tests include it.
source_of() {
  local levels=${2:-3} own file users found
  own=$(basename "$1" .hpp).cpp
  mapfile -t users < <(users_of "$1")
  for file in "${users[@]}"; do [[ ${file##*/} != "${own}" ]] || { echo "${file}"; return; }; done
  for file in "${users[@]}"; do [[ ${file} != *.cpp ]] || { echo "${file}"; return; }; done
  ((levels > 1)) || return 0
  for file in "${users[@]}"; do
    found=$(source_of "${file}" $((levels - 1)))
    [[ -z ${found} ]] || { echo "${found}"; return; }
  done
}

changed_sources() {
  local file
  while read -r file; do
    case ${file} in
      *.cpp) echo "${file}" ;;
      *.hpp) source_of "${file}" ;;
    esac
  done < <(git diff --name-only --diff-filter=d "${since}" -- src backends apps include
           git ls-files --others --exclude-standard -- src backends apps include)
}

if ${all}; then
  mapfile -t sources < <(find src backends apps -name '*.cpp')
else
  if ! git rev-parse --quiet --verify "${since}^{commit}" >/dev/null; then
    echo "clang-tidy: there is no commit ${since} to compare with; nothing was looked at (--all looks at everything)."
    exit 0
  fi
  mapfile -t sources < <(changed_sources | sort --unique)
fi
# A tree of its own that is never built: in others several sources may be compiled as one.
cmake --preset release -B build/lint -DCMAKE_UNITY_BUILD=OFF --log-level=ERROR >/dev/null
# Device code that this machine does not compile is not looked at.
compiled=$(grep --only-matching --perl-regexp '"file": "\K[^"]*' build/lint/compile_commands.json)
for i in "${!sources[@]}"; do
  grep --quiet --line-regexp --fixed-strings "${PWD}/${sources[i]}" <<<"${compiled}" || unset "sources[i]"
done
if ((${#sources[@]} == 0)); then
  echo "clang-tidy: no source that is compiled here differs from ${since}."
  exit 0
fi
# clang 14 lacks std::source_location; clang does not know all of GCC's warning options.
printf '%s\0' "${sources[@]}" | xargs --null --max-procs="${jobs}" --max-args=4 \
  clang-tidy-16 -p build/lint --quiet --warnings-as-errors='*' --extra-arg=-Wno-unknown-warning-option
echo "clang-tidy: ${#sources[@]} sources are in order."
