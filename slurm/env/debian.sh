# shellcheck shell=bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Debian 12 with its own slurm-wlm, Open MPI or MPICH; nodes may be small machines with more ranks than cores, or, in
# the tests, several nodes on one machine.

# TaskPlugin=task/none, Debian's default, cannot bind.
site_setting TESSERA_CPU_BIND none

# Under srun, Open MPI does not see that ranks share cores: they have to be told to yield and not to bind themselves.
export OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_hwloc_base_binding_policy=none

# With the fence that Slurm 22.05 chooses by itself, a rank may leave MPI_Init before another has got so far, which then
# dies of the first message that it gets: 6 of 52 starts of 8 ranks on 4 nodes of a busy machine, none of 45 with this.
export SLURM_PMIX_FENCE=ring
