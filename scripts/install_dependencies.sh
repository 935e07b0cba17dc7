#!/usr/bin/env bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Installs the Debian or Ubuntu packages that Tessera is built from. Asks the package manager's own records
# first and touches neither network nor system when nothing is missing.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/install_dependencies.sh [--all] [--fuzz] [--list] [--help]

  (no option)  what building, running and the quick tests need
  --all        and what scripts/test.sh --all needs: MPICH, clang-format, clang-tidy, shellcheck,
               the tools of HDF5, xxhsum, libfiu, JUBE, matplotlib, gnuplot, Lmod, an emulator of old processors,
               debootstrap, Slurm (none of whose daemons is started)
  --fuzz       and clang with libFuzzer, for scripts/test.sh --soak
  --list       print the package names, one a line, and stop
TEXT
}

packages=(
  build-essential cmake ninja-build ccache git pkg-config python3  # tools
  libopenmpi-dev openmpi-bin                                      # MPI
  libtrilinos-kokkos-dev                                          # Kokkos
  libdnnl-dev libopenblas-dev                                     # matrix products
  libhdf5-dev libxxhash-dev libfmt-dev nlohmann-json3-dev         # library
  libcli11-dev libtomlplusplus-dev libspdlog-dev                  # gpt_train
  libgtest-dev libbenchmark-dev librandom123-dev                  # tests and benchmarks
)
packages_of_all=(
  mpich libmpich-dev clang-format-14 clang-tidy-16 shellcheck
  hdf5-tools python3-h5py xxhash                # checkpoints as others read them
  libfiu-dev fiu-utils                          # failing system calls
  jube python3-matplotlib gnuplot-nox           # scaling suites and their plots
  lmod qemu-user debootstrap                    # module file, a processor too old for the portable build, a bare system
  slurm-wlm munge iproute2                      # job scripts, on hosts made of network namespaces
)

list_only=false
for argument in "$@"; do
  case ${argument} in
    --all) packages+=("${packages_of_all[@]}") ;;
    --fuzz) packages+=(clang-16 libclang-rt-16-dev) ;;
    --list) list_only=true ;;
    --help) usage; exit 0 ;;
    *) echo "install_dependencies.sh: unknown option '${argument}'" >&2; usage >&2; exit 64 ;;
  esac
done
if ${list_only}; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install_dependencies.sh: this system has no apt. Please install the equivalents of:" >&2
  printf '  %s\n' "${packages[@]}" >&2
  exit 69
fi

installed=$(dpkg-query --show --showformat='${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null |
  sed --quiet 's/ installed$//p' || true)
missing=()
for package in "${packages[@]}"; do
  grep --quiet --line-regexp --fixed-strings "${package}" <<<"${installed}" || missing+=("${package}")
done
if ((${#missing[@]} == 0)); then
  echo "Packages: all ${#packages[@]} are installed."
  exit 0
fi

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "install_dependencies.sh: packages are missing and there is no sudo. As root, please run:" >&2
    echo "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 77
  fi
  as_root=(sudo)
fi
# Packages bring daemons that the tests start by themselves. Debian asks this file whether one may be started now.
policy=/usr/sbin/policy-rc.d
if [[ ! -e ${policy} ]]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install --mode=755 /dev/stdin "${policy}"
  trap '"${as_root[@]}" rm --force "${policy}"' EXIT
fi
echo "Packages: installing ${missing[*]} with ${as_root[*]:+${as_root[*]} }apt-get"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --option DPkg::Lock::Timeout=300 --quiet=2)
"${apt[@]}" update
"${apt[@]}" install --yes --no-install-recommends "${missing[@]}"
