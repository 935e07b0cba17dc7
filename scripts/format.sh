#!/usr/bin/env bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Checks or mends the layout of all C++ files with clang-format 14: other versions lay out differently.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/format.sh [--fix] [--help] [FILE...]

  (no option)  name the files that clang-format 14 would change; fails if there are any
  --fix        change them
  FILE...      these instead of all C++ files of the tree
TEXT
}

fix=false
files=()
for argument in "$@"; do
  case ${argument} in
    --fix) fix=true ;;
    --help) usage; exit 0 ;;
    --*) echo "format.sh: unknown option '${argument}'" >&2; usage >&2; exit 64 ;;
    *) files+=("$(realpath "${argument}")") ;;
  esac
done
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"

if ! command -v clang-format-14 >/dev/null; then
  echo "format.sh: clang-format-14 is missing; scripts/install_dependencies.sh --all installs it" >&2
  exit 69
fi
if ((${#files[@]} == 0)); then
  mapfile -d '' files < <(find include src backends apps tests bench -name '*.[ch]pp' -print0)
fi
run_tool() { printf '%s\0' "${files[@]}" | xargs --null clang-format-14 "$@"; }
if ${fix}; then
  run_tool -i
elif ! complaints=$(run_tool --dry-run --Werror 2>&1); then
  echo "format.sh: clang-format 14 would change these files; scripts/format.sh --fix does it:" >&2
  sed --quiet 's/^\([^ :]*\):[0-9]*:[0-9]*: error.*/  \1/p' <<<"${complaints}" | sort --unique >&2
  exit 1
fi
echo "Format: ${#files[@]} files are in order."
