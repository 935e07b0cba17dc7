#!/usr/bin/env bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# module_file.sh PREFIX VERSION: loads the module file of an installation with Lmod, from where it was installed and
# after the tree was moved, and starts the program by its name.
set -euo pipefail

prefix=$(realpath "$1")
version=$2
init=${LMOD_INIT:-/usr/share/lmod/lmod/init/bash}
work=$(mktemp --directory)
trap 'rm --recursive --force "${work}"' EXIT
export HOME=${work}  # Lmod keeps a cache there

# load FOLDER_OF_MODULE_FILES: what a user's shell sees after the module was loaded.
load() {
  env --unset=MODULEPATH --unset=TESSERA_ROOT bash -c "
    . '${init}'
    module use '$1'
    module load tessera || exit
    echo \"root \${TESSERA_ROOT}\"
    command -v gpt_train
    gpt_train --version | head --lines=1
    module unload tessera
    echo \"after \${TESSERA_ROOT:-nothing}\"" 2>&1
}

expect() {
  grep --quiet --line-regexp --fixed-strings "$1" <<<"${said}" || { printf 'no line "%s" in:\n%s\n' "$1" "${said}" >&2; exit 1; }
}

cp --recursive "${prefix}/share/tessera" "${work}/copy"
mkdir --parents "${work}/moved/share"
ln --symbolic "${prefix}/bin" "${work}/moved/bin"
[[ ! -d ${prefix}/libexec ]] || ln --symbolic "${prefix}/libexec" "${work}/moved/libexec"
mv "${work}/copy" "${work}/moved/share/tessera"
for place in "${prefix}" "${work}/moved"; do
  said=$(load "${place}/share/tessera/modulefiles")
  expect "root ${place}"
  expect "${place}/bin/gpt_train"
  expect "gpt_train of Tessera ${version}"
  expect "after nothing"
done

cp --recursive "${prefix}/share/tessera/modulefiles" "${work}/taken_out"
if said=$(load "${work}/taken_out"); then
  printf 'a module file without its installation was loaded:\n%s\n' "${said}" >&2
  exit 1
fi
grep --quiet "taken out of its" <<<"${said//$'\n'/ }" || { echo "${said}" >&2; exit 1; }
echo "The module file works where it is installed, after a move, and says so when it is alone."
