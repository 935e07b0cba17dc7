#!/usr/bin/env bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# clean_machine.sh DEB: makes a bare Debian 12 in a folder, installs the package there with apt, and trains with it,
# alone and under mpirun. Wants root and the archive; leaves nothing behind.
set -euo pipefail

deb=$(realpath "${1:?which package?}")
if ((EUID != 0)); then
  echo "clean_machine.sh: making a root file system needs root" >&2
  exit 77
fi
if ! command -v debootstrap >/dev/null; then
  echo "clean_machine.sh: debootstrap is missing (apt-get install debootstrap)" >&2
  exit 69
fi
if [[ ${2:-} != --inside ]]; then
  folder=$(mktemp --directory "${TMPDIR:-/var/tmp}/tessera-clean-XXXXXX")
  trap 'rm --recursive --force --one-file-system "${folder}"' EXIT
  # Its mounts are its own and are gone with it.
  unshare --mount --propagation private "$0" "${deb}" --inside "${folder}"
  exit
fi
root=${3:?}/root

echo "== a bare Debian 12"
debootstrap --variant=minbase --include=ca-certificates bookworm "${root}" >"${root%/*}/debootstrap.log" ||
  { tail --lines=20 "${root%/*}/debootstrap.log" >&2; exit 1; }
cp /etc/resolv.conf "${root}/etc/resolv.conf"
mount --bind /proc "${root}/proc"
mount --rbind /dev "${root}/dev"
mount --rbind /sys "${root}/sys"
cp "${deb}" "${root}/tmp/tessera.deb"
printf '#!/bin/sh\nexit 101\n' >"${root}/usr/sbin/policy-rc.d"
chmod 755 "${root}/usr/sbin/policy-rc.d"

# on_it COMMAND...: runs it on the clean machine, in an environment with nothing of this one.
on_it() {
  chroot "${root}" /usr/bin/env --ignore-environment --chdir=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    LC_ALL=C DEBIAN_FRONTEND=noninteractive OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 \
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1 \
    OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_plm_rsh_agent=false "$@"
}

echo "== apt-get install"
on_it apt-get --quiet=2 update
on_it apt-get --quiet=2 --yes -o Dpkg::Use-Pty=0 install /tmp/tessera.deb >/dev/null
on_it dpkg --status tessera | grep --extended-regexp '^(Version|Depends|Recommends|Installed-Size)'
on_it gpt_train --version

echo "== training, alone and split over two ranks"
train=(gpt_train --config /usr/share/tessera/inputs/tiny.toml --data /usr/share/common-licenses --tiles 8 --steps 4)
weights() { grep --only-matching 'Weights: [0-9a-f]\{16\}' <<<"$1"; }
alone=$(on_it "${train[@]}" --save saved)
split=$(on_it mpirun -n 2 "${train[@]}" --tp 2)
echo "${split}"
[[ -n $(weights "${alone}") && $(weights "${alone}") == "$(weights "${split}")" ]]
on_it gpt_ckpt verify saved
on_it mpirun -n 2 hello_collectives >/dev/null

if [[ -d ${root}/usr/libexec/tessera ]]; then
  echo "== levels"
  low=$(on_it env TESSERA_ISA=v3 "${train[@]}")
  grep 'x86-64-v3 instructions' <<<"${low}"
  status=0
  on_it env GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2 gpt_train --version || status=$?
  ((status == 78))
fi

echo "== apt-get remove"
on_it apt-get --quiet=2 --yes remove tessera >/dev/null
left=$(find "${root}/usr" -iname '*tessera*' -not -path '*/common-licenses/*')
[[ -z ${left} ]] || { echo "left behind: ${left}" >&2; exit 1; }
echo "The package installs, trains and goes on a clean machine."
