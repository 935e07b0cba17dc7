# shellcheck shell=bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Read by the other scripts: goes to the root of the tree, says how wide to build, and makes the settings
# with which Open MPI runs more ranks than a machine has cores, as root too. MPICH ignores them.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

jobs=$(env --unset=OMP_NUM_THREADS nproc)  # nproc counts threads of OpenMP where that is set
memory_gib=$(awk '/^MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
# One compiler process needs up to 1.5 GiB on the largest files.
limit=$((memory_gib * 2 / 3))
if ((jobs > limit)); then
  jobs=$((limit > 1 ? limit : 1))
fi
export jobs

# With names relative to the build tree, what one preset compiled the next one with equal options need not.
export CCACHE_BASEDIR=${PWD}

export OMP_NUM_THREADS=1
export OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_hwloc_base_binding_policy=none
if ((EUID == 0)); then
  export OMPI_ALLOW_RUN_AS_ROOT=1
  export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# stage TITLE COMMAND...: runs the command under a heading and says how long it took.
stage() {
  local title=$1 start=${SECONDS}
  shift
  printf '\n== %s\n' "${title}"
  "$@"
  printf -- '-- %s: %d s\n' "${title}" $((SECONDS - start))
}
