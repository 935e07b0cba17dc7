# shellcheck shell=bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Copy to env/<your site>.sh and submit with TESSERA_SITE=<your site>. The job scripts read it on the first node of the
# job, before anything is started. `site_setting NAME VALUE` gives a setting that holds unless the user's environment
# has another; plain `export` is for what no user changes. Take out what your site does not need.

# Programs and libraries. Module systems use variables that are not set.
#   set +u
#   module purge
#   module load gcc/12 openmpi/4.1 tessera
#   set -u

# A build tree, if no module puts gpt_train on PATH.
#   site_setting TESSERA_BUILD "${HOME}/tessera/build/release"

# srun --mpi. By default it follows from the MPI that the program is linked to: pmix for Open MPI, pmi2 for MPICH and
# its relatives, cray_shasta for Cray MPICH. `srun --mpi=list` says what a site has.
#   site_setting TESSERA_MPI_PLUGIN pmix

# srun --cpu-bind. `cores` (the default) wants TaskPlugin=task/affinity or task/cgroup; `none` where there is neither.
#   site_setting TESSERA_CPU_BIND cores

# srun --gpu-bind, used by default (`single:1`) where the job has GPUs: every rank sees one, the ranks of a node take
# them in turns. `closest` where --gpus-per-task gives each rank its own already; empty: every rank sees all.
#   site_setting TESSERA_GPU_BIND closest

# Where runs keep checkpoints and metrics: a file system that all nodes see. By default the folder of submission.
#   site_setting TESSERA_RUN_DIR "${SCRATCH}/${SLURM_JOB_NAME}-${SLURM_JOB_ID}"

# The network, if the MPI does not find the right one by itself.
#   export OMPI_MCA_btl_tcp_if_include=ib0
#   export UCX_NET_DEVICES=mlx5_0:1

# Whatever the site's accounting wants belongs on sbatch's command line (--account, --partition, --qos, --constraint)
# or into SBATCH_ACCOUNT, SBATCH_PARTITION, ... of the user's environment.
