#!/usr/bin/env bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# The Debian package of the portable build.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/package.sh [--check] [--help]

Builds the programs for every level of the preset portable (about 10 minutes on 2 cores) and packs them as
build/portable/tessera_VERSION_ARCHITECTURE.deb.

  --check  and looks at the package, then installs it on a bare Debian 12 made with debootstrap, and trains there
           (as root; downloads about 150 MB of Debian packages)
TEXT
}

check=false
for argument in "$@"; do
  case ${argument} in
    --check) check=true ;;
    --help) usage; exit 0 ;;
    *) echo "package.sh: unknown option '${argument}'" >&2; usage >&2; exit 64 ;;
  esac
done
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"

tree=build/portable
stage "Configure portable" cmake --preset portable --log-level=NOTICE -DTESSERA_BUILD_TESTS=OFF
stage "Build portable" cmake --build --preset portable --parallel "${jobs}"
rm --force "${tree}"/tessera_*.deb
stage "Package" cpack --config "${tree}/CPackConfig.cmake" -B "${tree}"
package=$(echo "${tree}"/tessera_*.deb)
if ${check}; then
  stage "Look at it" python3 tests/package/debian_package.py "${package}"
  stage "Clean machine" tests/package/clean_machine.sh "${package}"
fi
echo "The package is ${package}."
